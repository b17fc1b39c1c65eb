"""The client for asyncio."""

# ruff: noqa: ASYNC109  # a call's timeout is a deadline that travels to the server

import asyncio
import functools
import math
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
)
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc
import grpc.aio

from twopass.client import (
    _aliases,
    _collections,
    _documents,
    _embed,
    _facets,
    _feedback,
    _models,
    _report,
    _rerank,
    _rpcs,
    _search,
    _server,
    _snapshots,
)
from twopass.client._asyncio_streams import Duplex, Feed, chunks_of
from twopass.client._balancing import Balancing
from twopass.client._call import Call, Result, method_signature
from twopass.client._channel import MAX_MESSAGE_BYTES, Connection, Options, connection
from twopass.client._documents import Document, Fields, Listing
from twopass.client._enums import OnConflict
from twopass.client._errors import translated
from twopass.client._feedback import FeedbackKindName, FeedbackListing, RecordedFeedback
from twopass.client._filters import Condition
from twopass.client._health import CHECK, FIRST_PAUSE, LONGEST_PAUSE
from twopass.client._hedging import first_answer_async
from twopass.client._rerank import CandidateSet
from twopass.client._rerank_results import SetResult, set_result
from twopass.client._rpcs import Request, Response, Rpc
from twopass.client._target import shown
from twopass.client._upsert import Chunker, OnProgress, Upload, UpsertSummary
from twopass.client.errors import DeadlineExceededError, TwopassError, UnavailableError
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest as Chunk
from twopass.v1.collection_pb2 import UpsertDocumentsStreamResponse as Acknowledgement
from twopass.v1.filter_pb2 import Filter
from twopass.v1.rerank_pb2 import RerankStreamRequest, RerankStreamResponse

Parameters = ParamSpec("Parameters")


