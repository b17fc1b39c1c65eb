"""Documents as SQLite, faiss and the word index take them."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.document_checks import CheckedDocument, check_documents
from twopass.index.documents import IndexedDocument
from twopass.index.rows.rows import checksum_of
from twopass.index.schema import CollectionSchema
from twopass.index.words.analysis import Analyser
from twopass.index.words.encoding import EncodedWords, encode_words


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocuments:
    """Checked documents in the form in which they are stored.

    Attributes:
        rows: For each document its id, token ids (little-endian int32), embedding (little-endian
            float32), title, text, metadata (JSON) and checksum.
        windows: For each document its windows: first token, one past the last, embedding; empty
            where the collection does not split documents.
        vectors: The embeddings of all documents in order, float32 `[num_vectors, dimension]`.
        words: The words of all documents in order.
    """

    rows: list[tuple[str, bytes, bytes, str, str, str, int]]
    windows: list[list[tuple[int, int, bytes]]]
    vectors: Float32s
    words: EncodedWords

    @classmethod
    def none(cls, dimension: int) -> "EncodedDocuments":
        """No documents."""
        return cls([], [], np.empty((0, dimension), np.float32), EncodedWords.none())

    @property
    def ids(self) -> list[str]:
        """The documents' ids, in order."""
        return [row[0] for row in self.rows]

    def without(self, ids: Container[str]) -> "EncodedDocuments":
        """The documents that have none of some ids."""
        stays = [row[0] not in ids for row in self.rows]
        num_vectors = [len(windows) or 1 for windows in self.windows]
        return EncodedDocuments(
            list(compress(self.rows, stays)),
            list(compress(self.windows, stays)),
            self.vectors[np.repeat(stays, num_vectors)],
            self.words.some(np.array(stays, np.bool_)),
        )


def encode_documents(
    documents: Sequence[IndexedDocument],
    schema: CollectionSchema,
    analyser: Analyser,
    places: Sequence[int] | None = None,
) -> EncodedDocuments:
    """Checks documents and encodes them for storage.

    Args:
        documents: At least one.
        schema: The collection's.
        analyser: Cuts the collection's texts.
        places: Where each stands in the request, for error messages; None where they are all of it.

    Raises:
        InvalidDocumentError: A document breaks a rule; names the field, the value and the limit.
    """
    checked = check_documents(documents, schema, places)
    words = encode_words(analyser, [(document.title, document.text) for document in documents])
    return EncodedDocuments(
        [_row(document) for document in checked.documents],
        [_windows(document) for document in checked.documents],
        checked.vectors,
        words,
    )


def _row(document: CheckedDocument) -> tuple[str, bytes, bytes, str, str, str, int]:
    token_ids = document.token_ids.astype("<i4", copy=False).tobytes()
    embedding = _bytes(document.vectors[0]) if document.windows is None else b""
    title, text, metadata = document.title, document.text, document.metadata
    encoded = (title.encode(), text.encode(), metadata.encode())
    checksum = checksum_of(document.id, token_ids, embedding, *encoded)
    return (document.id, token_ids, embedding, title, text, metadata, checksum)


def _windows(document: CheckedDocument) -> list[tuple[int, int, bytes]]:
    if document.windows is None:
        return []
    windows = zip(document.windows.tolist(), document.vectors, strict=True)
    return [(first, end, _bytes(vector)) for (first, end), vector in windows]


def _bytes(vector: Float32s) -> bytes:
    return vector.astype("<f4", copy=False).tobytes()
