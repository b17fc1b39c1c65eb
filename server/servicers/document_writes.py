"""The rpcs of CollectionService that write documents."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial

from twopass.index.base.collection import Collection
from twopass.index.documents import OnConflict
from twopass.index.filters import Filter, IdCondition, selects_all
from twopass.index.metadata import MergeMetadata, MetadataChange, ReplaceMetadata
from twopass.index.writes import UpsertResult
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError, at_place
from twopass.server.ingest.ahead import in_order
from twopass.server.ingest.documents import Ingest, PreparedDocuments
from twopass.server.models.passages import Limits, check_count
from twopass.server.request import Request
from twopass.server.servicers.documents import check_ids, read_documents, read_on_conflict
from twopass.server.servicers.filters import read_filter
from twopass.server.servicers.metadata import read_metadata, read_metadata_json
from twopass.server.servicers.translating import Translating
from twopass.v1 import collection_pb2, document_pb2

_MAX_CHOSEN_IDS = 10_000

# Chunks of one call that are tokenised and embedded at once, and chunks that wait for the disk at
# once. More may wait for the disk, since those that wait during a COMMIT share the next one.
_CHUNKS_PREPARED = 2
_CHUNKS_WRITTEN = 6
# Putting a document together takes as long as reading so many bytes of a message.
_DOCUMENT_BYTES = 128


@dataclass(slots=True)
class _Chunk:
    """The documents of one message, its size in bytes, and where and how they are written.

    Attributes:
        num_reserved: Bytes reserved for the documents until they are on disk.
    """

    collection: Collection
    messages: Sequence[document_pb2.Document]
    num_bytes: int
    on_conflict: OnConflict
    num_reserved: int = 0


@dataclass(frozen=True, slots=True)
class _Submitted:
    """A chunk on its way to the disk, and how many of its documents were skipped before."""

    written: Awaitable[UpsertResult]
    num_skipped: int

    async def on_disk(self) -> UpsertResult:
        """Waits until the chunk is on disk; the result counts all that were skipped."""
        result = await self.written
        return replace(result, num_skipped=result.num_skipped + self.num_skipped)


class DocumentWrites:
    """Translates; `Ingest` and the collection do the work."""

    def __init__(
        self, collections: Collections, ingest: Ingest, limits: Limits, translating: Translating
    ) -> None:
        self._collections = collections
        self._ingest = ingest
        self._limits = limits
        self._translating = translating

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
            num_split=result.num_split,
        )

    async def upsert_documents_stream(
        self, messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest], request: Request
    ) -> AsyncIterator[collection_pb2.UpsertDocumentsStreamResponse]:
        """Writes chunks in order, and acknowledges each when it is on disk."""
        progress = collection_pb2.UpsertDocumentsStreamResponse()
        prepare = partial(self._prepare, request=request)
        submit = partial(self._submit, request=request)
        # While chunks wait for the disk, in one COMMIT if they can, the next ones are prepared.
        unwritten: deque[_Chunk] = deque()  # chunks that are not on disk, in their order
        chunks = self._chunks(messages, request, unwritten)
        try:
            async with (
                aclosing(in_order(chunks, prepare, limit=_CHUNKS_PREPARED)) as prepared,
                aclosing(in_order(prepared, submit, limit=1)) as submitted,
                aclosing(in_order(submitted, _Submitted.on_disk, limit=_CHUNKS_WRITTEN)) as written,
            ):
                async for result in written:
                    request.release_bytes(unwritten.popleft().num_reserved)
                    progress.sequence = str(result.sequence)
                    progress.num_chunks += 1
                    progress.num_documents += result.num_inserted + result.num_replaced
                    progress.num_inserted += result.num_inserted
                    progress.num_replaced += result.num_replaced
                    progress.num_skipped += result.num_skipped
                    progress.num_split += result.num_split
                    yield progress
        except Exception as error:  # errors come in the order of the chunks, like results
            done = progress.num_chunks
            raise at_place(error, chunk=done + 1, chunks_written=done) from error

    async def delete_documents(
        self, message: collection_pb2.DeleteDocumentsRequest, request: Request
    ) -> collection_pb2.DeleteDocumentsResponse:
        """Deletes documents by id or by filter."""
        wanted = await self._translating.run(
            request.message_bytes, _read_deleted, message, request=request
        )
        collection = await self._collections.acquire(message.collection, request)
        result = await collection.delete(wanted, request.stop)
        return collection_pb2.DeleteDocumentsResponse(
            sequence=str(result.sequence), num_deleted=result.num_deleted
        )

    async def update_metadata(
        self, message: collection_pb2.UpdateMetadataRequest, request: Request
    ) -> collection_pb2.UpdateMetadataResponse:
        """Changes the metadata of documents by id or by filter."""
        wanted, change = await self._translating.run(
            request.message_bytes, _read_update, message, request=request
        )
        collection = await self._collections.acquire(message.collection, request)
        result = await collection.update_metadata(wanted, change, request.stop)
        return collection_pb2.UpdateMetadataResponse(
            sequence=str(result.sequence), num_updated=result.num_updated
        )

    async def _chunks(
        self,
        messages: AsyncIterator[collection_pb2.UpsertDocumentsStreamRequest],
        request: Request,
        unwritten: deque[_Chunk],
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
                    f"collection: {message.collection!r} given, but this call writes to {name!r}",
                    value=message.collection,
                )
            if message.on_conflict not in (0, on_conflict):
                raise InvalidRequestError(
                    f"on_conflict: {_conflict(message.on_conflict)} given, but the first chunk of "
                    f"this call has {_conflict(on_conflict)}; make another call",
                    value=_conflict(message.on_conflict),
                )
            num_bytes = request.message_bytes
            request.reserve_bytes(num_bytes)
            chunk = _Chunk(
                collection,
                message.documents,
                num_bytes,
                read_on_conflict(on_conflict),
                num_reserved=num_bytes,
            )
            unwritten.append(chunk)
            yield chunk

    async def _prepare(self, chunk: _Chunk, *, request: Request) -> PreparedDocuments:
        messages = chunk.messages
        check_count("documents", len(messages), self._limits.max_documents, "send smaller chunks")
        documents = await self._translating.run(
            chunk.num_bytes, read_documents, messages, self._limits, request.stop, request=request
        )
        prepared = await self._ingest.prepare(
            chunk.collection, documents, request, chunk.on_conflict
        )
        chunk.num_reserved += prepared.num_bytes
        return prepared

    async def _submit(self, prepared: PreparedDocuments, *, request: Request) -> _Submitted:
        """Checks a chunk, and takes its place among the writes."""
        documents = await self._translating.run(
            len(prepared.documents) * _DOCUMENT_BYTES, prepared.indexed, request=request
        )
        written = await prepared.collection.submit_upsert(
            documents, prepared.on_conflict, prepared.places, request.stop
        )
        return _Submitted(written, prepared.num_skipped)


def _conflict(value: int) -> str:
    """The name of a value of `OnConflict`, or the number of an unknown one."""
    known = collection_pb2.OnConflict.DESCRIPTOR.values_by_number.get(value)
    return known.name if known else str(value)


def _read_deleted(message: collection_pb2.DeleteDocumentsRequest) -> Filter:
    """Reads which documents to delete."""
    wanted = _read_chosen(message)
    if selects_all(wanted):
        raise InvalidRequestError(
            "filter: it has no condition, so every document would go; delete the collection instead"
        )
    return wanted


def _read_update(
    message: collection_pb2.UpdateMetadataRequest,
) -> tuple[Filter, MetadataChange]:
    """Reads whose metadata to change, and how."""
    wanted = _read_chosen(message)
    match message.WhichOneof("change"):
        case "merge":
            return wanted, MergeMetadata(read_metadata("merge", message.merge))
        case "replace":
            return wanted, ReplaceMetadata(read_metadata("replace", message.replace))
        case "merge_json":
            return wanted, MergeMetadata(read_metadata_json("merge_json", message.merge_json))
        case "replace_json":
            return wanted, ReplaceMetadata(read_metadata_json("replace_json", message.replace_json))
    raise InvalidRequestError("change: unset; merge or replace is needed")


def _read_chosen(
    message: collection_pb2.DeleteDocumentsRequest | collection_pb2.UpdateMetadataRequest,
) -> Filter:
    """Reads which documents a write is about, by `ids` or by `filter`."""
    if not message.HasField("filter"):
        check_ids("ids", message.ids, _MAX_CHOSEN_IDS)
        return Filter(must=(IdCondition(tuple(message.ids)),))
    if message.ids:
        raise InvalidRequestError(
            f"filter: given together with {len(message.ids):,} ids; give one of them, a filter can "
            "have a condition on ids"
        )
    return read_filter(message.filter)
