"""Checks documents before they are stored, and brings them into the form that every store keeps.

Which documents are valid is the same for all stores, and so is what is stored of them.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.control_characters import CONTROL_CHARACTER
from twopass.index.documents import (
    MAX_ID_BYTES,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    MAX_METADATA_FIELDS,
    MAX_TITLE_BYTES,
    IndexedDocument,
    SplitPassage,
)
from twopass.index.errors import InvalidDocumentError
from twopass.index.filters import MAX_INTEGER, MIN_INTEGER
from twopass.index.metadata import MergeMetadata, MetadataChange, ReplaceMetadata, merged
from twopass.index.metric import scale
from twopass.index.schema import CollectionSchema

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
# Types of most values, which hold no other values and are no integers.
_PLAIN = frozenset({str, float, bool, type(None)})


@dataclass(frozen=True, slots=True, eq=False)
class CheckedDocument:
    """A document that breaks no rule, as it is stored.

    Attributes:
        id: Its id.
        title: Its title.
        text: Its text.
        metadata: Its metadata as JSON, without spaces between its parts.
        token_ids: The passage's tokens, int32 `[num_tokens]`.
        windows: Each window's first token in the passage and one past its last, int32
            `[num_windows, 2]`; None where the document is whole.
        vectors: The embeddings of its windows, or its only one, scaled for the collection's metric,
            float32 `[num_vectors, dimension]`.
    """

    id: str
    title: str
    text: str
    metadata: str
    token_ids: Int32s
    windows: Int32s | None
    vectors: Float32s


@dataclass(frozen=True, slots=True, eq=False)
class CheckedDocuments:
    """The documents of one write.

    Attributes:
        documents: The documents, in order.
        vectors: The embeddings of all of them in order, float32 `[num_vectors, dimension]`; those
            of each document are views of it.
    """

    documents: list[CheckedDocument]
    vectors: Float32s


def check_documents(
    documents: Sequence[IndexedDocument],
    schema: CollectionSchema,
    places: Sequence[int] | None = None,
) -> CheckedDocuments:
    """Checks the documents of one write.

    Args:
        documents: At least one.
        schema: The collection's.
        places: Where each stands in the request, for error messages; None where they are all of it.

    Raises:
        InvalidDocumentError: A document breaks a rule; names the field, the value and the limit.
    """
    if not documents:
        raise InvalidDocumentError("documents", "none given, at least 1 is needed")
    check_distinct([document.id for document in documents])
    where = [f"documents[{place}]" for place in places or range(len(documents))]
    given = [_vectors_of(*one, schema) for one in zip(documents, where, strict=True)]
    owners = np.repeat(np.arange(len(documents)), [len(vectors) for vectors in given])

    def refuse(row: int, problem: str) -> InvalidDocumentError:
        owner = int(owners[row])
        return InvalidDocumentError(
            f"{where[owner]}.vector", f"{problem} (id {documents[owner].id!r})"
        )

    vectors = scale(np.concatenate(given).astype(np.float32, copy=False), schema.metric, refuse)
    checked = []
    start = 0
    for position, document in enumerate(documents):
        end = start + len(given[position])
        checked.append(_checked(document, vectors[start:end], where[position]))
        start = end
    return CheckedDocuments(checked, vectors)


def check_distinct(ids: Sequence[str]) -> None:
    """Makes sure that no two documents of a request have the same id.

    Raises:
        InvalidDocumentError: Two have.
    """
    first: dict[str, int] = {}
    for position, document_id in enumerate(ids):
        earlier = first.setdefault(document_id, position)
        if earlier != position:
            raise InvalidDocumentError(
                f"documents[{position}].id",
                f"{document_id!r} is the id of documents[{earlier}] too; "
                "ids must be distinct in one request",
            )


def _vectors_of(document: IndexedDocument, where: str, schema: CollectionSchema) -> Float32s:
    """A document's embeddings, float32 `[num_vectors, dimension]`; one unless it is split."""
    given = document.vector
    vectors = given.vectors if isinstance(given, SplitPassage) else given[None]
    if vectors.shape[1:] != (schema.dimension,):
        raise InvalidDocumentError(
            f"{where}.vector",
            f"{vectors[0].size:,} components given, the collection's dimension is "
            f"{schema.dimension:,} (id {document.id!r})",
            limit=schema.dimension,
            value=vectors[0].size,
        )
    return vectors


