"""Documents as callers give and get them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from twopass.engines.base.sequences import Float32s, Int32s

MAX_ID_BYTES = 512
MAX_TITLE_BYTES = 8 * 1024
MAX_METADATA_BYTES = 64 * 1024
"""Of metadata as stored: JSON in UTF-8, without spaces between its parts."""
MAX_METADATA_FIELDS = 1_024
"""Of one document, those of its nested objects too."""
MAX_METADATA_DEPTH = 32
"""Objects and lists within each other, the outermost counted."""


class OnConflict(Enum):
    """What becomes of a document to write whose id the collection has already."""

    REPLACE = "replace"
    """It replaces the earlier one."""
    SKIP = "skip"
    """The earlier one stays."""
    FAIL = "fail"
    """None of the documents is written."""


@dataclass(frozen=True, slots=True, eq=False)
class SplitPassage:
    """A passage in windows.

    Attributes:
        windows: Each window's first token in the passage and one past its last, int32
            `[num_windows, 2]`, at least one.
        vectors: Their embeddings, float32 `[num_windows, dimension]`.
    """

    windows: Int32s
    vectors: Float32s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IndexedDocument:
    """A document to store, with what was computed from its passage.

    Attributes:
        id: Unique in its collection, 1 to 512 bytes of UTF-8 without control characters.
        title: Put before the text, with a space between; may be empty if the text is not. At most
            8 KiB of UTF-8.
        text: What is searched and reranked; may be empty if the title is not.
        metadata: Whatever JSON can say, in at most 64 KiB, 1,024 fields and 32 levels; integers fit
            into 64 bits.
        vector: The embedding, float32 `[dimension]`, or in a collection with chunking the passage
            in windows, if it has several.
        token_ids: The passage's tokens without special ones, int32 `[num_tokens]`, by the tokenizer
            whose fingerprint the schema holds.
    """

    id: str
    title: str = ""
    text: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict)
    vector: Float32s | SplitPassage
    token_ids: Int32s


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFields:
    """Which of a document's fields are read beside its id.

    Attributes:
        text: Title and text.
        metadata: Metadata.
        vector: The embedding.
        metadata_as_json: Metadata comes as `StoredDocument.metadata_json`, not as an object.
    """

    text: bool = True
    metadata: bool = True
    vector: bool = False
    metadata_as_json: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredDocument:
    """A document read back; None stands for a field not asked for.

    Attributes:
        key: Of this version of the document: a replacement gets a new one.
        id: Its id.
        title: Its title.
        text: Its text.
        metadata: Its metadata.
        vector: Its embedding, float32 `[dimension]`, L2-normalised under `Metric.COSINE`; None too
            where the document is split, and its windows have one each.
        metadata_json: Its metadata as JSON without spaces, as it is stored.
    """

    key: int
    id: str
    title: str | None
    text: str | None
    metadata: dict[str, object] | None
    vector: Float32s | None
    metadata_json: str | None = None
