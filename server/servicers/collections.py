"""CollectionService: collections, their documents, their snapshots and their aliases."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from twopass.index.collection.collection import Collection
from twopass.index.collection.summary import CollectionSummary
from twopass.index.collection.writer import UpsertResult
from twopass.index.documents import DocumentFields, OnConflict, StoredDocument
from twopass.index.errors import (
    AnswerTooLargeError,
    CollectionAliasedError,
    DocumentTooLargeError,
)
from twopass.index.filters import Filter, IdCondition
from twopass.index.lanes import Lanes
from twopass.index.schema import check_name
from twopass.index.stopping import Stop
from twopass.index.store.aliases import AliasChange
from twopass.index.store.snapshots import Snapshot
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.ingest.ahead import in_order
from twopass.server.ingest.documents import Ingest, PreparedDocuments
from twopass.server.models.passages import Limits, check_count
from twopass.server.models.registry import Models
from twopass.server.request import Caller, Request
from twopass.server.servicers.answers import (
    element_bytes,
    page_that_fits,
    read_max_answer_bytes,
    that_fit,
)
from twopass.server.servicers.documents import (
    check_ids,
    document_message,
    read_documents,
    read_fields,
    read_on_conflict,
)
from twopass.server.servicers.filters import read_filter, selects_all
from twopass.server.servicers.options import read_count
from twopass.server.servicers.schemas import collection_message, read_schema
from twopass.server.servicers.translating import Translating
from twopass.v1 import collection_pb2, document_pb2

_DEFAULT_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1_000
_MAX_DELETED_IDS = 10_000
_MAX_ALIAS_CHANGES = 1_000
_FEW_IDS = 32
_SNAPSHOT_TOKEN = re.compile(r"([0-9]{1,18})@(.{1,255})")

# Estimated bytes of the message that describes a collection or a snapshot.
_SUMMARY_BYTES = 300

# Chunks of one call that are tokenised and embedded at once, and chunks that wait for the disk at
# once. More may wait for the disk, since those that wait during a COMMIT share the next one.
_CHUNKS_PREPARED = 2
_CHUNKS_WRITTEN = 6


@dataclass(frozen=True, slots=True)
class _Chunk:
    """The documents of one message, its size in bytes, and where and how they are written."""

    collection: Collection
    messages: Sequence[document_pb2.Document]
    num_bytes: int
    on_conflict: OnConflict


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A chunk on its way to the disk, and how many of its documents were skipped before."""

    future: Future[UpsertResult]
    num_skipped: int

    async def on_disk(self) -> UpsertResult:
        """Waits until the chunk is on disk; the result counts all that were skipped."""
        result = await asyncio.wrap_future(self.future)
        return replace(result, num_skipped=result.num_skipped + self.num_skipped)


