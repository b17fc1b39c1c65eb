"""Health and reflection, which every port of gRPC has beside its own services."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from twopass.server.config import ServerConfig
from twopass.server.edge import reflection
from twopass.server.edge.rpc import Edge

_STATES = health_pb2.HealthCheckResponse


def open_services(config: ServerConfig) -> Collection[str]:
    """The services that need no API key."""
    is_open = {
        health.SERVICE_NAME: config.open_health,
        **dict.fromkeys(reflection.SERVICE_NAMES, config.open_reflection),
    }
    return [name for name, needs_no_key in is_open.items() if needs_no_key]


class _Health(health.aio.HealthServicer):  # type: ignore[misc]  # gRPC's library has no types
    """gRPC's servicer, the rpc that it lacks, and the number of those who watch."""

    def __init__(self) -> None:
        super().__init__()
        self.num_watching = 0

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  # the rpc's name
        """Reports on a service whenever something changes, until the caller goes."""
        self.num_watching += 1
        try:
            await super().Watch(request, context)
        finally:
            self.num_watching -= 1

    async def List(self, request: Any, context: Any) -> Any:  # noqa: N802  # the rpc's name
        """Reports on all services at once."""
        del request, context
        statuses = {name: _STATES(status=status) for name, status in self._server_status.items()}
        return health_pb2.HealthListResponse(statuses=statuses)


class StandardServices:
    """Health and reflection of one port."""

    def __init__(self, edge: Edge, services: Sequence[str]) -> None:
        """Adds them to an edge; no service is reported to serve yet.

        Args:
            edge: The edge of the port.
            services: Full names of the port's own services.
        """
        self._health = _Health()
        edge.add_foreign_service(
            service_of(health_pb2),
            partial(health_pb2_grpc.add_HealthServicer_to_server, self._health),
        )
        for service, register in reflection.reflection_services((*services, health.SERVICE_NAME)):
            edge.add_foreign_service(service, register)

    @property
    def num_watching(self) -> int:
        """How many callers watch the health of a service."""
        return self._health.num_watching

    async def tell_each(self, is_serving: Mapping[str, bool]) -> None:
        """Reports whether services serve.

        Args:
            is_serving: By the full names of services; that of "" is the port's as a whole.
        """
        for name, serves in is_serving.items():
            await self._health.set(name, _STATES.SERVING if serves else _STATES.NOT_SERVING)

    async def drain(self) -> None:
        """Reports that nothing serves any more, whatever is told from now on."""
        await self._health.enter_graceful_shutdown()


def service_of(module: Any) -> ServiceDescriptor:
    """The one service in a generated module."""
    (descriptor,) = module.DESCRIPTOR.services_by_name.values()
    assert isinstance(descriptor, ServiceDescriptor)
    return descriptor
