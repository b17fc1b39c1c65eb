"""One call, from when it came until it has its status."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from twopass.index.errors import LaneFullError
from twopass.server.edge.call_log import CallLog
from twopass.server.edge.gate import Gate
from twopass.server.edge.messages import (
    Decoder,
    encode_large,
    ensure_fits,
    is_large,
    is_large_answer,
)
from twopass.server.edge.permissions import Permission
from twopass.server.edge.statuses import status_code, trailers_of
from twopass.server.errors import LateError, NeverInTimeError, PermissionDeniedError
from twopass.server.metadata import Metadata
from twopass.server.request import Caller, Request
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.tracing import Tracer, start_recording, stop_recording
from twopass.v1 import collection_pb2, search_pb2

_CANCEL_SECONDS = 0.001
_REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Shared:
    """What all calls share.

    Attributes:
        gate: Admits calls.
        metrics: Where calls are counted.
        tracer: Traces calls; None to trace none.
        log: The log of calls.
        max_message_bytes: Longest answer.
    """

    gate: Gate
    metrics: Metrics
    tracer: Tracer | None
    log: CallLog
    max_message_bytes: int


@dataclass(slots=True)
class Rpc:
    """An rpc of a service.

    Attributes:
        service: Full name of its service.
        method: Its name within the service.
        permission: What its callers must be allowed to do.
        run: The servicer's method; unset where a library implements the service.
        decoder: Decodes its requests; unset where a library implements the service.
        name: Its full name, with dots.
        path: Its name in gRPC, with slashes.
    """

    service: str
    method: str
    permission: Permission
    run: Callable[..., Any] = lambda *_: None
    decoder: Decoder | None = None
    name: str = ""
    path: str = ""

    def __post_init__(self) -> None:
        self.name = f"{self.service}.{self.method}"
        self.path = f"/{self.service}/{self.method}"


class Call:
    """One call; a subclass answers it.

    An overloaded server spends its time here, so the code of every call is kept short: plain blocks
    and one object a call, which is also gRPC's handler (a `grpc.RpcMethodHandler` by its
    attributes). Generators as context managers would take several times as long.
    """

    __slots__ = (
        "_began",
        "_caller",
        "_end_trace",
        "_has_ended",
        "_id",
        "_metadata",
        "_request",
        "_rpc",
        "_shared",
        "_stage",
        "_unsent_bytes",
    )

    # Bytes go in and out: how they are decoded and encoded depends on their number.
    request_deserializer = None
    response_serializer = None
    unary_unary: Any = None
    unary_stream: Any = None
    stream_unary: Any = None
    stream_stream: Any = None

    def __init__(self, shared: Shared, rpc: Rpc, metadata: Metadata) -> None:
        """Begins a call, which is not admitted yet.

        Args:
            shared: What all calls share.
            rpc: The rpc that is called.
            metadata: The call's metadata.
        """
        self._began = time.perf_counter()
        self._shared = shared
        self._rpc = rpc
        self._metadata = metadata or ()
        self._id = _call_id(self._metadata)
        self._caller: Caller | None = None
        self._request: Request | None = None
        self._has_ended = False
        self._stage = "waiting for its message"
        self._unsent_bytes = 0
        self._end_trace = self._begin_trace()

    def admit(self) -> None:
        """Counts the call as under way, until it ends.

        Raises:
            RequestError: The caller may not make this call, or not now.
        """
        self._caller = self._shared.gate.admit(self._metadata, self._rpc.permission)

    async def fail(self, raised: BaseException, context: Any) -> None:
        """Answers with the status of an error; returns only where nobody waits for an answer.

        Raises:
            grpc.aio.AbortError: Tells gRPC that the call is answered.
        """
        if not isinstance(raised, Exception):
            self._gone()
            return
        if isinstance(raised, asyncio.TimeoutError):
            raised = LateError("deadline: it ran out")
        if isinstance(raised, PermissionDeniedError):
            self._shared.metrics.rejected("permission_denied")
        elif isinstance(raised, LaneFullError):
            self._shared.metrics.rejected("lane")
        code = status_code(raised)
        # NeverInTimeError has been counted where it was raised.
        if code is grpc.StatusCode.DEADLINE_EXCEEDED and not isinstance(raised, NeverInTimeError):
            self._shared.metrics.rejected("late")
        # Before the answer, so that a caller that has its answer finds the log line.
        self.ended(code, raised)
        message, trailers = trailers_of(raised, self._id)
        _drop_frames(raised)
        await context.abort(code, message, trailers)

    def task_ended(self, task: object) -> None:
        """Ends the call when gRPC is done with it, if it has not ended: its message never came."""
        del task
        self._shared.gate.bytes_in_flight.release(self._unsent_bytes)
        self._unsent_bytes = 0
        if not self._has_ended:
            self._gone()

    def ended(
        self, code: grpc.StatusCode, error: Exception | None = None, reason: str = ""
    ) -> None:
        """Releases what was reserved for the call, and records its end. Idempotent."""
        if self._has_ended:
            return
        self._has_ended = True
        self._close()
        seconds = time.perf_counter() - self._began
        self._shared.metrics.call_ended(self._rpc.name, code.name, seconds)
        self._shared.log.ended(self._rpc.name, self._id, code, seconds, error, reason)
        if self._end_trace is not None:
            self._end_trace(code)

    def _gone(self) -> None:
        """Records that the caller has gone, or that the server's drain is over."""
        stage = self._stage
        if self._request is not None and (done := self._request.timings.last_done()):
            stage = f"{stage}, after {done}"
        if self._request is not None and self._request.is_at_deadline():
            self._shared.metrics.rejected("late")
            reason = f"deadline: it ran out while the call was {stage}"
            self.ended(grpc.StatusCode.DEADLINE_EXCEEDED, reason=reason)
            return
        causes = ["by the caller"]
        if self._request is None:
            causes.append("for a message of more than max-message-bytes")
        if self._shared.gate.drains:
            causes.append("by the end of the drain")
        reason = f"cancelled: {', or '.join(causes)}, while the call was {stage}"
        self.ended(grpc.StatusCode.CANCELLED, reason=reason)

    def _open(self, context: Any) -> Request:
        """Makes the `Request` of the call."""
        assert self._caller is not None
        remaining = context.time_remaining()
        self._request = Request(
            id=self._id,
            received=self._began,
            deadline=None if remaining is None else time.perf_counter() + remaining,
            caller=self._caller,
            bytes_in_flight=self._shared.gate.bytes_in_flight,
        )
        return self._request

    def _close(self) -> None:
        """Releases what was reserved, before the answer: the caller's next call finds it free."""
        if self._request is not None:
            self._request.close()
        if self._caller is not None:
            self._shared.gate.release(self._caller)
            self._caller = None

    def _begin_trace(self) -> Callable[[grpc.StatusCode], None] | None:
        """Begins the trace of the call; returns the function that ends it, or None without one."""
        tracer = self._shared.tracer
        traced = None if tracer is None else tracer.begin(self._rpc.name, self._metadata)
        if traced is None:
            stop_recording()
            return None
        stages = start_recording()

        def end(code: grpc.StatusCode) -> None:
            error = "" if code is grpc.StatusCode.OK else code.name
            traced.end(stages, {"call": self._id, "code": code.name}, error)

        return end

    async def _decoded(self, content: bytes) -> Message:
        """Decodes a message, and checks that the caller may use its collections.

        Raises:
            InvalidRequestError: The bytes are not a message of the rpc's type.
            PermissionDeniedError: The caller may not use a collection that it names.
        """
        decoder = self._rpc.decoder
        assert decoder is not None
        self._stage = "being decoded"
        if is_large(content):
            message = await decoder.decode_large(content)
        else:
            message = decoder.decode(content)
        assert self._caller is not None
        for collection in _collections_of(message):
            self._caller.ensure_may_use(collection)
        self._stage = "being worked on"
        return message

    async def _encoded(self, message: Message) -> bytes:
        """Encodes an answer.

        Raises:
            ResponseTooLargeError: The answer is larger than a message may be.
        """
        content = (
            await encode_large(message) if is_large_answer(message) else message.SerializeToString()
        )
        ensure_fits(content, self._shared.max_message_bytes)
        return content


