"""Keeps health and reflection, whose handlers are not ours, behind the gate where wanted."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from twopass.server.edge.gate import Gate
from twopass.server.errors import UnauthenticatedError


class StandardGate(grpc.aio.ServerInterceptor):
    """Asks for an API key before some services."""

    def __init__(self, gate: Gate, services: tuple[str, ...]) -> None:
        """Closes services.

        Args:
            gate: Knows the keys.
            services: Full names of those that need one.
        """
        self._gate = gate
        self._prefixes = tuple(f"/{service}/" for service in services)

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: Any,
    ) -> Any:
        """Lets a call through, or ends it."""
        if handler_call_details.method.startswith(self._prefixes):
            try:
                self._gate.caller(handler_call_details.invocation_metadata)
            except UnauthenticatedError as error:
                return _refusal(str(error))
        return await continuation(handler_call_details)


def _refusal(message: str) -> Any:
    async def refuse(requests: object, context: Any) -> None:
        del requests
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, message)

    # On the wire a unary call is a stream of one message.
    return grpc.stream_stream_rpc_method_handler(refuse)