def _method(
    build: Callable[Parameters, Call[Result]],
) -> "Callable[Concatenate[AsyncClient, Parameters], Coroutine[Any, Any, Result]]":
    """The coroutine method that makes the calls of `build`."""

    @functools.wraps(build)
    async def method(
        self: "AsyncClient", /, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        return await self._run(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
    return method


class AsyncClient:
    """`Client` for asyncio: the same methods, to be awaited, or iterated with `async for`.

    One client belongs to one event loop: that of its first call.

    ```python
    async with AsyncClient("localhost:50051") as client:
        hits = (await client.search("docs", "How do I parse a date?", top_n=3)).hits
    ```
    """

    def __init__(
        self,
        target: str = "localhost:50051",
        *,
        api_key: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        timeout: float | None = 30.0,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        options: Options = (),
        balancing: Balancing | None = None,
    ) -> None:
        """Opens the client; arguments as for `Client`."""
        self._connection = connection(
            target, api_key, credentials, timeout, max_message_bytes, options, balancing
        )
        self._is_closed = False

    search = _method(_search.search)
    batch_search = _method(_search.batch_search)
    rerank = _method(_rerank.rerank)
    embed = _method(_embed.embed)
    create_collection = _method(_collections.create_collection)
    get_collection = _method(_collections.get_collection)
    list_collections = _method(_collections.list_collections)
    delete_collection = _method(_collections.delete_collection)
    rename_collection = _method(_collections.rename_collection)
    set_search_defaults = _method(_collections.set_search_defaults)
    update_aliases = _method(_aliases.update_aliases)
    create_snapshot = _method(_snapshots.create_snapshot)
    list_snapshots = _method(_snapshots.list_snapshots)
    delete_snapshot = _method(_snapshots.delete_snapshot)
    restore_snapshot = _method(_snapshots.restore_snapshot)
    get = _method(_documents.get)
    count = _method(_documents.count)
    facets = _method(_facets.facets)
    delete = _method(_documents.delete)
    update_metadata = _method(_documents.update_metadata)
    record_feedback = _method(_feedback.record_feedback)
    delete_feedback = _method(_feedback.delete_feedback)
    shadows = _method(_feedback.shadows)
    models = _method(_models.models)
    model = _method(_models.model)
    report = _method(_report.report)
    reports = _method(_report.reports)
    server_info = _method(_server.server_info)

    async def documents(
        self,
        collection: str,
        *,
        page_size: int = 100,
        filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
        fields: Fields | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Document]:
        """Yields a collection's documents, as `Client.documents` does."""
        listing = Listing(page_size, filter, fields)
        token = ""
        while True:
            page = await self._run(_documents.page(collection, listing, token, timeout))
            for document in page.documents:
                yield document
            token = page.next_page_token
            if not token:
                return

    async def feedback(
        self,
        collection: str,
        *,
        kind: FeedbackKindName | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        page_size: int = 1_000,
        timeout: float | None = None,
    ) -> AsyncIterator[RecordedFeedback]:
        """Yields a collection's clicks and judgements, as `Client.feedback` does."""
        listing = FeedbackListing(page_size=page_size, kind=kind, start=start, end=end)
        token = ""
        while True:
            page = await self._run(_feedback.feedback_page(collection, listing, token, timeout))
            for one in page.feedback:
                yield one
            token = page.next_page_token
            if not token:
                return

    async def upsert(
        self,
        collection: str,
        documents: Iterable[Document | Mapping[str, Any]]
        | AsyncIterable[Document | Mapping[str, Any]],
        *,
        chunk_size: int = 256,
        on_conflict: OnConflict | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> UpsertSummary:
        """Writes documents, as `Client.upsert` does; they may be an asynchronous iterable too."""
        chunks = chunks_of(Chunker(collection, chunk_size, on_conflict), documents)
        attempts = self._connection.attempts_at_stream(
            _rpcs.UPSERT_DOCUMENTS_STREAM,
            None if timeout == math.inf else timeout,
            is_repeatable=on_conflict != "fail",
        )
        upload = Upload(attempts, on_progress, on_conflict)
        stream = self._upload_stream(upload)
        try:
            with upload.locating():
                async for chunk in chunks:
                    stream.write(chunk)
                    upload.send(chunk)
                    while upload.is_full or stream.is_done:
                        try:
                            message = await stream.read()
                        except TwopassError as error:
                            stream = await self._taken_over(stream, upload, error)
                        else:
                            upload.acknowledge(message)
                stream.done_writing()
                while True:
                    try:
                        message = await stream.read()
                    except TwopassError as error:
                        if upload.is_on_disk:
                            break
                        stream = await self._taken_over(stream, upload, error)
                        stream.done_writing()
                        continue
                    if message is None:
                        break
                    upload.acknowledge(message)
        finally:
            stream.close()
        return upload.complete()

    async def rerank_stream(
        self,
        sets: Iterable[CandidateSet] | AsyncIterable[CandidateSet],
        *,
        piece_size: int = 1_000,
        max_in_flight: int = 16,
        timeout: float | None = None,
    ) -> AsyncIterator[SetResult]:
        """Scores many candidate sets over one call, as `Client.rerank_stream` does.

        A separate task reads `sets`, which may be an asynchronous iterable too. Close the iterator
        (`contextlib.aclosing`) if you stop before its end.
        """
        feed = Feed(sets, piece_size, max_in_flight)
        stream: Duplex[RerankStreamRequest, RerankStreamResponse] = Duplex(
            self._stream(_rpcs.RERANK_STREAM, timeout), self._connection, timeout
        )
        writing = asyncio.create_task(feed.write_to(stream))
        try:
            while (response := await stream.read()) is not None:
                yield feed.answered(set_result(response))
        finally:
            writing.cancel()
            stream.close()
        feed.raise_failure()

    async def is_ready(self, service: str = "", *, timeout: float | None = 5.0) -> bool:
        """Whether the server and its engines are ready; see `Client.is_ready`."""
        try:
            return await self._run(Call(CHECK, service, bool, timeout))
        except (UnavailableError, DeadlineExceededError):
            return False

    async def wait_until_ready(self, timeout: float = 60.0, *, service: str = "") -> None:
        """Waits until the server is ready, as `Client.wait_until_ready` does."""
        end = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while not await self.is_ready(service, timeout=min(LONGEST_PAUSE, timeout)):
            if time.monotonic() + pause > end:
                raise DeadlineExceededError(
                    f"the server at {shown(self._connection.target)} was not ready within "
                    f"{timeout:g} s"
                )
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def for_asyncio(self) -> "AsyncClient":
        """A client of the same server for another event loop, as `Client.for_asyncio` makes it."""
        return AsyncClient._of(self._connection)

    @classmethod
    def _of(cls, connection: Connection) -> Self:
        client = cls.__new__(cls)
        client._connection, client._is_closed = connection, False
        return client

    async def close(self) -> None:
        """Ends the connection and every call on it. Idempotent."""
        self._is_closed = True
        opened = vars(self)
        if "_channel" in opened:
            await self._channel.close()
        if "_channel_to_any" in opened:
            await self._channel_to_any.close()
        if "_stream_channel" in opened:
            self._stream_channel.close()
        if "_stream_channel_to_any" in opened:
            self._stream_channel_to_any.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @functools.cached_property
    def _channel(self) -> grpc.aio.Channel:
        """Opened by the first call, since a channel binds to the running event loop."""
        return self._connection.open_for_asyncio()

    @functools.cached_property
    def _stream_channel(self) -> grpc.Channel:
        """For threads, as `_asyncio_streams.Duplex` needs it; opened by the first stream."""
        return self._connection.open()

    @functools.cached_property
    def _stream_channel_to_any(self) -> grpc.Channel:
        """For streams to servers whose health is bad, too."""
        return self._connection.open(asks_any=True)

    @functools.cached_property
    def _channel_to_any(self) -> grpc.aio.Channel:
        """To servers whose health is bad, too; opened when no server is well."""
        return self._connection.open_for_asyncio(asks_any=True)

    async def _run(self, call: Call[Result]) -> Result:
        self._refuse_closed()
        timeout = self._connection.deadline(call.timeout)
        responses: list[Any] = []
        while not responses or call.turn_page(responses[-1]):
            with translated(self._connection, timeout):
                responses.append(await self._answer(call, timeout))
        return call.result(*responses)

    async def _answer(self, call: Call[Any], timeout: float | None) -> Any:
        """The response to one request, after as many attempts as it takes."""
        rpc, request = call.rpc, self._connection.request(call)
        metadata = self._connection.metadata + call.metadata
        attempts = self._connection.attempts(call, timeout)
        hedge_after = self._connection.hedge_after(call)
        while True:
            self._refuse_closed()
            channel = self._channel_to_any if attempts.asks_any else self._channel
            send = channel.unary_unary(rpc.path, rpc.serialize, rpc.parse)
            try:
                if hedge_after is None:
                    response = await send(request, timeout=attempts.time_left(), metadata=metadata)
                else:
                    begin = functools.partial(send, request, metadata=metadata)
                    response = await first_answer_async(begin, attempts.time_left, hedge_after)
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise
            else:
                attempts.succeeded()
                return response
            await asyncio.sleep(pause)

    def _upload_stream(self, upload: Upload) -> Duplex[Chunk, Acknowledgement]:
        timeout = upload.attempts.time_left()
        start = self._stream(
            _rpcs.UPSERT_DOCUMENTS_STREAM, timeout, asks_any=upload.attempts.asks_any
        )
        return Duplex(start, self._connection, timeout)

    async def _taken_over(
        self, lost: Duplex[Chunk, Acknowledgement], upload: Upload, error: TwopassError
    ) -> Duplex[Chunk, Acknowledgement]:
        """Another stream in place of one that failed; raises the error where none may follow."""
        pause = upload.pause_after(error)
        if pause is None:
            raise error
        lost.close()
        await asyncio.sleep(pause)
        stream = self._upload_stream(upload)
        for chunk in upload.resumed():
            stream.write(chunk)
        return stream

    def _stream(
        self, rpc: Rpc[Request, Response], timeout: float | None, *, asks_any: bool = False
    ) -> Callable[[Iterator[Request]], Any]:
        self._refuse_closed()
        channel = self._stream_channel_to_any if asks_any else self._stream_channel
        return functools.partial(
            channel.stream_stream(rpc.path, rpc.serialize, rpc.parse),
            timeout=None if timeout == math.inf else timeout,
            metadata=self._connection.metadata,
        )

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the client is closed")
