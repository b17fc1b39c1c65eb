"""From a servicer's methods to gRPC handlers: decoding, deadlines, errors, one log line a call.

A servicer has one coroutine (or async generator, for a bidirectional rpc) for each rpc, named in
snake case. It takes messages and a `Call` and raises ordinary exceptions; all of gRPC is in here.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    OverloadedError,
    PermissionDeniedError,
    status_code,
)
from twopass.server.gate import ANYONE, Caller, Gate, Metadata
from twopass.server.metrics import Metrics
from twopass.server.tracing import Tracer, start_recording, stop_recording
from twopass.v1 import collection_pb2, status_pb2

_logger = logging.getLogger("twopass.server")
# Messages repeat what was sent. They travel twice in the trailers, which gRPC bounds to 8 KiB: a
# character takes up to 12 bytes percent-encoded and 6 in base64, so that 400 take at most 7.2 KB.
_MAX_MESSAGE_CHARS = 400
_REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"


@dataclass(frozen=True, slots=True)
class Call:
    """What a servicer may know of the call it answers.

    Attributes:
        id: Found in the log, and in the text of an INTERNAL error.
        received: When the request was decoded, seconds of `time.perf_counter`.
        deadline: When the caller gives up, seconds of `time.perf_counter`; None for never.
        caller: Whose it is.
        held: Counts so many bytes of requests as under way for as long as its context lasts; raises
            `OverloadedError` where they are too many.
    """

    id: str
    received: float
    deadline: float | None
    caller: Caller = ANYONE
    held: Callable[[int], AbstractContextManager[None]] = lambda _: nullcontext()


@dataclass(frozen=True, slots=True)
class _Received:
    """A message that came in, or why its bytes are none; grpc would answer UNKNOWN."""

    message: Message | None
    problem: str
    num_bytes: int


def service_handler(
    descriptor: ServiceDescriptor,
    servicer: object,
    gate: Gate | None = None,
    metrics: Metrics | None = None,
    tracer: Tracer | None = None,
) -> grpc.GenericRpcHandler:
    """Builds the handlers of every rpc of a service.

    Args:
        descriptor: The service.
        servicer: Has a method for each of its rpcs.
        gate: Who may call; None for everyone.
        metrics: Where calls are counted; None for nowhere that is read.
        tracer: Told what every call did; None for nobody.

    Raises:
        AttributeError: The servicer lacks a method.
    """
    metrics = metrics or Metrics()
    calls = _Calls(gate or Gate(metrics), metrics, tracer)
    handlers = {m.name: _method_handler(m, servicer, calls) for m in descriptor.methods}
    return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)


def status_of(error: Exception, call_id: str) -> status_pb2.Status:
    """The status an error is answered with; a bug's own text stays in the log."""
    code = status_code(error)
    message = str(error)[:_MAX_MESSAGE_CHARS]
    if code is grpc.StatusCode.INTERNAL:
        message = f"internal error; the log has the cause under {call_id}"
    status = status_pb2.Status(code=code.value[0], message=message)
    if isinstance(error, OverloadedError):
        delay = Duration()
        delay.FromMilliseconds(max(1, round(error.retry_after * 1000)))
        info = status_pb2.RetryInfo(retry_delay=delay)
        status.details.add(type_url=_RETRY_INFO_TYPE, value=info.SerializeToString())
    return status


def _method_handler(
    method: MethodDescriptor, servicer: object, calls: "_Calls"
) -> "grpc.RpcMethodHandler[Any, Message]":
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    run = getattr(servicer, name)
    decode = _tolerant_decoder(message_factory.GetMessageClass(method.input_type))
    encode = message_factory.GetMessageClass(method.output_type).SerializeToString
    if method.client_streaming:
        answer = calls.stream(method.full_name, run)
        return grpc.stream_stream_rpc_method_handler(answer, decode, encode)
    return grpc.unary_unary_rpc_method_handler(calls.unary(method.full_name, run), decode, encode)


def _tolerant_decoder(message_class: type[Message]) -> Callable[[bytes], _Received]:
    def decode(content: bytes) -> _Received:
        try:
            return _Received(message_class.FromString(content), "", len(content))
        except DecodeError as error:
            problem = f"not a {message_class.DESCRIPTOR.full_name}: {error}"
            return _Received(None, problem, len(content))

    return decode


