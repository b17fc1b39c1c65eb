"""Checked documents in the form of the tables' rows."""

from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from twopass.index.document_checks import CheckedDocument, check_documents
from twopass.index.documents import IndexedDocument
from twopass.index.errors import InvalidDocumentError
from twopass.index.postgres.connections import encode_vector
from twopass.index.postgres.kinds import MAX_HALF, VectorKind
from twopass.index.postgres.stored_texts import stored, stored_json
from twopass.index.schema import CollectionSchema
from twopass.index.words.analysis import Analyser
from twopass.index.words.encoding import encode_words
from twopass.index.words.scoring import kept_lengths

MAX_COUNT = 255
"""A term that occurs more often in a document counts as if it occurred so often."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocument:
    """A document as its rows hold it, but for its key and the numbers of its terms.

    Attributes:
        id: Its id.
        columns: Title, text, metadata, bytes of metadata, token ids, number of windows, atoms.
        vectors: First token, one past the last, and embedding of each window; of a whole document
            no tokens, and its embedding.
        terms: How often each of its terms occurs.
        length: Number of its terms and one more.
        kept_length: That as BM25 counts it.
    """

    id: str
    columns: tuple[str, str, str, int, bytes, int, str]
    vectors: tuple[tuple[int | None, int | None, bytes], ...]
    terms: Counter[str]
    length: int
    kept_length: int

    @property
    def is_split(self) -> bool:
        """Whether it is found by its windows."""
        return self.columns[5] > 0


def encode_documents(
    documents: Sequence[IndexedDocument],
    schema: CollectionSchema,
    analyser: Analyser,
    places: Sequence[int] | None = None,
) -> list[EncodedDocument]:
    """Checks documents and encodes them. Takes some milliseconds for a hundred.

    Args:
        documents: At least one.
        schema: The collection's.
        analyser: Cuts the collection's texts.
        places: Where each stands in the request, for error messages; None where they are all of it.

    Raises:
        InvalidDocumentError: A document breaks a rule.
    """
    checked = check_documents(documents, schema, places).documents
    is_half = VectorKind.parse(schema).is_half
    if is_half:
        for place, document in zip(places or range(len(checked)), checked, strict=True):
            _check_half(document, f"documents[{place}].vector")
    words = encode_words(analyser, [(one.title, one.text) for one in checked]).texts
    of_each = [of_one.terms.split(" ") for of_one in words]
    kept = kept_lengths(np.array([len(terms) for terms in of_each], np.int64))
    return [
        _encoded(document, terms, of_one.atoms, int(length), is_half=is_half)
        for document, terms, of_one, length in zip(checked, of_each, words, kept, strict=True)
    ]


def without(documents: Sequence[EncodedDocument], ids: Container[str]) -> list[EncodedDocument]:
    """The documents that have none of some ids."""
    return list(compress(documents, [one.id not in ids for one in documents]))


def _encoded(
    document: CheckedDocument, terms: list[str], atoms: str, kept_length: int, *, is_half: bool
) -> EncodedDocument:
    vectors = [encode_vector(vector, is_half=is_half) for vector in document.vectors]
    windows: list[list[int | None]] = [[None, None]]
    if document.windows is not None:
        windows = document.windows.tolist()
    counts = Counter(terms)
    del counts[terms[-1]]  # the mark, which every document has
    return EncodedDocument(
        id=document.id,
        columns=(
            stored(document.title),
            stored(document.text),
            stored_json(document.metadata),
            len(document.metadata.encode()),
            document.token_ids.astype("<i4", copy=False).tobytes(),
            0 if document.windows is None else len(windows),
            atoms,
        ),
        vectors=tuple(
            (first, end, vector) for (first, end), vector in zip(windows, vectors, strict=True)
        ),
        terms=counts,
        length=len(terms),
        kept_length=kept_length,
    )


def _check_half(document: CheckedDocument, where: str) -> None:
    largest = float(np.abs(document.vectors).max())
    if largest > MAX_HALF:
        raise InvalidDocumentError(
            where,
            f"a component of {largest:g} given, the index kind SQfp16 holds at most {MAX_HALF:,}; "
            f"scale the vectors, or create the collection with another kind (id {document.id!r})",
            limit=MAX_HALF,
            value=largest,
        )
