"""Documents, and reading and deleting them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._filters import Condition, filter_message
from twopass.client._metadata import metadata_json, read_metadata
from twopass.client._values import int32, refuse_single, text, texts, vector
from twopass.v1 import collection_pb2, document_pb2
from twopass.v1.filter_pb2 import Filter


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a collection. The passage that models read is its title and its text.

    Attributes:
        id: Unique in its collection, 1 to 512 bytes of UTF-8 without control characters.
        text: What is searched and reranked; not empty unless a title is given.
        title: Put before the text, with a space between. Empty for none.
        metadata: JSON values that the application wants back or filters by. An int fits into 64
            bits, a float is a finite double; each comes back as what it was, keys in their order.
        vector: The embedding, of the collection's dimension. None on upsert: the server embeds the
            passage. In answers None unless asked for.
    """

    id: str
    text: str = ""
    title: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    vector: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """Which of a document's fields an answer carries beside its id.

    Attributes:
        text: Title and text.
        metadata: The metadata.
        vector: The embedding.
    """

    text: bool = True
    metadata: bool = True
    vector: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: `text[start:end]`.

    Attributes:
        start: First character, counted from 0.
        end: One past the last character.
    """

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What was deleted.

    Attributes:
        sequence: The collection's state after the deletion; see `search`'s `min_sequence`.
        num_deleted: Documents deleted.
    """

    sequence: str
    num_deleted: int


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """Whose metadata was changed.

    Attributes:
        sequence: The collection's state with the new metadata; see `search`'s `min_sequence`.
        num_updated: Documents that the update was for, whether or not their metadata differed.
    """

    sequence: str
    num_updated: int


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection's documents; `next_page_token` is empty on the last page."""

    documents: tuple[Document, ...]
    next_page_token: str


def document_message(document: Document | Mapping[str, Any], where: str) -> document_pb2.Document:
    """The message for a document to write, which errors call `where`.

    Raises:
        InvalidArgumentError: A message can't carry one of its fields.
        TypeError: The document or one of its fields is of the wrong type.
    """
    if isinstance(document, Mapping):
        try:
            document = Document(**document)
        except TypeError as error:
            raise TypeError(f"{where}: {error}") from None
    if not isinstance(document, Document):
        given = type(document).__name__
        raise TypeError(f"{where}: a Document or a mapping is needed, {given} given")
    return document_pb2.Document(
        id=text(document.id, f"{where}.id"),
        text=text(document.text, f"{where}.text"),
        title=text(document.title, f"{where}.title"),
        vector=vector(document.vector, f"{where}.vector"),
        metadata_json=metadata_json(document.metadata, f"{where}.metadata")
        if document.metadata
        else "",
    )


def fields_message(fields: Fields | None) -> document_pb2.DocumentFields:
    """Which fields to answer; None leaves them to the server. Metadata comes as JSON."""
    if fields is None:
        return document_pb2.DocumentFields(metadata_as_json=True)
    return document_pb2.DocumentFields(
        text=fields.text, metadata=fields.metadata, vector=fields.vector, metadata_as_json=True
    )


def components(message: document_pb2.Vector) -> tuple[float, ...]:
    """An embedding's components."""
    return tuple(message.values)


def span(message: document_pb2.Span) -> Span:
    """Reads a span from its message."""
    return Span(message.start, message.end)


def _document(message: document_pb2.Document) -> Document:
    return Document(
        id=message.id,
        text=message.text,
        title=message.title,
        metadata=read_metadata(message),
        vector=components(message.vector) if message.HasField("vector") else None,
    )


def get(
    collection: str,
    ids: Iterable[str],
    *,
    fields: Fields | None = None,
    allow_missing: bool = False,
    timeout: float | None = None,
) -> Call[tuple[Document, ...]]:
    """Returns documents by id, in the order of the ids.

    Args:
        collection: The collection's name or alias.
        ids: 1 to 1,000.
        fields: What the documents carry. None: text and metadata.
        allow_missing: Whether unknown ids are left out instead of raising NotFoundError.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: The collection is unknown, or a document is unless `allow_missing` is set;
            the message names the first unknown document.
    """

    def documents(response: collection_pb2.GetDocumentsResponse) -> tuple[Document, ...]:
        return tuple(map(_document, response.documents))

    request = collection_pb2.GetDocumentsRequest(
        collection=text(collection, "collection"),
        ids=texts(ids, "ids"),
        fields=fields_message(fields),
        allow_missing=allow_missing,
    )
    return Call(_rpcs.GET_DOCUMENTS, request, documents, timeout)


