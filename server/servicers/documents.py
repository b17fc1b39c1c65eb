"""Documents from and to messages."""

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
from google.protobuf.message import Message

from twopass.engines.base.sequences import Float32s
from twopass.index.documents import MAX_ID_BYTES, DocumentFields, OnConflict, StoredDocument
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.ingest.documents import NewDocument
from twopass.server.models.passages import Limits, check_count, check_text
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.metadata import read_metadata, read_metadata_json, write_metadata
from twopass.v1 import collection_pb2, document_pb2, search_pb2

_ON_CONFLICT = EnumMapping(
    collection_pb2.OnConflict,
    {
        collection_pb2.ON_CONFLICT_REPLACE: OnConflict.REPLACE,
        collection_pb2.ON_CONFLICT_SKIP: OnConflict.SKIP,
        collection_pb2.ON_CONFLICT_FAIL: OnConflict.FAIL,
    },
    default=OnConflict.REPLACE,
)

# The tag of Vector.values, a field of packed floats; see document.proto.
_VALUES_TAG = b"\x0a"


def read_documents(
    messages: Iterable[document_pb2.Document], limits: Limits, stop: Stop
) -> list[NewDocument]:
    """Reads the documents of a request's field `documents`.

    Raises:
        InvalidRequestError: A text is too long or holds a NUL, a number is not finite, or the
            metadata is too large, nested too deeply, no JSON, or given in both forms.
        StoppedError: `stop` was set meanwhile.
    """
    documents: list[NewDocument] = []
    for i, message in enumerate(messages):
        stop.check()
        documents.append(_read_document(f"documents[{i}]", message, limits))
    _check_vectors(documents)
    return documents


def _read_document(where: str, message: document_pb2.Document, limits: Limits) -> NewDocument:
    """Reads a document; its vector is unchecked, but for being empty.

    Args:
        where: The document's path in the request, for error messages.
        message: The document.
        limits: Bounds on its texts.

    Raises:
        InvalidRequestError: A text is too long or holds a NUL, or the metadata is too large, nested
            too deeply, no JSON, or given in both forms.
    """
    document = NewDocument(
        id=message.id,
        title=message.title,
        text=message.text,
        metadata=_read_metadata(where, message),
        vector=_read_values(f"{where}.vector", message.vector)
        if message.HasField("vector")
        else None,
    )
    check_text(f"{where}.text", document.passage, limits.max_passage_bytes)
    return document


def _check_vectors(documents: Sequence[NewDocument]) -> None:
    """Makes sure that all components are finite; one look at all takes less than one at each."""
    vectors = [document.vector for document in documents if document.vector is not None]
    if vectors and not np.isfinite(np.concatenate(vectors)).all():
        for i, document in enumerate(documents):
            if document.vector is not None:
                _check_finite(f"documents[{i}].vector", document.vector)


def _read_metadata(where: str, message: document_pb2.Document) -> dict[str, object]:
    if not message.metadata_json:
        return read_metadata(f"{where}.metadata", message.metadata)
    if message.metadata.fields:
        raise InvalidRequestError(
            f"{where}.metadata_json: given together with metadata; leave one of them out"
        )
    return read_metadata_json(f"{where}.metadata_json", message.metadata_json)


def read_vector(where: str, message: document_pb2.Vector) -> Float32s:
    """Reads a vector, float32 `[num_components]`.

    Raises:
        InvalidRequestError: The vector is empty, or a component is not finite.
    """
    vector = _read_values(where, message)
    _check_finite(where, vector)
    return vector


def _read_values(where: str, message: document_pb2.Vector) -> Float32s:
    # The message's bytes on the wire end with those of the array: packed floats, after a tag and
    # their size. Reading one value after another takes longer.
    count = len(message.values)
    if not count:
        raise InvalidRequestError(f"{where}.values: empty; leave the vector unset instead")
    content = message.SerializeToString()
    return np.frombuffer(content, "<f4", count, _header_bytes(count))


@cache
def _header_bytes(count: int) -> int:
    """Bytes of a tag and of the size of so many packed floats."""
    return 1 + len(_varint(4 * count))


def _check_finite(where: str, vector: Float32s) -> None:
    if not np.isfinite(vector).all():
        position = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise InvalidRequestError(
            f"{where}.values[{position}]: {vector[position]} given, a finite number is needed",
            value=vector[position],
        )


def read_fields(message: document_pb2.DocumentFields) -> DocumentFields:
    """Reads which fields to return; by default text and metadata, but not the vector."""
    return DocumentFields(
        text=message.text if message.HasField("text") else True,
        metadata=message.metadata if message.HasField("metadata") else True,
        vector=message.vector if message.HasField("vector") else False,
        metadata_as_json=message.metadata_as_json,
    )


def read_on_conflict(value: int) -> OnConflict:
    """Reads what becomes of documents whose ids are known; by default they are replaced."""
    return _ON_CONFLICT.read("on_conflict", value)


def check_ids(field: str, ids: Sequence[str], limit: int) -> None:
    """Refuses an empty list, too many ids, or an id longer than a document's may be.

    Raises:
        InvalidRequestError: Names the field, the limit and the number or size given.
    """
    check_count(field, len(ids), limit, "use several calls")
    for i, document_id in enumerate(ids):
        # No character takes more than 4 bytes: few ids need to be encoded to be measured.
        if len(document_id) * 4 > MAX_ID_BYTES:
            size = len(document_id.encode())
            if size > MAX_ID_BYTES:
                raise InvalidRequestError(
                    f"{field}[{i}]: {size:,} bytes of UTF-8 given, at most {MAX_ID_BYTES}",
                    limit=MAX_ID_BYTES,
                    value=size,
                )


def document_message(document: StoredDocument) -> document_pb2.Document:
    """A document as a message; fields not read stay unset."""
    message = document_pb2.Document(
        id=document.id, title=document.title or "", text=document.text or ""
    )
    add_extras(document, message)
    return message


def add_extras(
    document: StoredDocument, message: document_pb2.Document | search_pb2.SearchHit
) -> None:
    """Sets metadata and vector where they were read."""
    if document.metadata is not None:
        write_metadata(document.metadata, message.metadata)
    if document.metadata_json is not None:
        message.metadata_json = document.metadata_json
    if document.vector is not None:
        write_vector(document.vector, message.vector)


def write_vector(vector: Float32s, message: Message) -> None:
    """Fills in a vector, float32 `[num_components]`, in a tenth of the time of a list of floats.

    Args:
        vector: The components.
        message: Its field 1 is a packed `repeated float`, as in `Vector`.
    """
    content = vector.astype("<f4", copy=False).tobytes()
    message.MergeFromString(_VALUES_TAG + _varint(len(content)) + content)


def _varint(number: int) -> bytes:
    """A number as a protobuf varint: seven bits a byte, the lowest first."""
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)