class CollectionServicer:
    """Translates; `Collections` and `Ingest` do the work."""

    def __init__(
        self,
        collections: Collections,
        models: Models,
        ingest: Ingest,
        limits: Limits,
        lanes: Lanes,
        translating: Translating,
    ) -> None:
        self._collections = collections
        self._models = models
        self._ingest = ingest
        self._limits = limits
        self._lanes = lanes
        self._translating = translating

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
        return collection_pb2.GetCollectionResponse(
            collection=self._message(collection, request.caller)
        )

    async def list_collections(
        self, message: collection_pb2.ListCollectionsRequest, request: Request
    ) -> collection_pb2.ListCollectionsResponse:
        """Returns a page of the collections that the caller may use, by name."""
        page_size = read_count("page_size", message.page_size)
        if message.page_token:
            check_name(message.page_token, "page_token")
        summaries = await self._collections.summaries(
            request, after=message.page_token, limit=page_size + 1 if page_size else None
        )
        return await self._translating.run(
            len(summaries) * _SUMMARY_BYTES,
            self._collections_page,
            summaries,
            page_size,
            request.caller,
            request=request,
        )

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
        on_conflict = read_on_conflict(message.on_conflict)
        chunk = _Chunk(collection, message.documents, request.message_bytes, on_conflict)
        prepared = await self._prepare(chunk, request=request)
        submitted = await self._submit(prepared, request=request)
        result = await submitted.on_disk()
        return collection_pb2.UpsertDocumentsResponse(
            sequence=str(result.sequence),
            num_inserted=result.num_inserted,
            num_replaced=result.num_replaced,
            num_skipped=result.num_skipped,
        )

    async def upsert_documents_stream(
        self, messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest], request: Request
    ) -> AsyncIterator[collection_pb2.UpsertDocumentsStreamResponse]:
        """Writes chunks in order, and acknowledges each when it is on disk."""
        progress = collection_pb2.UpsertDocumentsStreamResponse()
        prepare = partial(self._prepare, request=request)
        submit = partial(self._submit, request=request)
        # While chunks wait for the disk, in one COMMIT if they can, the next ones are prepared.
        reserved: deque[int] = deque()  # bytes of each chunk that is not on disk, in their order
        chunks = self._chunks(messages, request, reserved)
        async with (
            aclosing(in_order(chunks, prepare, limit=_CHUNKS_PREPARED)) as prepared,
            aclosing(in_order(prepared, submit, limit=1)) as submitted,
            aclosing(in_order(submitted, _Submitted.on_disk, limit=_CHUNKS_WRITTEN)) as written,
        ):
            async for result in written:
                request.release_bytes(reserved.popleft())
                progress.sequence = str(result.sequence)
                progress.num_chunks += 1
                progress.num_documents += result.num_inserted + result.num_replaced
                progress.num_inserted += result.num_inserted
                progress.num_replaced += result.num_replaced
                progress.num_skipped += result.num_skipped
                yield progress

    async def delete_documents(
        self, message: collection_pb2.DeleteDocumentsRequest, request: Request
    ) -> collection_pb2.DeleteDocumentsResponse:
        """Deletes documents by id or by filter."""
        wanted = await self._translating.run(
            request.message_bytes, _read_deleted, message, request=request
        )
        collection = await self._collections.acquire(message.collection, request)
        result = await asyncio.wrap_future(collection.delete_matching(wanted, request.stop))
        return collection_pb2.DeleteDocumentsResponse(
            sequence=str(result.sequence), num_deleted=result.num_deleted
        )

    async def get_documents(
        self, message: collection_pb2.GetDocumentsRequest, request: Request
    ) -> collection_pb2.GetDocumentsResponse:
        """Returns documents by id."""
        check_ids("ids", message.ids, self._limits.max_documents)
        max_bytes = read_max_answer_bytes(message, self._limits)
        collection = await self._collections.acquire(message.collection, request)
        fields, stop = read_fields(message.fields), request.stop
        # Reading many documents is left to another lane, so that searches don't wait for it.
        lane = self._lanes.reads if len(message.ids) <= _FEW_IDS else self._lanes.pages
        return await lane.run(_get, collection, message, fields, stop, max_bytes, stop=stop)

    async def list_documents(
        self, message: collection_pb2.ListDocumentsRequest, request: Request
    ) -> collection_pb2.ListDocumentsResponse:
        """Returns a page of documents."""
        page_size = read_count("page_size", message.page_size) or _DEFAULT_PAGE_SIZE
        if page_size > _MAX_PAGE_SIZE:
            raise InvalidRequestError(f"page_size: {page_size:,} given, at most {_MAX_PAGE_SIZE:,}")
        collection = await self._collections.acquire(message.collection, request)
        wanted = await self._translating.run(
            request.message_bytes, read_filter, message.filter, request=request
        )
        # A filter may look at every document before it finds the first of the page.
        lane = self._lanes.pages if selects_all(wanted) else self._lanes.scans
        fields, stop = read_fields(message.fields), request.stop
        max_bytes = self._limits.max_answer_bytes
        page = (page_size, message.page_token, fields, wanted, stop, max_bytes)
        return await lane.run(_list, collection, *page, stop=stop)

    async def count_documents(
        self, message: collection_pb2.CountDocumentsRequest, request: Request
    ) -> collection_pb2.CountDocumentsResponse:
        """Counts the documents that pass a filter."""
        collection = await self._collections.acquire(message.collection, request)
        wanted = await self._translating.run(
            request.message_bytes, read_filter, message.filter, request=request
        )
        stop = request.stop
        number = await self._lanes.scans.run(collection.count, wanted, stop, stop=stop)
        return collection_pb2.CountDocumentsResponse(num_documents=number)

    async def update_aliases(
        self, message: collection_pb2.UpdateAliasesRequest, request: Request
    ) -> collection_pb2.UpdateAliasesResponse:
        """Makes, switches and removes aliases, all or none; returns all that the caller may use."""
        if message.changes:
            advice = "change them in several calls"
            check_count("changes", len(message.changes), _MAX_ALIAS_CHANGES, advice)
        changes = [AliasChange(x.alias, x.collection or None) for x in message.changes]
        aliases = await self._collections.update_aliases(changes, request)
        return collection_pb2.UpdateAliasesResponse(
            aliases=[
                collection_pb2.Alias(alias=alias, collection=collection)
                for alias, collection in aliases.items()
                if request.caller.may_use(alias)
            ]
        )

    async def create_snapshot(
        self, message: collection_pb2.CreateSnapshotRequest, request: Request
    ) -> collection_pb2.CreateSnapshotResponse:
        """Copies a collection as it is now."""
        snapshot = await self._collections.create_snapshot(
            message.collection, message.name, request
        )
        return collection_pb2.CreateSnapshotResponse(snapshot=_snapshot_message(snapshot))

    async def list_snapshots(
        self, message: collection_pb2.ListSnapshotsRequest, request: Request
    ) -> collection_pb2.ListSnapshotsResponse:
        """Returns a page of a collection's snapshots, oldest first."""
        page_size = read_count("page_size", message.page_size)
        after = _read_snapshot_token(message.page_token)
        snapshots = await self._collections.list_snapshots(message.collection, request)
        following = [snapshot for snapshot in snapshots if _place(snapshot) > after]
        return await self._translating.run(
            len(following) * _SUMMARY_BYTES,
            _snapshots_page,
            following,
            page_size,
            self._limits.max_answer_bytes,
            request=request,
        )

    async def delete_snapshot(
        self, message: collection_pb2.DeleteSnapshotRequest, request: Request
    ) -> collection_pb2.DeleteSnapshotResponse:
        """Deletes a snapshot."""
        await self._collections.delete_snapshot(message.collection, message.name, request)
        return collection_pb2.DeleteSnapshotResponse()

    async def restore_snapshot(
        self, message: collection_pb2.RestoreSnapshotRequest, request: Request
    ) -> collection_pb2.RestoreSnapshotResponse:
        """Restores a snapshot into a new collection."""
        restored = await self._collections.restore(
            message.collection, message.name, message.new_collection, request
        )
        return collection_pb2.RestoreSnapshotResponse(collection=collection_message(restored))

    def _collections_page(
        self, summaries: Sequence[CollectionSummary], page_size: int, caller: Caller
    ) -> collection_pb2.ListCollectionsResponse:
        messages = (self._message(summary, caller) for summary in summaries)
        page, has_more = page_that_fits(messages, page_size, self._limits.max_answer_bytes)
        return collection_pb2.ListCollectionsResponse(
            collections=page, next_page_token=page[-1].name if has_more else ""
        )

    def _message(self, collection: CollectionSummary, caller: Caller) -> collection_pb2.Collection:
        """A collection as a message, with those of its aliases that the caller may use."""
        aliases = self._collections.aliases.of(collection.name)
        return collection_message(collection, filter(caller.may_use, aliases))

    async def _chunks(
        self,
        messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest],
        request: Request,
        reserved: deque[int],
    ) -> AsyncIterator[_Chunk]:
        """Yields a chunk for each message; all go to the collection that the first one names."""
        name, collection, on_conflict = "", None, collection_pb2.ON_CONFLICT_REPLACE
        async for message in messages:
            if collection is None:
                name = message.collection
                on_conflict = message.on_conflict or on_conflict
                collection = await self._collections.acquire(name, request)
            elif message.collection not in ("", name):
                raise InvalidRequestError(
                    f"collection: {message.collection!r} given, but this call writes to {name!r}"
                )
            if message.on_conflict not in (0, on_conflict):
                raise InvalidRequestError(
                    f"on_conflict: {_conflict(message.on_conflict)} given, but the first chunk of "
                    f"this call has {_conflict(on_conflict)}; make another call"
                )
            num_bytes = request.message_bytes
            request.reserve_bytes(num_bytes)
            reserved.append(num_bytes)
            yield _Chunk(collection, message.documents, num_bytes, read_on_conflict(on_conflict))

    async def _prepare(self, chunk: _Chunk, *, request: Request) -> PreparedDocuments:
        messages = chunk.messages
        check_count("documents", len(messages), self._limits.max_documents, "send smaller chunks")
        documents = await self._translating.run(
            chunk.num_bytes, read_documents, messages, self._limits, request.stop, request=request
        )
        return await self._ingest.prepare(chunk.collection, documents, request, chunk.on_conflict)

    async def _submit(self, prepared: PreparedDocuments, *, request: Request) -> _Submitted:
        """Checks a chunk and queues it."""
        future = await self._translating.in_thread(prepared.write, request=request)
        return _Submitted(future, prepared.num_skipped)


