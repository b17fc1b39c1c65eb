"""What a collection holds and how it is searched: fixed when it is created."""

import dataclasses
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from twopass.index.errors import InvalidSchemaError
from twopass.index.field_names import field_name_problem, parse_field_name
from twopass.index.languages import PORTER, check_language

MAX_DIMENSION = 8_192
MAX_INDEXED_FIELDS = 64
MIN_WINDOW_TOKENS = 16

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_INDEX_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9_,]{0,63}")


class Metric(StrEnum):
    """How the nearness of two embeddings is measured."""

    COSINE = "cosine"
    INNER_PRODUCT = "inner_product"


class FieldType(StrEnum):
    """What an indexed metadata field's values are."""

    TEXT = "text"
    NUMBER = "number"
    BOOL = "bool"
    TIME = "time"
    """Texts of RFC 3339, which intervals of time look up in the index too."""


class LexicalTokenizer(StrEnum):
    """How words are cut for lexical search."""

    UNICODE = "unicode"
    PORTER = "porter"


@dataclass(frozen=True, slots=True)
class IndexedField:
    """A metadata field that filters use often; its name is as `parse_field_name` reads it."""

    field: str
    type: FieldType = FieldType.TEXT


@dataclass(frozen=True, slots=True)
class Chunking:
    """Splits long documents into overlapping windows.

    Attributes:
        window_tokens: Most tokens in a window, by the encoder's tokenizer, at least
            `MIN_WINDOW_TOKENS`.
        overlap_tokens: Tokens that a window shares with the one before, at most half of it.
    """

    window_tokens: int
    overlap_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSchema:
    """What a collection holds and how it is searched. An instance is valid by construction.

    Attributes:
        dimension: Components of an embedding, 1 to 8,192.
        metric: Nearness of embeddings.
        encoder: Id of the encoder that embeds; empty where clients bring the vectors.
        encoder_revision: What the encoder is known by, hexadecimal: a digest over everything that
            decides its embeddings; empty where `encoder` is. `encoder` is only a name for it.
        client_vectors: Every document and query brings its own vector.
        index_kind: What the vectors are searched by, in the words of the store that holds the
            collection, which knows its own kinds: faiss factory strings for the default one.
        tokenizer_fingerprint: Of the tokenizer that made the stored token ids.
        indexed_fields: Metadata fields that filters use often.
        chunking: How long documents are split. None: not at all.
        lexical_tokenizer: How words are cut for lexical search.
        language: The language of the texts, an ISO 639-1 code: lexical search removes the endings
            of its words. Empty: words are searched as they stand.

    Raises:
        InvalidSchemaError: A field breaks its rule.
    """

    dimension: int
    metric: Metric = Metric.COSINE
    encoder: str = ""
    encoder_revision: str = ""
    client_vectors: bool = False
    index_kind: str = "Flat"
    tokenizer_fingerprint: str = ""
    indexed_fields: tuple[IndexedField, ...] = ()
    chunking: Chunking | None = None
    lexical_tokenizer: LexicalTokenizer = LexicalTokenizer.UNICODE
    language: str = ""

    @property
    def word_language(self) -> str:
        """The language whose word endings are removed, as `Analyser` takes it."""
        return PORTER if self.lexical_tokenizer is LexicalTokenizer.PORTER else self.language

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= MAX_DIMENSION:
            raise InvalidSchemaError(
                "schema.dimension",
                f"must be 1 to {MAX_DIMENSION:,}, {self.dimension:,} given",
                limit=MAX_DIMENSION,
                value=self.dimension,
            )
        if _INDEX_KIND.fullmatch(self.index_kind) is None:
            raise InvalidSchemaError(
                "schema.index_kind",
                f"{self.index_kind!r} given; 1 to 64 letters, digits, '_' and ',' are needed, such "
                "as Flat or HNSW32",
                value=self.index_kind,
            )
        self._check_chunking()
        self._check_encoder()
        self._check_language()
        self._check_indexed_fields()

    def _check_chunking(self) -> None:
        if self.chunking is None:
            return
        window, overlap = self.chunking.window_tokens, self.chunking.overlap_tokens
        if window < MIN_WINDOW_TOKENS:
            raise InvalidSchemaError(
                "schema.chunking.window_tokens",
                f"must be at least {MIN_WINDOW_TOKENS}, {window:,} given",
                limit=MIN_WINDOW_TOKENS,
                value=window,
            )
        if not 0 <= overlap <= window // 2:
            raise InvalidSchemaError(
                "schema.chunking.overlap_tokens",
                f"must be 0 to {window // 2:,}, half of window_tokens, {overlap:,} given",
                limit=window // 2,
                value=overlap,
            )
        if self.client_vectors:
            raise InvalidSchemaError(
                "schema.chunking",
                "given together with client_vectors, but only an encoder can embed the windows; "
                "leave it unset, and split before upserting",
            )

    def _check_encoder(self) -> None:
        if self.client_vectors and self.encoder:
            raise InvalidSchemaError(
                "schema.encoder",
                f"{self.encoder!r} given together with client_vectors; leave one of them out",
                value=self.encoder,
            )
        if not self.client_vectors and not (self.encoder and self.encoder_revision):
            raise InvalidSchemaError(
                "schema.encoder",
                f"{self.encoder!r} with revision {self.encoder_revision!r} given; both are needed "
                "unless client_vectors is set",
                value=self.encoder_revision,
            )

    def _check_language(self) -> None:
        check_language(self.language)
        if self.language and self.lexical_tokenizer is LexicalTokenizer.PORTER:
            raise InvalidSchemaError(
                "schema.language",
                f"{self.language!r} given together with the tokenizer "
                f"{self.lexical_tokenizer.value!r}, which is for English; leave one of them out",
                value=self.language,
            )

    def _check_indexed_fields(self) -> None:
        if len(self.indexed_fields) > MAX_INDEXED_FIELDS:
            raise InvalidSchemaError(
                "schema.indexed_fields",
                f"{len(self.indexed_fields):,} given, at most {MAX_INDEXED_FIELDS}; each costs "
                "time at every write, and filters may test others too",
                limit=MAX_INDEXED_FIELDS,
                value=len(self.indexed_fields),
            )
        seen: set[tuple[str, ...]] = set()
        for position, indexed in enumerate(self.indexed_fields):
            where = f"schema.indexed_fields[{position}].field"
            if (problem := field_name_problem(indexed.field)) is not None:
                raise InvalidSchemaError(where, problem)
            keys = parse_field_name(indexed.field)
            if keys in seen:
                raise InvalidSchemaError(
                    where, f"{indexed.field!r} is given twice", value=indexed.field
                )
            seen.add(keys)

    def to_json(self) -> str:
        """The schema as JSON text; `from_json` reads it."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "CollectionSchema":
        """Reads what `to_json` wrote.

        Raises:
            ValueError, TypeError, KeyError: It is something else.
            InvalidSchemaError: A field breaks its rule.
        """
        fields: dict[str, Any] = json.loads(text)
        chunking = fields["chunking"]
        return cls(
            **fields
            | {
                "metric": Metric(fields["metric"]),
                "lexical_tokenizer": LexicalTokenizer(fields["lexical_tokenizer"]),
                "chunking": None if chunking is None else Chunking(**chunking),
                "indexed_fields": tuple(
                    IndexedField(indexed["field"], FieldType(indexed["type"]))
                    for indexed in fields["indexed_fields"]
                ),
            }
        )


def check_name(name: str, field: str = "name") -> None:
    """Checks the name of a collection or of a snapshot: it becomes a folder's.

    Raises:
        InvalidSchemaError: It is none; says so of the `field`.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidSchemaError(
            field,
            f"{name!r} given; 1 to 64 of a-z, 0-9, '-' and '_' are needed, a letter or digit first",
            value=name,
        )
