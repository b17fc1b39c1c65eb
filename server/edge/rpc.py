"""From a servicer's methods to gRPC handlers: decoding, deadlines, errors, one log line a call.

A servicer has one coroutine (or async generator, for a bidirectional rpc) for each rpc, named in
snake case. It takes messages and a `Request` and raises ordinary exceptions: all of gRPC is in
here.
"""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from twopass.server.edge.call_log import CallLog
from twopass.server.edge.gate import Gate
from twopass.server.edge.statuses import status_code, status_of
from twopass.server.errors import (
    InvalidRequestError,
    LateError,
    PermissionDeniedError,
)
from twopass.server.metadata import Metadata
from twopass.server.request import Caller, Request
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.tracing import Tracer, start_recording, stop_recording
from twopass.v1 import collection_pb2

_REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")


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
    """Around a servicer's method: the gate, the status, the log line, the metrics, the trace.

    A server that is asked too much spends its time here, so what all calls share is kept short:
    plain blocks and objects, where generators as contexts would take several times as long.
    """

    def __init__(self, gate: Gate, metrics: Metrics, tracer: Tracer | None) -> None:
        self.gate = gate
        self.metrics = metrics
        self.tracer = tracer
        self.log = CallLog()

    def unary(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The behaviour of an rpc with one request and one response."""

        async def answer(received: _Received, context: Any) -> Message:
            answering = _Answering(self, name, context)
            try:
                with self.gate.admitted(answering.metadata) as caller:
                    request = answering.request(caller)
                    try:
                        request.message_bytes = received.num_bytes
                        request.reserve_bytes(received.num_bytes)
                        response: Message = await run(_sound(received, request), request)
                    finally:
                        request.close()
                self.metrics.answered(name, response)
            except BaseException as error:
                await answering.fail(error)
                raise
            answering.ended(grpc.StatusCode.OK)
            return response

        return answer

    def stream(self, name: str, run: Callable[..., Any]) -> Callable[..., Any]:
        """The behaviour of an rpc with a stream of either."""

        async def answer(
            received: AsyncIterator[_Received], context: Any
        ) -> AsyncIterator[Message]:
            answering = _Answering(self, name, context)
            try:
                with self.gate.admitted(answering.metadata) as caller:
                    request = answering.request(caller)
                    try:
                        async for response in run(_sound_stream(received, request), request):
                            self.metrics.answered(name, response)
                            yield response
                    finally:
                        request.close()
            except BaseException as error:
                await answering.fail(error)
                raise
            answering.ended(grpc.StatusCode.OK)

        return answer


class _Answering:
    """One call, from when it came until it has its status."""

    __slots__ = ("_began", "_calls", "_context", "_end_trace", "_id", "_name", "metadata")

    def __init__(self, calls: _Calls, name: str, context: Any) -> None:
        self._began = time.perf_counter()
        self._calls = calls
        self._name = name
        self._context = context
        self.metadata: Metadata = context.invocation_metadata() or ()
        self._id = _call_id(self.metadata)
        self._end_trace = self._begin_trace()

    def request(self, caller: Caller) -> Request:
        """The request that it is to all that works for it."""
        remaining = self._context.time_remaining()
        return Request(
            id=self._id,
            received=self._began,
            deadline=None if remaining is None else self._began + remaining,
            caller=caller,
            bytes_in_flight=self._calls.gate.bytes_in_flight,
        )

    async def fail(self, raised: BaseException) -> None:
        """Answers with what was raised; returns only where nobody waits for an answer.

        Raises:
            grpc.aio.AbortError: By which gRPC learns that the call is answered.
        """
        if not isinstance(raised, Exception):  # the caller has gone, or the server is at its end
            self.ended(grpc.StatusCode.CANCELLED)
            return
        late = isinstance(raised, asyncio.TimeoutError)
        error = LateError("the deadline ran out") if late else raised
        if isinstance(error, PermissionDeniedError):
            self._calls.metrics.rejected("permission_denied")
        code = status_code(error)
        # Before the answer: who has it finds the log line there.
        self.ended(code, error)
        status = status_of(error, self._id)
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        await self._context.abort(code, status.message, trailers)

    def ended(self, code: grpc.StatusCode, error: Exception | None = None) -> None:
        """Records the end."""
        seconds = time.perf_counter() - self._began
        self._calls.metrics.call_ended(self._name, code.name, seconds)
        self._calls.log.ended(self._name, self._id, code, seconds, error)
        if self._end_trace is not None:
            self._end_trace(code)

    def _begin_trace(self) -> Callable[[grpc.StatusCode], None] | None:
        """Begins the trace of the call; what it returns ends it."""
        tracer = self._calls.tracer
        traced = None if tracer is None else tracer.begin(self._name, self.metadata)
        if traced is None:
            stop_recording()
            return None
        stages = start_recording()

        def end(code: grpc.StatusCode) -> None:
            error = "" if code is grpc.StatusCode.OK else code.name
            traced.end(stages, {"call": self._id, "code": code.name}, error)

        return end


def _call_id(metadata: Metadata) -> str:
    """The id that the caller gave in `x-request-id`, if it is one; else one of our own."""
    given = next((value for name, value in metadata if name == "x-request-id"), "")
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return os.urandom(6).hex()


def _sound(received: _Received, request: Request) -> Message:
    if received.message is None:
        raise InvalidRequestError(received.problem)
    for collection in _collections_of(received.message):
        request.caller.ensure_may_use(collection)
    return received.message


async def _sound_stream(
    received: AsyncIterator[_Received], request: Request
) -> AsyncIterator[Message]:
    """Messages. Who works on them reserves their bytes, and alone knows for how long."""
    async for each in received:
        request.message_bytes = each.num_bytes
        yield _sound(each, request)


def _collections_of(request: Message) -> list[str]:
    """The collections that a request names, if by an alias; none where it concerns none."""
    if isinstance(request, collection_pb2.UpdateAliasesRequest):
        named = [name for change in request.changes for name in (change.alias, change.collection)]
        return [collection for collection in named if collection]  # with none, the alias is removed
    descriptor = request.DESCRIPTOR
    fields = descriptor.fields_by_name
    if "collection" in fields:
        # A later chunk of a stream may leave it out. A snapshot is restored into a new collection.
        named = [getattr(request, f) for f in ("collection", "new_collection") if f in fields]
        return [collection for collection in named if collection]
    if "name" in fields and descriptor.file.name == collection_pb2.DESCRIPTOR.name:
        return [request.name]  # type: ignore[attr-defined]
    return []
