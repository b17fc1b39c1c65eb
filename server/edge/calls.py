"""Calls of gRPC: one object a call, which is also gRPC's handler of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message

from twopass.server.edge.call import Call, Rpc, Shared, drop_frames, ensure_may_use_collections
from twopass.server.edge.messages import (
    ReadMessage,
    WrittenAnswer,
    encode_large,
    ensure_fits,
    is_large,
    is_large_answer,
)
from twopass.server.edge.statuses import trailers_of
from twopass.server.metadata import Metadata
from twopass.server.request import Request

_CANCEL_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class HeadedAnswer:
    """An answer before which headers are sent: gRPC's initial metadata.

    Attributes:
        message: The answer.
        headers: Names in lower case, and values.
    """

    message: Message
    headers: tuple[tuple[str, str], ...]


class GrpcCall(Call):
    """A call of gRPC, and its handler (a `grpc.RpcMethodHandler` by its attributes)."""

    __slots__ = ("_unsent_bytes",)

    # Bytes go in and out: how they are decoded and encoded depends on their number.
    request_deserializer = None
    response_serializer = None
    unary_unary: Any = None
    unary_stream: Any = None
    stream_unary: Any = None
    stream_stream: Any = None

    def __init__(self, shared: Shared, rpc: Rpc, metadata: Metadata) -> None:
        """Begins a call, as `Call` does."""
        super().__init__(shared, rpc, metadata)
        self._unsent_bytes = 0

    async def fail(self, raised: BaseException, context: Any) -> None:
        """Answers with the status of an error; returns only where nobody waits for an answer.

        Raises:
            grpc.aio.AbortError: Tells gRPC that the call is answered.
        """
        if not isinstance(raised, Exception):
            self.gone()
            return
        told = self.failed(raised)
        statuses = self.rpc.statuses
        code, message = statuses.code(told), statuses.message(told, self.id)
        trailers = trailers_of(told, code, message)
        drop_frames(raised)
        drop_frames(told)
        await context.abort(code, message, trailers)

    def task_ended(self, task: object) -> None:
        """Ends the call when gRPC is done with it, if it has not ended: its message never came."""
        del task
        self.shared.gate.bytes_in_flight.release(self._unsent_bytes)
        self._unsent_bytes = 0
        self.gone()

    def _opened(self, context: Any) -> Request:
        return self.open(context.time_remaining())

    async def _decoded(self, content: bytes, request: Request) -> Message | ReadMessage[Any, Any]:
        """Decodes a message, and checks that the caller may use its collections.

        Raises:
            InvalidRequestError: The bytes are not a message of the rpc's type.
            PermissionDeniedError: The caller may not use a collection that it names.
        """
        decoder = self.rpc.decoder
        assert decoder is not None
        self.at_stage("being decoded")
        if (read := self.rpc.read(content)) is not None:
            message: Message = read.message
        elif is_large(content):
            message = await decoder.decode_large(content)
        else:
            message = decoder.decode(content)
        ensure_may_use_collections(request.caller, message)
        self.at_stage("being worked on")
        return read or message

    async def _encoded(self, answer: Message | HeadedAnswer | WrittenAnswer, context: Any) -> bytes:
        """Encodes an answer, and sends the headers that come before it.

        Raises:
            ResponseTooLargeError: The answer is larger than a message may be.
        """
        if isinstance(answer, WrittenAnswer):
            self.shared.metrics.answered(self.rpc.name, answer.message)
            content = answer.message.SerializeToString() + answer.content
            ensure_fits(content, self.shared.max_message_bytes)
            return content
        message = answer.message if isinstance(answer, HeadedAnswer) else answer
        self.shared.metrics.answered(self.rpc.name, message)
        content = (
            await encode_large(message) if is_large_answer(message) else message.SerializeToString()
        )
        ensure_fits(content, self.shared.max_message_bytes)
        if isinstance(answer, HeadedAnswer):
            await context.send_initial_metadata(answer.headers)
        return content


class UnaryCall(GrpcCall):
    """A call with one request and one response."""

    __slots__ = ()

    request_streaming = False
    response_streaming = False

    async def unary_unary(self, content: bytes, context: Any) -> bytes:
        """Answers the call."""
        answering = self._answer(content, context)
        del content  # of a call that fails, gRPC keeps this frame: see `drop_frames`
        try:
            answer = await answering
        except BaseException as error:
            await self.fail(error, context)
            raise
        self.ended(grpc.StatusCode.OK)
        if is_large(answer):  # gRPC keeps it until the client has read it, however slowly
            self._unsent_bytes = len(answer)
            self.shared.gate.bytes_in_flight.count(self._unsent_bytes)
        return answer

    async def _answer(self, content: bytes, context: Any) -> bytes:
        request = self._opened(context)
        request.message_bytes = len(content)
        request.reserve_bytes(len(content))
        message = await self._decoded(content, request)
        answer: Message | HeadedAnswer | WrittenAnswer = await self.rpc.run(message, request)
        return await self._encoded(answer, context)


class StreamCall(GrpcCall):
    """A call with a stream of requests and a stream of responses."""

    __slots__ = ()

    request_streaming = True
    response_streaming = True

    async def stream_stream(
        self, contents: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        """Yields answers."""
        try:
            request = self._opened(context)
            answers = self.rpc.run(self._messages(contents, request), request)
            del contents  # of a call that fails, gRPC keeps this frame: see `drop_frames`
            async for answer in answers:
                yield await self._encoded(answer, context)
        except BaseException as error:
            await self.fail(error, context)
            raise
        self.ended(grpc.StatusCode.OK)

    async def _messages(
        self, contents: AsyncIterator[bytes], request: Request
    ) -> AsyncIterator[Message | ReadMessage[Any, Any]]:
        """Decodes messages; the servicer reserves their bytes for as long as it keeps them."""
        async for content in contents:
            request.message_bytes = len(content)
            if is_large(content):
                request.count_bytes(len(content))
                try:
                    message = await self._decoded(content, request)
                finally:
                    request.release_bytes(len(content))
            else:
                message = await self._decoded(content, request)
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

    def __init__(self, call: GrpcCall, error: Exception) -> None:
        self._call = call
        self._error = error

    async def stream_stream(self, contents: object, context: Any) -> None:
        """Answers with the error."""
        del contents
        await self._call.fail(self._error, context)