def count(
    collection: str,
    *,
    filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
    timeout: float | None = None,
) -> Call[int]:
    """Counts the documents that pass a filter, exactly.

    Args:
        collection: The collection's name or alias.
        filter: Which documents. None: all.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such collection.
    """

    def number(response: collection_pb2.CountDocumentsResponse) -> int:
        return response.num_documents

    request = collection_pb2.CountDocumentsRequest(
        collection=text(collection, "collection"), filter=filter_message(filter)
    )
    return Call(_rpcs.COUNT_DOCUMENTS, request, number, timeout)


def delete(
    collection: str,
    ids: Iterable[str] | None = None,
    *,
    filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
    timeout: float | None = None,
) -> Call[DeleteResult]:
    """Deletes documents, by id or by filter. Unknown ids are ignored.

    Args:
        collection: The collection's name or alias.
        ids: 1 to 10,000. Exactly one of `ids` and `filter` must be given.
        filter: Selects documents by metadata. An empty filter is refused: delete the collection
            instead.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such collection.
        TypeError: Both or neither of `ids` and `filter` are given.
    """

    def result(response: collection_pb2.DeleteDocumentsResponse) -> DeleteResult:
        return DeleteResult(response.sequence, response.num_deleted)

    if (ids is None) == (filter is None):
        raise TypeError("ids, filter: exactly one of them is needed")
    request = collection_pb2.DeleteDocumentsRequest(
        collection=text(collection, "collection"),
        ids=None if ids is None else texts(ids, "ids"),
        filter=filter_message(filter),
    )
    return Call(_rpcs.DELETE_DOCUMENTS, request, result, timeout)


def update_metadata(
    collection: str,
    ids: Iterable[str] | None = None,
    *,
    filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
    merge: Mapping[str, Any] | None = None,
    replace: Mapping[str, Any] | None = None,
    timeout: float | None = None,
) -> Call[UpdateResult]:
    """Changes the metadata of documents, all or none; nothing is tokenised or embedded again.

    Args:
        collection: The collection's name or alias.
        ids: 1 to 10,000; unknown ids are ignored. Exactly one of `ids` and `filter` must be given.
        filter: Selects documents by metadata. An empty message `Filter` selects all.
        merge: Fields to change, as JSON Merge Patch says (RFC 7396): None removes a field, a
            mapping is merged with the one that is there, every other value takes the place of what
            is there. Exactly one of `merge` and `replace` must be given.
        replace: What takes the place of all metadata.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        InvalidArgumentError: Among others, a document's metadata would be too large; nothing is
            changed.
        NotFoundError: No such collection.
        TypeError: Both or neither of `ids` and `filter`, or of `merge` and `replace`, are given.
    """

    def result(response: collection_pb2.UpdateMetadataResponse) -> UpdateResult:
        return UpdateResult(response.sequence, response.num_updated)

    if (ids is None) == (filter is None):
        raise TypeError("ids, filter: exactly one of them is needed")
    if (merge is None) == (replace is None):
        raise TypeError("merge, replace: exactly one of them is needed")
    request = collection_pb2.UpdateMetadataRequest(
        collection=text(collection, "collection"),
        ids=None if ids is None else texts(ids, "ids"),
        filter=filter_message(filter),
    )
    if merge is not None:
        request.merge_json = metadata_json(merge, "merge")
    if replace is not None:
        request.replace_json = metadata_json(replace, "replace")
    return Call(_rpcs.UPDATE_METADATA, request, result, timeout)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which documents to list, how many at a time, and what they carry."""

    page_size: int
    filter: Condition | Filter | None
    fields: Fields | None


def page(collection: str, listing: Listing, page_token: str, timeout: float | None) -> Call[Page]:
    """Fetches one page of a listing; an empty token asks for the first page."""

    def result(response: collection_pb2.ListDocumentsResponse) -> Page:
        return Page(tuple(map(_document, response.documents)), response.next_page_token)

    request = collection_pb2.ListDocumentsRequest(
        collection=text(collection, "collection"),
        page_size=int32(listing.page_size, "page_size"),
        page_token=page_token,
        filter=filter_message(listing.filter),
        fields=fields_message(listing.fields),
    )
    return Call(_rpcs.LIST_DOCUMENTS, request, result, timeout)


def refuse_single_document(documents: object) -> None:
    """Refuses a single document where several are meant: iterating a mapping yields its keys."""
    refuse_single(documents, "documents", str, Document, Mapping)
