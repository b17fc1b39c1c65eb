"""The client for threads."""

import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

import grpc

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
from twopass.client._asyncio import AsyncClient
from twopass.client._balancing import Balancing
from twopass.client._call import Call, Result, method_signature
from twopass.client._channel import MAX_MESSAGE_BYTES, Options, connection
from twopass.client._documents import Document, Fields, Listing
from twopass.client._enums import OnConflict
from twopass.client._errors import translated
from twopass.client._feedback import FeedbackKindName, FeedbackListing, RecordedFeedback
from twopass.client._filters import Condition
from twopass.client._health import CHECK, FIRST_PAUSE, LONGEST_PAUSE
from twopass.client._hedging import first_answer
from twopass.client._rerank import CandidateSet
from twopass.client._rerank_results import SetResult, set_result
from twopass.client._rpcs import Request, Response, Rpc
from twopass.client._sync_streams import Duplex, Feed, within_seconds
from twopass.client._target import shown
from twopass.client._upsert import Chunker, OnProgress, Upload, UpsertSummary
from twopass.client.errors import DeadlineExceededError, TwopassError, UnavailableError
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest as Chunk
from twopass.v1.collection_pb2 import UpsertDocumentsStreamResponse as Acknowledgement
from twopass.v1.filter_pb2 import Filter

Parameters = ParamSpec("Parameters")


