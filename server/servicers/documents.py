"""Documents from and to messages."""

import numpy as np
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from twopass.engines.base import Float32s
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.server.errors import InvalidRequestError
from twopass.server.ingest.documents import NewDocument
from twopass.server.models.passages import Limits, check_text
from twopass.v1 import document_pb2, search_pb2


def read_document(where: str, message: document_pb2.Document, limits: Limits) -> NewDocument:
    """Reads a document.

    Args:
        where: Where it stands in the message, for errors.
        message: The document.
        limits: Bounds on its texts.

    Raises:
        InvalidRequestError: A text is too long or no text, the vector is no vector, or the metadata
            holds a number that is none.
    """
    document = NewDocument(
        id=message.id,
        title=message.title,
        text=message.text,
        metadata=_read_metadata(f"{where}.metadata", message.metadata),
        vector=read_vector(f"{where}.vector", message.vector)
        if message.HasField("vector")
        else None,
    )
    check_text(f"{where}.text", document.passage, limits.max_passage_bytes)
    return document


def _read_metadata(where: str, message: Struct) -> dict[str, object]:
    if not message.fields:
        return {}
    try:
        return MessageToDict(message)
    except ValueError as error:  # NaN and infinities, which JSON lacks
        raise InvalidRequestError(f"{where}: {error}") from error


def read_vector(where: str, message: document_pb2.Vector) -> Float32s:
    """Reads a vector, float32 `[num_components]`.

    Raises:
        InvalidRequestError: It is empty, or a component is not finite.
    """
    vector = np.array(message.values, np.float32)
    if not len(vector):
        raise InvalidRequestError(f"{where}.values: empty; leave the vector unset instead")
    if not np.isfinite(vector).all():
        position = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise InvalidRequestError(
            f"{where}.values[{position}]: {vector[position]} given, a finite number is needed"
        )
    return vector


def read_fields(message: document_pb2.DocumentFields) -> DocumentFields:
    """Reads which fields are wanted; text and metadata where it does not say."""
    return DocumentFields(
        text=message.text if message.HasField("text") else True,
        metadata=message.metadata if message.HasField("metadata") else True,
        vector=message.vector if message.HasField("vector") else False,
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
        ParseDict(document.metadata, message.metadata)
    if document.vector is not None:
        message.vector.CopyFrom(document_pb2.Vector(values=document.vector.tolist()))
