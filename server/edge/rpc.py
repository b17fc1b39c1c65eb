"""From a servicer's methods to gRPC's handlers: which rpc is called, and whether it may be.

A servicer has one coroutine (or async generator, for a bidirectional rpc) for each rpc, named in
snake case. It takes messages and a `Request` and raises ordinary exceptions: all of gRPC is in this
package. Where protobuf's objects would take longer than the work on them, it also has `read_` and
the rpc's name: that reads plain requests from their bytes, and the rpc takes a `ReadMessage` too.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from twopass.server.edge.call import Rpc, Shared, ensure_may_use_collections
from twopass.server.edge.call_log import CallLog
from twopass.server.edge.calls import GrpcCall, Refusal, StreamCall, UnaryCall
from twopass.server.edge.foreign import ForeignService
from twopass.server.edge.gate import Gate
from twopass.server.edge.messages import Decoder, WrittenAnswer
from twopass.server.edge.permissions import permissions_of
from twopass.server.edge.statuses import Statuses
from twopass.server.errors import RequestError
from twopass.server.metadata import Metadata
from twopass.server.request import Request
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.tracing import Tracer


@dataclass(frozen=True, slots=True)
class _OwnRpc:
    """An rpc of a servicer, and the class of its calls."""

    rpc: Rpc
    call: type[UnaryCall | StreamCall]


class Edge(grpc.GenericRpcHandler):
    """Every rpc of the server, and the checks that its calls pass.

    gRPC asks it for the handler of each call when only the metadata has come. So a call that is not
    admitted is refused before a byte of its message is read.

    Attributes:
        shared: What all calls share, those of other wires included.
    """

    def __init__(
        self,
        gate: Gate | None = None,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
        *,
        open_services: Collection[str] = (),
        max_message_bytes: int = sys.maxsize,
        max_value_bytes: int = 0,
    ) -> None:
        """Prepares an edge without rpcs.

        Args:
            gate: Admits calls; None to admit everyone.
            metrics: Where calls are counted; None not to count them.
            tracer: Traces calls; None to trace none.
            open_services: Full names of the services that need no API key.
            max_message_bytes: Longest answer.
            max_value_bytes: Longest text that a message may hold.
        """
        metrics = metrics or Metrics()
        self.shared = Shared(
            gate or Gate(metrics), metrics, tracer, CallLog(), max_message_bytes=max_message_bytes
        )
        self._open_services = open_services
        self._max_value_bytes = max_value_bytes
        self._ours: dict[str, _OwnRpc] = {}
        self._foreign: dict[str, tuple[Rpc, ForeignService]] = {}

    def add_service(
        self, descriptor: ServiceDescriptor, servicer: object, statuses: Statuses | None = None
    ) -> None:
        """Adds the rpcs of a service.

        Args:
            descriptor: The service.
            servicer: Has a method for each of its rpcs. An rpc with a stream of requests and one
                answer is an async generator of one answer, as it is on the wire.
            statuses: How its failures are told; None for the server's own table.

        Raises:
            AttributeError: The servicer lacks a method.
            UndeclaredRpcError: An rpc has no permission.
        """
        for rpc in self._rpcs(descriptor):
            method = descriptor.methods_by_name[rpc.method]
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", rpc.method).lower()
            rpc.run = getattr(servicer, name)
            rpc.read = getattr(servicer, f"read_{name}", rpc.read)
            rpc.statuses = statuses or rpc.statuses
            rpc.decoder = Decoder(method.input_type, max_value_bytes=self._max_value_bytes)
            call = StreamCall if method.client_streaming else UnaryCall
            self._ours[rpc.path] = _OwnRpc(rpc, call)

    def add_foreign_service(
        self, descriptor: ServiceDescriptor, register: Callable[[Any], None]
    ) -> None:
        """Adds a service that a library implements; its handlers get the calls that are allowed.

        Args:
            descriptor: The service.
            register: Registers the library's handlers with the server given to it.

        Raises:
            UndeclaredRpcError: An rpc has no permission.
        """
        foreign = ForeignService()
        register(foreign)
        for rpc in self._rpcs(descriptor):
            self._foreign[rpc.path] = rpc, foreign

    async def run(self, rpc: str, message: Message, request: Request) -> Message:
        """Runs a unary rpc of ours for a call that came over another wire, and was admitted there.

        Args:
            rpc: Its full name, with dots.
            message: What is asked.
            request: The call.

        Raises:
            PermissionDeniedError: The caller may not use a collection that the message names.
        """
        ours = self._ours["/{}/{}".format(*rpc.rsplit(".", 1))].rpc
        ensure_may_use_collections(request.caller, message)
        answer: Message | WrittenAnswer = await ours.run(message, request)
        response = answer.read() if isinstance(answer, WrittenAnswer) else answer
        self.shared.metrics.answered(ours.name, response)
        return response

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a new call; None for an unknown rpc."""
        path, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        ours = self._ours.get(path)
        if ours is None:
            return self._foreign_handler(path, metadata, handler_call_details)
        call = ours.call(self.shared, ours.rpc, metadata)
        try:
            call.admit()
        except RequestError as error:
            return Refusal(call, error)
        task = asyncio.current_task()
        if task is not None:  # the task in which gRPC runs the call to its end
            task.add_done_callback(call.task_ended)
        return call

    def _foreign_handler(self, path: str, metadata: Metadata, details: Any) -> Any:
        if path not in self._foreign:
            return None
        rpc, foreign = self._foreign[path]
        try:
            self.shared.gate.check(metadata, rpc.permission)
        except RequestError as error:
            return Refusal(GrpcCall(self.shared, rpc, metadata), error)

        async def fail(error: Exception, context: Any) -> None:
            await GrpcCall(self.shared, rpc, metadata).fail(error, context)

        return foreign.handler(details, fail)

    def _rpcs(self, descriptor: ServiceDescriptor) -> list[Rpc]:
        permissions = permissions_of(descriptor, open_services=self._open_services)
        return [
            Rpc(descriptor.full_name, method.name, permissions[method.full_name])
            for method in descriptor.methods
        ]