def _method(
    build: Callable[Parameters, Call[Result]],
) -> "Callable[Concatenate[Client, Parameters], Result]":
    """The method that makes the calls of `build` and waits for the answer."""

    @functools.wraps(build)
    def method(self: "Client", /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return self._run(build(*args, **kwargs))

    method.__signature__ = method_signature(build)  # type: ignore[attr-defined]
    return method


class Client:
    """A connection to a twopass server, or to several. Any number of threads may share one.

    While the server is unavailable, calls that are safe to repeat are tried up to four times, after
    as long as the server asks for. Streams, changes of aliases and of metadata, and calls that
    create, rename or delete a collection or a snapshot are tried once. A call that fails raises a
    `TwopassError`.

    Where the target leads to several servers, each call goes to the next of those that are well
    (`Balancing`). Then reads are also tried again where a device failed, all calls where a server
    had no room, and `upsert` goes on with another server where its own is lost. Servers that share
    calls must share documents too: fronts of one store, or servers for `rerank` and `embed` alone.

    ```python
    with Client("localhost:50051") as client:
        hits = client.search("docs", "How do I parse a date?", top_n=3).hits
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
        """Opens the client; the connection itself is made by the first call.

        Args:
            target: Where the server is: "host:port", "dns:///host:port" or "unix:path". A host
                alone has port 50051, a port alone is of this machine. Several servers: a name that
                leads to all, "host:port,host:port", or "xds:///name" of a service mesh. Names in a
                list are looked up once; with TLS all certificates must hold the first one.
            api_key: Sent with every call, as `authorization: Bearer`; unencrypted without TLS.
            credentials: For TLS, such as `grpc.ssl_channel_credentials()`. None: plain text.
            timeout: Seconds that a call may take unless it says otherwise. None: no deadline.
                `upsert` and `rerank_stream` have no deadline unless they are given one.
            max_message_bytes: Largest message sent or received; the server has its own limit.
            options: More channel options of gRPC; they override the client's.
            balancing: How calls are spread over several servers. None: as `Balancing()` says.

        Raises:
            InvalidArgumentError: The target is none, or the key holds what no header may.
            UnavailableError: The target is a list of names, and none is known.
        """
        self._connection = connection(
            target, api_key, credentials, timeout, max_message_bytes, options, balancing
        )
        self._channel = self._connection.open()
        self._is_closed = False
        self._connect_again: Callable[[], Client] | None = None

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

    def documents(
        self,
        collection: str,
        *,
        page_size: int = 100,
        filter: Condition | Filter | None = None,  # noqa: A002  # the contract's word
        fields: Fields | None = None,
        timeout: float | None = None,
    ) -> Iterator[Document]:
        """Yields a collection's documents, in a stable but arbitrary order.

        Args:
            collection: The collection's name or alias.
            page_size: Documents fetched at a time, 1 to 1,000.
            filter: Which documents are listed. None: all.
            fields: What the documents carry. None: text and metadata.
            timeout: Seconds that fetching a page may take. None: the client's default; `math.inf`:
                no deadline.

        Raises:
            NotFoundError: No such collection; raised when the first document is asked for.
        """
        listing = Listing(page_size, filter, fields)
        token = ""
        while True:
            page = self._run(_documents.page(collection, listing, token, timeout))
            yield from page.documents
            token = page.next_page_token
            if not token:
                return

    def feedback(
        self,
        collection: str,
        *,
        kind: FeedbackKindName | None = None,
        start: datetime | None = None,
        end: datetime | None = None,
        page_size: int = 1_000,
        timeout: float | None = None,
    ) -> Iterator[RecordedFeedback]:
        """Yields a collection's clicks and judgements, ordered by query, document and kind.

        Args:
            collection: The collection's name or alias.
            kind: "click" or "judgement". None: both.
            start: Only what was given then or later. None: from the first on.
            end: Only what was given before. None: to the last.
            page_size: How many are fetched at a time, 1 to 10,000.
            timeout: Seconds that fetching a page may take. None: the client's default; `math.inf`:
                no deadline.

        Raises:
            NotFoundError: No such collection; raised when the first one is asked for.
            UnimplementedError: The server keeps no feedback.
        """
        listing = FeedbackListing(page_size=page_size, kind=kind, start=start, end=end)
        token = ""
        while True:
            page = self._run(_feedback.feedback_page(collection, listing, token, timeout))
            yield from page.feedback
            token = page.next_page_token
            if not token:
                return

    def upsert(
        self,
        collection: str,
        documents: Iterable[Document | Mapping[str, Any]],
        *,
        chunk_size: int = 256,
        on_conflict: OnConflict | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> UpsertSummary:
        """Writes any number of documents; `on_conflict` is for those whose ids are known.

        Documents are sent in chunks, each of which is written whole or not at all. The calling
        thread reads `documents` at most eight chunks ahead of what is on disk. When the call fails,
        acknowledged chunks stay. Repeating it, from the start or from there, is safe unless
        `on_conflict` is "fail". Where there are several servers the client repeats from there
        itself: another one is sent what a lost one has not acknowledged. What that one had written
        all the same is then counted as replaced, or as skipped.

        Args:
            collection: The collection's name or alias.
            documents: Documents, or mappings with a document's fields.
            chunk_size: Most documents in a chunk, 1 to the server's limit (1,000 by default). Large
                documents make smaller chunks.
            on_conflict: What becomes of a document whose id the collection has, or an earlier one
                of `documents`. "replace": the earlier one goes. "skip": the earlier one stays; a
                document that is skipped is not embedded. "fail": the upsert ends. None: "replace".
            on_progress: Called after each acknowledgement, in the calling thread.
            timeout: Seconds for the whole upsert. None: no deadline.

        Raises:
            AlreadyExistsError: Ids are known and `on_conflict` is "fail"; nothing of that chunk is
                written.
            InvalidArgumentError: A document is refused, by the server or before it is sent. Of what
                the server refuses, `metadata["position"]` says which of `documents` it is.
            NotFoundError: No such collection.
            TypeError: A document, or one of its fields, is of the wrong type.
        """
        chunks = Chunker(collection, chunk_size, on_conflict).chunks(documents)
        attempts = self._connection.attempts_at_stream(
            _rpcs.UPSERT_DOCUMENTS_STREAM,
            None if timeout == math.inf else timeout,
            is_repeatable=on_conflict != "fail",
        )
        upload = Upload(attempts, on_progress, on_conflict)
        stream = self._upload_stream(upload)
        try:
            with upload.locating():
                for chunk in chunks:
                    stream.write(chunk)
                    upload.send(chunk)
                    while upload.is_full or stream.is_done:
                        try:
                            message = stream.read()
                        except TwopassError as error:
                            stream = self._taken_over(stream, upload, error)
                        else:
                            upload.acknowledge(message)
                stream.done_writing()
                while True:
                    try:
                        message = stream.read()
                    except TwopassError as error:
                        if upload.is_on_disk:
                            break
                        stream = self._taken_over(stream, upload, error)
                        stream.done_writing()
                        continue
                    if message is None:
                        break
                    upload.acknowledge(message)
        finally:
            stream.close()
        return upload.complete()

    def rerank_stream(
        self,
        sets: Iterable[CandidateSet],
        *,
        piece_size: int = 1_000,
        max_in_flight: int = 16,
        timeout: float | None = None,
    ) -> Iterator[SetResult]:
        """Scores many candidate sets over one call and yields each answer as it arrives.

        A set that fails yields a result that carries its error; the other sets go on. Nothing is
        sent before the first answer is asked for, and closing the iterator cancels what is under
        way.

        Args:
            sets: Read in another thread, at most `max_in_flight` sets ahead of the answers. An
                exception that the iterable raises is raised here, after the answers to the sets
                before it.
            piece_size: Most passages in one message; a larger set is sent in pieces.
            max_in_flight: Most sets sent and not yet answered. A set that the server's queue has no
                room for comes back with an OverloadedError.
            timeout: Seconds for the whole stream. None: no deadline.

        Raises:
            TwopassError: The whole call failed, such as UnavailableError.
        """
        feed = Feed(sets, piece_size, max_in_flight)
        call = self._stream(_rpcs.RERANK_STREAM, timeout)(iter(feed))
        try:
            with translated(self._connection, timeout):
                for response in call:
                    yield feed.answered(set_result(response))
        finally:
            within_seconds(call.cancel)
            feed.close()
        feed.raise_failure()

    def is_ready(self, service: str = "", *, timeout: float | None = 5.0) -> bool:
        """Whether the server and its engines are ready; of several servers, whether one is.

        Args:
            service: One service, such as "twopass.v1.SearchService". Empty: the server as a whole.
            timeout: Seconds to wait; a server that does not answer in time is not ready.

        Raises:
            NotFoundError: No such service.
        """
        try:
            return self._run(Call(CHECK, service, bool, timeout))
        except (UnavailableError, DeadlineExceededError):
            return False

    def wait_until_ready(self, timeout: float = 60.0, *, service: str = "") -> None:
        """Waits until the server is ready.

        Args:
            timeout: Seconds to wait at most.
            service: As for `is_ready`.

        Raises:
            DeadlineExceededError: The server was not ready in time.
            NotFoundError: No such service.
        """
        end = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while not self.is_ready(service, timeout=min(LONGEST_PAUSE, timeout)):
            if time.monotonic() + pause > end:
                raise DeadlineExceededError(
                    f"the server at {shown(self._connection.target)} was not ready within "
                    f"{timeout:g} s"
                )
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def for_asyncio(self) -> AsyncClient:
        """A client for asyncio of the same server, with the same key, credentials and options.

        It has a connection of its own, to be closed by the caller, and stays usable when this
        client is closed.
        """
        return AsyncClient._of(self._connection)

    def __reduce__(self) -> "tuple[Callable[[], Client], tuple[()]]":
        """Makes a pickle, or a copy, of the settings; what it becomes connects anew.

        Raises:
            TypeError: The client was not made by `connect`.
        """
        if self._connect_again is None:
            raise TypeError(
                "a Client can't be pickled or copied, since credentials can't; one that was made "
                "by twopass.client.connect() can"
            )
        return self._connect_again, ()

    def close(self) -> None:
        """Ends the connection and every call on it. Idempotent."""
        self._is_closed = True
        within_seconds(self._channel.close)
        if "_channel_to_any" in vars(self):
            within_seconds(self._channel_to_any.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @functools.cached_property
    def _channel_to_any(self) -> grpc.Channel:
        """To servers whose health is bad, too; opened when no server is well."""
        return self._connection.open(asks_any=True)

    def _run(self, call: Call[Result]) -> Result:
        self._refuse_closed()
        timeout = self._connection.deadline(call.timeout)
        responses: list[Any] = []
        while not responses or call.turn_page(responses[-1]):
            with translated(self._connection, timeout):
                responses.append(self._answer(call, timeout))
        return call.result(*responses)

    def _answer(self, call: Call[Any], timeout: float | None) -> Any:
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
                    response = send(request, timeout=attempts.time_left(), metadata=metadata)
                else:
                    begin = functools.partial(send.future, request, metadata=metadata)
                    response = first_answer(begin, attempts.time_left, hedge_after)
            except grpc.RpcError as error:
                pause = attempts.pause_after(error)
                if pause is None:
                    raise
            else:
                attempts.succeeded()
                return response
            time.sleep(pause)

    def _upload_stream(self, upload: Upload) -> Duplex[Chunk, Acknowledgement]:
        timeout = upload.attempts.time_left()
        start = self._stream(
            _rpcs.UPSERT_DOCUMENTS_STREAM, timeout, asks_any=upload.attempts.asks_any
        )
        return Duplex(start, self._connection, timeout)

    def _taken_over(
        self, lost: Duplex[Chunk, Acknowledgement], upload: Upload, error: TwopassError
    ) -> Duplex[Chunk, Acknowledgement]:
        """Another stream in place of one that failed; raises the error where none may follow."""
        pause = upload.pause_after(error)
        if pause is None:
            raise error
        lost.close()
        time.sleep(pause)
        stream = self._upload_stream(upload)
        for chunk in upload.resumed():
            stream.write(chunk)
        return stream

    def _stream(
        self, rpc: Rpc[Request, Response], timeout: float | None, *, asks_any: bool = False
    ) -> Callable[[Iterator[Request]], Any]:
        self._refuse_closed()
        channel = self._channel_to_any if asks_any else self._channel
        return functools.partial(
            channel.stream_stream(rpc.path, rpc.serialize, rpc.parse),
            timeout=None if timeout == math.inf else timeout,
            metadata=self._connection.metadata,
        )

    def _refuse_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the client is closed")