class UnaryCall(Call):
    """A call with one request and one response."""

    __slots__ = ()

    request_streaming = False
    response_streaming = False

    async def unary_unary(self, content: bytes, context: Any) -> bytes:
        """Answers the call."""
        answering = self._answer(content, context)
        del content  # of a call that fails, gRPC keeps this frame: see `_drop_frames`
        try:
            answer = await answering
        except BaseException as error:
            await self.fail(error, context)
            raise
        self.ended(grpc.StatusCode.OK)
        if is_large(answer):  # gRPC keeps it until the client has read it, however slowly
            self._unsent_bytes = len(answer)
            self._shared.gate.bytes_in_flight.count(self._unsent_bytes)
        return answer

    async def _answer(self, content: bytes, context: Any) -> bytes:
        request = self._open(context)
        request.message_bytes = len(content)
        request.reserve_bytes(len(content))
        message = await self._decoded(content)
        response: Message = await self._rpc.run(message, request)
        self._shared.metrics.answered(self._rpc.name, response)
        return await self._encoded(response)


class StreamCall(Call):
    """A call with a stream of requests and a stream of responses."""

    __slots__ = ()

    request_streaming = True
    response_streaming = True

    async def stream_stream(
        self, contents: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        """Yields answers."""
        try:
            request = self._open(context)
            answers = self._rpc.run(self._messages(contents, request), request)
            del contents  # of a call that fails, gRPC keeps this frame: see `_drop_frames`
            async for response in answers:
                self._shared.metrics.answered(self._rpc.name, response)
                yield await self._encoded(response)
        except BaseException as error:
            await self.fail(error, context)
            raise
        self.ended(grpc.StatusCode.OK)

    async def _messages(
        self, contents: AsyncIterator[bytes], request: Request
    ) -> AsyncIterator[Message]:
        """Decodes messages; the servicer reserves their bytes for as long as it keeps them."""
        async for content in contents:
            request.message_bytes = len(content)
            if is_large(content):
                request.count_bytes(len(content))
                try:
                    message = await self._decoded(content)
                finally:
                    request.release_bytes(len(content))
            else:
                message = await self._decoded(content)
            yield message
        # To gRPC a caller that has gone looks like one that has sent its last message, until it
        # cancels the call a moment later.
        await asyncio.sleep(_CANCEL_SECONDS)


class Refusal:
    """The handler of a call that is not admitted; it reads no message."""

    __slots__ = ("_call", "_error")

    request_deserializer = None
    response_serializer = None
    # On the wire a unary call is a stream of one message.
    request_streaming = True
    response_streaming = True

    def __init__(self, call: Call, error: Exception) -> None:
        self._call = call
        self._error = error

    async def stream_stream(self, contents: object, context: Any) -> None:
        """Answers with the error."""
        del contents
        await self._call.fail(self._error, context)


def _drop_frames(error: BaseException) -> None:
    """Drops the frames that an error came through, and with them the messages they hold.

    gRPC keeps the error that ends a call in a reference cycle with the call's state. Until the
    cycle is collected it holds a few small objects; with the frames, all the call's megabytes.
    """
    dropped: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is not None and id(each) not in dropped:
            dropped.add(id(each))
            each.__traceback__ = None
            left += [each.__cause__, each.__context__]
            if isinstance(each, BaseExceptionGroup):
                left += each.exceptions


def _call_id(metadata: Metadata) -> str:
    """The id that the caller gave in `x-request-id`, if it is valid; else a random one."""
    for name, value in metadata:
        if name == "x-request-id":
            if isinstance(value, str) and _REQUEST_ID.fullmatch(value):
                return value
            break
    return os.urandom(6).hex()


def _collections_of(request: Message) -> list[str]:
    """The collections, or aliases of them, that a request names; often empty."""
    if isinstance(request, collection_pb2.UpdateAliasesRequest):
        named = [name for change in request.changes for name in (change.alias, change.collection)]
        return [collection for collection in named if collection]  # with none, the alias is removed
    if isinstance(request, search_pb2.BatchSearchRequest):
        return list({search.collection for search in request.searches if search.collection})
    descriptor = request.DESCRIPTOR
    fields = descriptor.fields_by_name
    if "collection" in fields:
        # A later chunk of a stream may leave it out. A snapshot is restored into a new collection.
        named = [getattr(request, f) for f in ("collection", "new_collection") if f in fields]
        return [collection for collection in named if collection]
    if "name" in fields and descriptor.file.name == collection_pb2.DESCRIPTOR.name:
        return [request.name]  # type: ignore[attr-defined]
    return []
