"""The rpcs of CollectionService that read documents."""

from collections.abc import Iterator, Sequence

from twopass.index.documents import StoredDocument
from twopass.index.errors import AnswerTooLargeError, DocumentTooLargeError
from twopass.index.lanes import Lanes
from twopass.index.pages import DocumentPage
from twopass.index.stopping import Stop
from twopass.server.collections import Collections
from twopass.server.errors import ResponseTooLargeError
from twopass.server.models.passages import Limits
from twopass.server.request import Request
from twopass.server.servicers.answers import element_bytes, read_max_answer_bytes, that_fit
from twopass.server.servicers.documents import check_ids, document_message, read_fields
from twopass.server.servicers.facets import facet_message, read_facets
from twopass.server.servicers.filters import read_filter
from twopass.server.servicers.options import read_page_size
from twopass.server.servicers.translating import Translating
from twopass.v1 import collection_pb2, document_pb2

_DEFAULT_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1_000
_FEW_IDS = 32


class DocumentReads:
    """Translates; the collection does the work."""

    def __init__(
        self, collections: Collections, limits: Limits, lanes: Lanes, translating: Translating
    ) -> None:
        self._collections = collections
        self._limits = limits
        self._lanes = lanes
        self._translating = translating

    async def get_documents(
        self, message: collection_pb2.GetDocumentsRequest, request: Request
    ) -> collection_pb2.GetDocumentsResponse:
        """Returns documents by id."""
        check_ids("ids", message.ids, self._limits.max_documents)
        max_bytes = read_max_answer_bytes(message, self._limits)
        collection = await self._collections.acquire(message.collection, request)
        fields, stop = read_fields(message.fields), request.stop
        documents = await collection.get(
            message.ids, fields, stop, max_bytes, allow_missing=message.allow_missing
        )
        # Building many messages is left to another lane, so that searches don't wait for it.
        lane = self._lanes.reads if len(message.ids) <= _FEW_IDS else self._lanes.pages
        return await lane.run(_documents, documents, message.ids, stop, max_bytes, stop=stop)

    async def list_documents(
        self, message: collection_pb2.ListDocumentsRequest, request: Request
    ) -> collection_pb2.ListDocumentsResponse:
        """Returns a page of documents."""
        page_size = read_page_size(
            message.page_size, default=_DEFAULT_PAGE_SIZE, most=_MAX_PAGE_SIZE
        )
        collection = await self._collections.acquire(message.collection, request)
        wanted = await self._translating.run(
            request.message_bytes, read_filter, message.filter, request=request
        )
        fields, stop = read_fields(message.fields), request.stop
        max_bytes = self._limits.max_answer_bytes
        while True:
            page = await collection.list_page(
                page_size, message.page_token, fields, wanted, stop, max_bytes
            )
            response = await self._lanes.pages.run(_page, page, stop, max_bytes, stop=stop)
            if len(response.documents) == len(page.documents):
                return response
            # Metadata takes more bytes in a message than as JSON. A smaller page has its own token.
            page_size = len(response.documents)

    async def count_documents(
        self, message: collection_pb2.CountDocumentsRequest, request: Request
    ) -> collection_pb2.CountDocumentsResponse:
        """Counts the documents that pass a filter."""
        collection = await self._collections.acquire(message.collection, request)
        wanted = await self._translating.run(
            request.message_bytes, read_filter, message.filter, request=request
        )
        number = await collection.count(wanted, request.stop)
        return collection_pb2.CountDocumentsResponse(num_documents=number)

    async def get_facets(
        self, message: collection_pb2.GetFacetsRequest, request: Request
    ) -> collection_pb2.GetFacetsResponse:
        """Describes the values of metadata fields."""
        facets = read_facets(message.facets)
        collection = await self._collections.acquire(message.collection, request)
        wanted = await self._translating.run(
            request.message_bytes, read_filter, message.filter, request=request
        )
        stop = request.stop
        max_bytes = min(self._limits.max_answer_bytes, self._limits.max_message_bytes)
        response = collection_pb2.GetFacetsResponse()
        left = max_bytes
        for one in facets:
            facet = await collection.facet(wanted, one.field, one.limit, left, stop)
            told = await self._lanes.scans.run(facet_message, facet, left, stop=stop)
            left -= element_bytes(told)
            if left < 0:
                raise ResponseTooLargeError(
                    f"facets: the least and greatest texts alone are over {max_bytes:,} bytes, the "
                    "most of one answer (max_answer_bytes); ask for fewer fields in one call",
                    limit_name="max_answer_bytes",
                    limit=max_bytes,
                )
            response.facets.append(told)
        return response


def _documents(
    documents: Sequence[StoredDocument], ids: Sequence[str], stop: Stop, max_bytes: int
) -> collection_pb2.GetDocumentsResponse:
    """Builds the answer of documents asked for by id."""
    found = {document.id for document in documents}
    missing = [one for one in dict.fromkeys(ids) if one not in found]
    response = collection_pb2.GetDocumentsResponse(missing_ids=missing)
    left = max_bytes - response.ByteSize()
    messages = that_fit(_document_messages(documents, stop), left)
    if len(messages) < len(documents):  # metadata takes more bytes in a message than as JSON
        raise AnswerTooLargeError(len(documents), sum(map(_message_bytes, documents)), left)
    response.documents.extend(messages)
    return response


def _page(page: DocumentPage, stop: Stop, max_bytes: int) -> collection_pb2.ListDocumentsResponse:
    """Builds the answer of a page, with as many of its documents as fit, at least one."""
    messages = that_fit(_document_messages(page.documents, stop), max_bytes)
    if page.documents and not messages:
        first = page.documents[0]
        raise DocumentTooLargeError(first.id, _message_bytes(first), max_bytes)
    return collection_pb2.ListDocumentsResponse(
        documents=messages, next_page_token=page.next_page_token
    )


def _document_messages(
    documents: Sequence[StoredDocument], stop: Stop
) -> Iterator[document_pb2.Document]:
    for document in documents:
        stop.check()
        yield document_message(document)


def _message_bytes(document: StoredDocument) -> int:
    return element_bytes(document_message(document))
