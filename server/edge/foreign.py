"""Services that are not ours, whose handlers a library makes: health and reflection."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from twopass.server.errors import InvalidRequestError

# Their messages name a service or a symbol.
_MAX_MESSAGE_BYTES = 4 * 1024


class ForeignService:
    """The handlers of a service, as its library registers them."""

    def __init__(self) -> None:
        self._handlers: list[grpc.GenericRpcHandler] = []

    def add_generic_rpc_handlers(self, handlers: Collection[grpc.GenericRpcHandler]) -> None:
        """Takes what the library gives to a server."""
        self._handlers.extend(handlers)

    def add_registered_method_handlers(self, *_: object) -> None:
        """Ignores what would be called past the gate: the generic handlers are the same ones."""

    def handler(self, details: Any, fail: Callable[[Exception, Any], Awaitable[None]]) -> Any:
        """The handler of a call, which decodes short messages alone; None where there is none.

        Such services may be open to everyone, and their libraries decode what they are sent: 60 MB
        would take 0.2 s of the event loop, and be kept as the name of a service that is watched.

        Args:
            details: What gRPC knows of the call.
            fail: Answers with an error, given the call's context.
        """
        found = (handler.service(details) for handler in self._handlers)
        handler = next((each for each in found if each is not None), None)
        return None if handler is None else _Bounded(handler, fail)


class _Bounded:
    """A library's handler (a `grpc.RpcMethodHandler` by its attributes) for short messages."""

    unary_unary: Any = None
    unary_stream: Any = None
    stream_unary: Any = None
    stream_stream: Any = None
    request_deserializer = None

    def __init__(self, handler: Any, fail: Callable[[Exception, Any], Awaitable[None]]) -> None:
        self.request_streaming: bool = handler.request_streaming
        self.response_streaming: bool = handler.response_streaming
        self.response_serializer = handler.response_serializer
        self._decode = handler.request_deserializer
        self._fail = fail
        self._behavior = handler.unary_unary or handler.unary_stream or handler.stream_stream
        if handler.request_streaming:
            self.stream_stream = self._answer_stream
        elif handler.response_streaming:
            self.unary_stream = self._answer
        else:
            self.unary_unary = self._answer

    async def _answer(self, content: bytes, context: Any) -> Any:
        return await self._behavior(await self._message(content, context), context)

    async def _answer_stream(
        self, contents: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[Any]:
        messages = (await self._message(content, context) async for content in contents)
        async for answer in self._behavior(messages, context):
            yield answer

    async def _message(self, content: bytes, context: Any) -> Any:
        """Decodes a message; ends the call where it is none, or a long one."""
        if len(content) > _MAX_MESSAGE_BYTES:
            await self._fail(
                InvalidRequestError(
                    f"message: {len(content):,} bytes given, at most {_MAX_MESSAGE_BYTES:,}; it "
                    "needs no more than a name",
                    limit=_MAX_MESSAGE_BYTES,
                    value=len(content),
                ),
                context,
            )
        try:
            return self._decode(content)
        except DecodeError as error:
            await self._fail(InvalidRequestError(f"message: {error}"), context)