def _get(
    collection: Collection,
    message: collection_pb2.GetDocumentsRequest,
    fields: DocumentFields,
    stop: Stop,
    max_bytes: int,
) -> collection_pb2.GetDocumentsResponse:
    """Reads documents and builds the answer; blocks."""
    documents = collection.get(
        message.ids, fields, stop, max_bytes, allow_missing=message.allow_missing
    )
    found = {document.id for document in documents}
    missing = [one for one in dict.fromkeys(message.ids) if one not in found]
    response = collection_pb2.GetDocumentsResponse(missing_ids=missing)
    left = max_bytes - response.ByteSize()
    messages = that_fit(_document_messages(documents, stop), left)
    if len(messages) < len(documents):  # metadata takes more bytes in a message than as JSON
        raise AnswerTooLargeError(len(documents), sum(map(_message_bytes, documents)), left)
    response.documents.extend(messages)
    return response


def _conflict(value: int) -> str:
    """The name of a value of `OnConflict`, or the number of an unknown one."""
    known = collection_pb2.OnConflict.DESCRIPTOR.values_by_number.get(value)
    return known.name if known else str(value)


def _list(
    collection: Collection,
    page_size: int,
    token: str,
    fields: DocumentFields,
    wanted: Filter,
    stop: Stop,
    max_bytes: int,
) -> collection_pb2.ListDocumentsResponse:
    """Reads a page and builds the answer; blocks."""
    while True:
        page = collection.list_page(page_size, token, fields, wanted, stop, max_bytes)
        messages = that_fit(_document_messages(page.documents, stop), max_bytes)
        if len(messages) == len(page.documents):
            return collection_pb2.ListDocumentsResponse(
                documents=messages, next_page_token=page.next_page_token
            )
        if not messages:
            first = page.documents[0]
            raise DocumentTooLargeError(first.id, _message_bytes(first), max_bytes)
        # Metadata takes more bytes in a message than as JSON. A smaller page has its own token.
        page_size = len(messages)