class _Calls:
    """Around a servicer's method: the gate, the status, the log line, the metrics, the trace."""

    def __init__(self, gate: Gate, metrics: Metrics, tracer: Tracer | None) -> None:
        self._gate = gate
        self._metrics = metrics
        self._tracer = tracer

    def unary(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The behaviour of an rpc with one request and one response."""

        async def answer(request: _Received, context: Any) -> Message | None:
            async with self._answering(name, context) as call:
                with call.held(request.num_bytes):
                    response: Message = await run(_sound(request, call), call)
                self._metrics.answered(name, response)
                return response
            return None  # never reached: what went wrong has been raised

        return answer

    def stream(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The behaviour of an rpc with a stream of either."""

        async def answer(
            requests: AsyncIterator[_Received], context: Any
        ) -> AsyncIterator[Message]:
            async with self._answering(name, context) as call:
                async for response in run(_sound_stream(requests, call), call):
                    self._metrics.answered(name, response)
                    yield response

        return answer

    @asynccontextmanager
    async def _answering(self, name: str, context: Any) -> AsyncIterator[Call]:
        """Turns what is raised within into the call's status, and records its end."""
        began = time.perf_counter()
        metadata = context.invocation_metadata() or ()
        call_id = _call_id(metadata)
        ended = self._traced(name, call_id, metadata)
        try:
            with self._gate.passed(metadata) as caller:
                remaining = context.time_remaining()
                deadline = None if remaining is None else began + remaining
                yield Call(call_id, began, deadline, caller, self._gate.held)
        except Exception as raised:
            late = isinstance(raised, asyncio.TimeoutError)
            error = LateError("the deadline ran out") if late else raised
            if isinstance(error, PermissionDeniedError):
                self._metrics.rejected("permission_denied")
            # Before the answer: who has it finds the log line there.
            self._ended(name, call_id, began, status_code(error), error)
            ended(status_code(error))
            await _abort(error, call_id, context)
        except BaseException:  # the caller has gone, or the server is at its end
            self._ended(name, call_id, began, grpc.StatusCode.CANCELLED)
            ended(grpc.StatusCode.CANCELLED)
            raise
        else:
            self._ended(name, call_id, began, grpc.StatusCode.OK)
            ended(grpc.StatusCode.OK)

    def _traced(
        self, name: str, call_id: str, metadata: Metadata
    ) -> Callable[[grpc.StatusCode], None]:
        """Begins the trace of a call; what it returns ends it."""
        traced = None if self._tracer is None else self._tracer.begin(name, metadata)
        if traced is None:
            stop_recording()
            return lambda _: None
        stages = start_recording()

        def end(code: grpc.StatusCode) -> None:
            error = "" if code is grpc.StatusCode.OK else code.name
            traced.end(stages, {"call": call_id, "code": code.name}, error)

        return end

    def _ended(
        self,
        name: str,
        call_id: str,
        began: float,
        code: grpc.StatusCode,
        error: Exception | None = None,
    ) -> None:
        seconds = time.perf_counter() - began
        self._metrics.call_ended(name, code.name, seconds)
        internal = code is grpc.StatusCode.INTERNAL
        level = logging.ERROR if internal else logging.INFO if error else logging.DEBUG
        fields = {
            "rpc": name,
            "code": code.name,
            "milliseconds": round(seconds * 1000, 2),
            "call": call_id,
        }
        if error is not None and not internal:
            fields["reason"] = str(error)
        _logger.log(level, "call", extra=fields, exc_info=error if internal else None)


def _call_id(metadata: Metadata) -> str:
    """The id that the caller gave in `x-request-id`, if it is one; else one of our own."""
    given = next((value for name, value in metadata if name == "x-request-id"), "")
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex[:12]


def _sound(request: _Received, call: Call) -> Message:
    if request.message is None:
        raise InvalidRequestError(request.problem)
    for collection in _collections_of(request.message):
        call.caller.ensure_may_use(collection)
    return request.message


async def _sound_stream(requests: AsyncIterator[_Received], call: Call) -> AsyncIterator[Message]:
    """Messages. Who works on them holds their bytes, and alone knows for how long."""
    async for request in requests:
        yield _sound(request, call)


def _collections_of(request: Message) -> list[str]:
    """The collections that a request names; none for a request that concerns none."""
    descriptor = request.DESCRIPTOR
    fields = descriptor.fields_by_name
    if "collection" in fields:
        # A later chunk of a stream may leave it out. A snapshot is restored into a new collection.
        named = [getattr(request, f) for f in ("collection", "new_collection") if f in fields]
        return [collection for collection in named if collection]
    if "name" in fields and descriptor.file.name == collection_pb2.DESCRIPTOR.name:
        return [request.name]  # type: ignore[attr-defined]
    return []


async def _abort(error: Exception, call_id: str, context: Any) -> None:
    status = status_of(error, call_id)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(status_code(error), status.message, trailers)