def _checked(document: IndexedDocument, vectors: Float32s, where: str) -> CheckedDocument:
    _check_id(document.id, where)
    if not document.title and not document.text:
        raise InvalidDocumentError(
            f"{where}.text", f"text and title are both empty, one is needed (id {document.id!r})"
        )
    size = len(_utf8(document.title, where, "title"))
    if size > MAX_TITLE_BYTES:
        raise InvalidDocumentError(
            f"{where}.title",
            f"{size:,} bytes of UTF-8 given, at most {MAX_TITLE_BYTES:,}; put the rest into "
            f"the text (id {document.id!r})",
            limit=MAX_TITLE_BYTES,
            value=size,
        )
    _utf8(document.text, where, "text")
    return CheckedDocument(
        id=document.id,
        title=document.title,
        text=document.text,
        metadata=encode_metadata(document.metadata, f"{where}.metadata"),
        token_ids=document.token_ids,
        windows=document.vector.windows if isinstance(document.vector, SplitPassage) else None,
        vectors=vectors,
    )


def _check_id(document_id: str, where: str) -> None:
    size = len(_utf8(document_id, where, "id"))
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidDocumentError(
            f"{where}.id",
            f"must be 1 to {MAX_ID_BYTES} bytes of UTF-8, {size:,} given",
            limit=MAX_ID_BYTES,
            value=size,
        )
    if control := CONTROL_CHARACTER.search(document_id):
        raise InvalidDocumentError(
            f"{where}.id",
            f"control characters are not allowed, U+{ord(control[0]):04X} given "
            f"at character {control.start()}",
            value=ord(control[0]),
        )


def _utf8(text: str, where: str, field: str = "") -> bytes:
    """A text in UTF-8; raises where a lone surrogate can't be written."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidDocumentError(
            f"{where}.{field}" if field else where,
            f"not valid Unicode: a lone surrogate at character {error.start}",
        ) from error


def encode_metadata(metadata: Mapping[str, object], where: str) -> str:
    """Checks metadata and writes it as JSON, as it is stored.

    Raises:
        InvalidDocumentError: It is not JSON, or too large; errors call it `where`.
    """
    if not isinstance(metadata, Mapping):
        raise InvalidDocumentError(
            where,
            f"must be a JSON object, {type(metadata).__name__} given",
            value=type(metadata).__name__,
        )
    _check_shape(metadata, where)
    try:
        text = _JSON.encode(dict(metadata)) if metadata else "{}"
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocumentError(where, f"can't be written as JSON: {error}") from error
    size = len(_utf8(text, where))
    if size > MAX_METADATA_BYTES:
        raise InvalidDocumentError(
            where,
            f"{size:,} bytes as JSON given, at most {MAX_METADATA_BYTES:,}; keep what no filter "
            "asks for elsewhere, or in the text",
            limit=MAX_METADATA_BYTES,
            value=size,
        )
    return text


def changed_metadata(change: MetadataChange) -> Callable[[str, str], str]:
    """A function from a document's id and its metadata as JSON to its new metadata as JSON.

    The function raises `InvalidDocumentError` where the metadata would break a rule.

    Raises:
        InvalidDocumentError: All documents' would.
    """
    match change:
        case ReplaceMetadata(metadata):
            replacement = encode_metadata(metadata, "replace")
            return lambda document_id, before: replacement  # noqa: ARG005
        case MergeMetadata(patch):
            return lambda document_id, before: encode_metadata(
                merged(json.loads(before), patch), f"merge: document {document_id!r}"
            )


def _is_object(value: Any) -> bool:
    """Whether a value is a JSON object; the test for a Mapping alone takes three times as long."""
    return type(value) is dict or (type(value) is not int and isinstance(value, Mapping))


def _check_shape(metadata: Mapping[str, object], where: str) -> None:
    """Makes sure that metadata is not too deep, and has not too many fields or too large integers.

    SQLite reads JSON up to 1,000 levels deep and Python about as many; a protobuf message has up to
    100, of which an object takes three.
    """
    num_fields = 0
    level: list[Any] = [metadata]
    for _ in range(MAX_METADATA_DEPTH):
        num_fields += sum(len(part) for part in level if _is_object(part))
        if num_fields > MAX_METADATA_FIELDS:
            raise InvalidDocumentError(
                where,
                f"more than {MAX_METADATA_FIELDS:,} fields given, those of nested objects "
                "included; keep what no filter asks for as one text",
                limit=MAX_METADATA_FIELDS,
            )
        values = [
            value
            for part in level
            for value in (part.values() if _is_object(part) else part)
            if type(value) not in _PLAIN
        ]
        for value in values:
            if isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
                raise InvalidDocumentError(
                    where,
                    f"an integer of {value.bit_length():,} bits given, integers are from -2^63 to "
                    "2^63 - 1; give a larger one as a text",
                    value=value.bit_length(),
                )
        level = [value for value in values if _is_object(value) or isinstance(value, list | tuple)]
        if not level:
            return
    raise InvalidDocumentError(
        where,
        f"objects and lists nested deeper than {MAX_METADATA_DEPTH} levels given; flatten them, or "
        "keep what is inside as a text",
        limit=MAX_METADATA_DEPTH,
    )