def _document_messages(
    documents: Sequence[StoredDocument], stop: Stop
) -> Iterator[document_pb2.Document]:
    for document in documents:
        stop.check()
        yield document_message(document)


def _message_bytes(document: StoredDocument) -> int:
    return element_bytes(document_message(document))


def _read_deleted(message: collection_pb2.DeleteDocumentsRequest) -> Filter:
    """Reads which documents to delete."""
    if not message.HasField("filter"):
        check_ids("ids", message.ids, _MAX_DELETED_IDS)
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


def _snapshots_page(
    snapshots: Sequence[Snapshot], page_size: int, max_bytes: int
) -> collection_pb2.ListSnapshotsResponse:
    page, has_more = page_that_fits(map(_snapshot_message, snapshots), page_size, max_bytes)
    token = "{}@{}".format(*_place(snapshots[len(page) - 1])) if has_more else ""
    return collection_pb2.ListSnapshotsResponse(snapshots=page, next_page_token=token)


def _place(snapshot: Snapshot) -> tuple[int, str]:
    """The sort key of snapshots: creation time, then name."""
    return snapshot.create_time_us, snapshot.name


def _read_snapshot_token(token: str) -> tuple[int, str]:
    """Reads the sort key after which a page begins."""
    if not token:
        return -1, ""
    if (match := _SNAPSHOT_TOKEN.fullmatch(token)) is None:
        raise InvalidRequestError(
            f"page_token: {token[:64]!r} is no token of ListSnapshots; begin with an empty one"
        )
    return int(match[1]), match[2]


def _snapshot_message(snapshot: Snapshot) -> collection_pb2.Snapshot:
    """A snapshot as a message."""
    message = collection_pb2.Snapshot(
        name=snapshot.name,
        collection=snapshot.collection,
        sequence=snapshot.sequence,
        num_documents=snapshot.num_documents,
        num_bytes=snapshot.num_bytes,
        sha256=snapshot.sha256,
        damaged_reason=snapshot.damaged_reason,
    )
    message.create_time.FromMicroseconds(snapshot.create_time_us)
    return message
