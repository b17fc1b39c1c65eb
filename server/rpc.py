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
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message

from twopass.server.errors import InvalidRequestError, LateError, OverloadedError, status_code
from twopass.v1 import status_pb2

_logger = logging.getLogger("twopass.server")
# Messages repeat what was sent. They travel twice in the trailers, which gRPC bounds to 8 KiB: a
# character takes up to 12 bytes percent-encoded and 6 in base64, so that 400 take at most 7.2 KB.
_MAX_MESSAGE_CHARS = 400
_RETRY_INFO_TYPE = "type.googleapis.com/google.rpc.RetryInfo"


@dataclass(frozen=True, slots=True)
class Call:
    """What a servicer may know of the call it answers.

    Attributes:
        id: Found in the log, and in the text of an INTERNAL error.
        received: When the request was decoded, seconds of `time.perf_counter`.
        deadline: When the caller gives up, seconds of `time.perf_counter`; None for never.
    """

    id: str
    received: float
    deadline: float | None


@dataclass(frozen=True, slots=True)
class _Malformed:
    """Stands in for a message whose bytes are none; grpc would answer UNKNOWN."""

    reason: str


def service_handler(descriptor: ServiceDescriptor, servicer: object) -> grpc.GenericRpcHandler:
    """Builds the handlers of every rpc of a service.

    Raises:
        AttributeError: The servicer lacks a method.
    """
    handlers = {method.name: _method_handler(method, servicer) for method in descriptor.methods}
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
    method: MethodDescriptor, servicer: object
) -> "grpc.RpcMethodHandler[Any, Message]":
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", method.name).lower()
    run = getattr(servicer, name)
    decode = _tolerant_decoder(message_factory.GetMessageClass(method.input_type))
    encode = message_factory.GetMessageClass(method.output_type).SerializeToString
    if method.client_streaming:
        answer = _stream(method.full_name, run)
        return grpc.stream_stream_rpc_method_handler(answer, decode, encode)
    return grpc.unary_unary_rpc_method_handler(_unary(method.full_name, run), decode, encode)


def _tolerant_decoder(message_class: type[Message]) -> Callable[[bytes], Message | _Malformed]:
    def decode(content: bytes) -> Message | _Malformed:
        try:
            return message_class.FromString(content)
        except DecodeError as error:
            return _Malformed(f"not a {message_class.DESCRIPTOR.full_name}: {error}")

    return decode


def _unary(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(request: Message | _Malformed, context: Any) -> Message:
        call = _begin(context)
        try:
            response: Message = await run(_sound(request), call)
        except Exception as error:
            await _fail(name, call, error, context)
            raise  # abort has raised already
        _log(name, call, grpc.StatusCode.OK)
        return response

    return answer


def _stream(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    async def answer(
        requests: AsyncIterator[Message | _Malformed], context: Any
    ) -> AsyncIterator[Message]:
        call = _begin(context)
        try:
            async for response in run(_sound_stream(requests), call):
                yield response
        except Exception as error:
            await _fail(name, call, error, context)
        else:
            _log(name, call, grpc.StatusCode.OK)

    return answer


def _begin(context: Any) -> Call:
    now = time.perf_counter()
    remaining = context.time_remaining()
    return Call(uuid.uuid4().hex[:12], now, None if remaining is None else now + remaining)


def _sound(request: Message | _Malformed) -> Message:
    if isinstance(request, _Malformed):
        raise InvalidRequestError(request.reason)
    return request


async def _sound_stream(requests: AsyncIterator[Message | _Malformed]) -> AsyncIterator[Message]:
    async for request in requests:
        yield _sound(request)


async def _fail(name: str, call: Call, error: Exception, context: Any) -> None:
    if isinstance(error, asyncio.TimeoutError):
        error = LateError("the deadline ran out")
    status = status_of(error, call.id)
    code = status_code(error)
    _log(name, call, code, error)
    trailers = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(code, status.message, trailers)


def _log(name: str, call: Call, code: grpc.StatusCode, error: Exception | None = None) -> None:
    internal = code is grpc.StatusCode.INTERNAL
    level = logging.ERROR if internal else logging.INFO if error else logging.DEBUG
    fields = {
        "rpc": name,
        "code": code.name,
        "milliseconds": round((time.perf_counter() - call.received) * 1000, 2),
        "call": call.id,
    }
    if error is not None and not internal:
        fields["reason"] = str(error)
    _logger.log(level, "call", extra=fields, exc_info=error if internal else None)
