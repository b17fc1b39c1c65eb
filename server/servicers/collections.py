"""CollectionService: collections and what is written to them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from twopass.index.collection.collection import Collection
from twopass.index.collection.summary import CollectionSummary
from twopass.index.collection.writer import UpsertResult
from twopass.index.documents import IndexedDocument
from twopass.index.errors import CollectionAliasedError
from twopass.index.filters import Filter, IdCondition
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.ingest.ahead import in_order
from twopass.server.ingest.documents import Ingest
from twopass.server.models.passages import Limits, check_count
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.servicers.aliases import AliasRpcs
from twopass.server.servicers.documents import document_message, read_document, read_fields
from twopass.server.servicers.filters import read_filter, selects_all
from twopass.server.servicers.options import read_count
from twopass.server.servicers.schemas import collection_message, read_schema
from twopass.server.servicers.snapshots import SnapshotRpcs
from twopass.v1 import collection_pb2, document_pb2

_DEFAULT_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1_000
_MAX_DELETED_IDS = 10_000

# Chunks of one call that are tokenised and embedded at once, and that wait for the disk at once: of
# the latter there are some, since those that wait while a COMMIT is under way share the next one.
_CHUNKS_PREPARED = 2
_CHUNKS_WRITTEN = 6


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Documents as they came in, and where to."""

    collection: Collection
    messages: Sequence[document_pb2.Document]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Documents ready to be written, and where to."""

    collection: Collection
    documents: Sequence[IndexedDocument]


class CollectionServicer(AliasRpcs, SnapshotRpcs):
    """Translates; `Collections` and `Ingest` do the work."""

    def __init__(
        self, collections: Collections, models: Models, ingest: Ingest, limits: Limits
    ) -> None:
        super().__init__(collections)
        self._models = models
        self._ingest = ingest
        self._limits = limits

    async def create_collection(
        self, message: collection_pb2.CreateCollectionRequest, request: Request
    ) -> collection_pb2.CreateCollectionResponse:
        """Creates an empty collection."""
        schema = read_schema(message.schema, self._models)
        collection = await self._collections.create(message.name, schema, request)
        return collection_pb2.CreateCollectionResponse(collection=collection_message(collection))

    async def get_collection(
        self, message: collection_pb2.GetCollectionRequest, request: Request
    ) -> collection_pb2.GetCollectionResponse:
        """Returns one collection."""
        collection = await self._collections.summary(message.name, request)
        return collection_pb2.GetCollectionResponse(collection=self._message(collection, request))

    async def list_collections(
        self, message: collection_pb2.ListCollectionsRequest, request: Request
    ) -> collection_pb2.ListCollectionsResponse:
        """Returns all collections that the caller may use, by name."""
        collections = [
            self._message(collection, request)
            for collection in await self._collections.summaries(request)
        ]
        return collection_pb2.ListCollectionsResponse(collections=collections)

    async def delete_collection(
        self, message: collection_pb2.DeleteCollectionRequest, request: Request
    ) -> collection_pb2.DeleteCollectionResponse:
        """Deletes a collection and everything in it."""
        try:
            await self._collections.delete(message.name, request)
        except CollectionAliasedError as error:
            named = tuple(filter(request.caller.may_use, error.aliases))
            raise CollectionAliasedError(error.collection, named) from error
        return collection_pb2.DeleteCollectionResponse()

    async def upsert_documents(
        self, message: collection_pb2.UpsertDocumentsRequest, request: Request
    ) -> collection_pb2.UpsertDocumentsResponse:
        """Writes documents, all or none."""
        collection = await self._collections.acquire(message.collection, request)
        chunk = await self._prepare(_Chunk(collection, message.documents), request=request)
        result = await asyncio.wrap_future(await self._submit(chunk))
        return collection_pb2.UpsertDocumentsResponse(
            sequence=str(result.sequence),
            num_inserted=result.num_inserted,
            num_replaced=result.num_replaced,
        )

    async def upsert_documents_stream(
        self, messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest], request: Request
    ) -> AsyncIterator[collection_pb2.UpsertDocumentsStreamResponse]:
        """Writes chunks in order, and acknowledges each when it is on disk."""
        progress = collection_pb2.UpsertDocumentsStreamResponse()
        prepare = partial(self._prepare, request=request)
        on_disk = asyncio.wrap_future
        # While chunks wait for the disk, in one COMMIT if they can, the next ones are prepared.
        reserved: deque[int] = deque()  # bytes of each chunk that is not on disk, in their order
        chunks = self._chunks(messages, request, reserved)
        async with (
            aclosing(in_order(chunks, prepare, limit=_CHUNKS_PREPARED)) as prepared,
            aclosing(in_order(prepared, self._submit, limit=1)) as submitted,
            aclosing(in_order(submitted, on_disk, limit=_CHUNKS_WRITTEN)) as written,
        ):
            async for result in written:
                request.release_bytes(reserved.popleft())
                progress.sequence = str(result.sequence)
                progress.num_chunks += 1
                progress.num_documents += result.num_inserted + result.num_replaced
                progress.num_inserted += result.num_inserted
                progress.num_replaced += result.num_replaced
                yield progress

    async def delete_documents(
        self, message: collection_pb2.DeleteDocumentsRequest, request: Request
    ) -> collection_pb2.DeleteDocumentsResponse:
        """Deletes documents by id or by filter."""
        wanted = _read_deleted(message)
        collection = await self._collections.acquire(message.collection, request)
        result = await asyncio.wrap_future(collection.delete_matching(wanted))
        return collection_pb2.DeleteDocumentsResponse(
            sequence=str(result.sequence), num_deleted=result.num_deleted
        )

    async def get_documents(
        self, message: collection_pb2.GetDocumentsRequest, request: Request
    ) -> collection_pb2.GetDocumentsResponse:
        """Returns documents by id."""
        check_count("ids", len(message.ids), self._limits.max_documents, "ask in several calls")
        collection = await self._collections.acquire(message.collection, request)
        documents = await asyncio.to_thread(
            collection.get, message.ids, read_fields(message.fields)
        )
        return collection_pb2.GetDocumentsResponse(
            documents=[document_message(document) for document in documents]
        )

    async def list_documents(
        self, message: collection_pb2.ListDocumentsRequest, request: Request
    ) -> collection_pb2.ListDocumentsResponse:
        """Returns a page of documents."""
        page_size = read_count("page_size", message.page_size) or _DEFAULT_PAGE_SIZE
        if page_size > _MAX_PAGE_SIZE:
            raise InvalidRequestError(f"page_size: {page_size:,} given, at most {_MAX_PAGE_SIZE:,}")
        collection = await self._collections.acquire(message.collection, request)
        page = await asyncio.to_thread(
            collection.list_page,
            page_size,
            message.page_token,
            read_fields(message.fields),
            read_filter(message.filter),
        )
        return collection_pb2.ListDocumentsResponse(
            documents=[document_message(document) for document in page.documents],
            next_page_token=page.next_page_token,
        )

    def _message(
        self, collection: CollectionSummary, request: Request
    ) -> collection_pb2.Collection:
        """A collection as a message that names what the caller may use."""
        aliases = self._collections.aliases.of(collection.name)
        return collection_message(collection, filter(request.caller.may_use, aliases))

    async def _chunks(
        self,
        messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest],
        request: Request,
        reserved: deque[int],
    ) -> AsyncIterator[_Chunk]:
        """Documents as they come in, and where to: to the collection that the first names."""
        name, collection = "", None
        async for message in messages:
            if collection is None:
                name = message.collection
                collection = await self._collections.acquire(name, request)
            elif message.collection not in ("", name):
                raise InvalidRequestError(
                    f"collection: {message.collection!r} given, but this call writes to {name!r}"
                )
            num_bytes = message.ByteSize()
            request.reserve_bytes(num_bytes)
            reserved.append(num_bytes)
            yield _Chunk(collection, message.documents)

    async def _prepare(self, chunk: _Chunk, *, request: Request) -> _Prepared:
        messages = chunk.messages
        check_count("documents", len(messages), self._limits.max_documents, "send smaller chunks")
        documents = [
            read_document(f"documents[{i}]", message, self._limits)
            for i, message in enumerate(messages)
        ]
        prepared = await self._ingest.prepare(chunk.collection, documents, request.deadline)
        return _Prepared(chunk.collection, prepared)

    async def _submit(self, chunk: _Prepared) -> Future[UpsertResult]:
        """Checks a chunk and queues it; the future resolves when it is on disk."""
        return await asyncio.to_thread(chunk.collection.upsert, chunk.documents)


def _read_deleted(message: collection_pb2.DeleteDocumentsRequest) -> Filter:
    """Which documents to delete."""
    if not message.HasField("filter"):
        check_count("ids", len(message.ids), _MAX_DELETED_IDS, "delete in several calls")
        return Filter(must=(IdCondition(tuple(message.ids)),))
    if message.ids:
        raise InvalidRequestError(
            f"filter: given together with {len(message.ids):,} ids; give one of them, a filter can "
            "have a condition on ids"
        )
    wanted = read_filter(message.filter)
    if selects_all(wanted):
        raise InvalidRequestError(
            "filter: it has no condition, so every document would go; delete the collection instead"
        )
    return wanted
