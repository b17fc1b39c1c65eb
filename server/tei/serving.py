"""Ports that speak tei.v1 over gRPC: one for each `--tei-address`, with one model behind it."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from twopass.engines.base.model import LoadedEncoder, LoadedModel
from twopass.server.addresses import TeiAddress, tei_addresses
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.edge.rpc import Edge
from twopass.server.edge.standard import StandardServices
from twopass.server.edge.transport import bind, listening_address, server_options
from twopass.server.errors import UnknownModelError
from twopass.server.models.registry import Models
from twopass.server.servicers.translating import Translating
from twopass.server.tei.operations import TeiOperations

_PACKAGE = "tei.v1"
# What TEI reports as serving whatever becomes of the model.
_ALWAYS_WELL = ("Info", "Tokenize")
_OF_ENCODERS = ("Embed",)
_OF_RERANKERS = ("Predict", "Rerank")


def models_at(config: ServerConfig, models: Models) -> list[tuple[TeiAddress, LoadedModel]]:
    """The ports of the settings, and the model behind each.

    Raises:
        ConfigError: A value is no address, or names a model that the server does not hold.
    """
    return [(address, _model_at(address, models)) for address in tei_addresses(config)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TeiServingParts:
    """What the ports work with.

    Attributes:
        config: The server's settings.
        models: The models.
        operations: What TEI does with them.
        translating: Reads and builds large messages off the event loop.
        make_edge: Makes the edge of a port; all edges share one gate.
    """

    config: ServerConfig
    models: Models
    operations: TeiOperations
    translating: Translating
    make_edge: Callable[[], Edge]


class TeiServers:
    """All ports that speak tei.v1; none where no `--tei-address` is given."""

    def __init__(self, parts: TeiServingParts) -> None:
        """Prepares the ports; none is bound.

        Raises:
            ConfigError: A port's model is not held.
        """
        self._ports = [
            _Port(address, model, parts) for address, model in models_at(parts.config, parts.models)
        ]

    @property
    def targets(self) -> list[str]:
        """Where clients find each port, in the order of the settings."""
        return [port.target for port in self._ports]

    async def start(self) -> None:
        """Binds the ports and answers there; nothing that needs a model is reported to serve.

        Raises:
            OSError: An address is taken or not one of this machine.
        """
        for port in self._ports:
            await port.start()

    async def tell(self, silent: Collection[str]) -> None:
        """Reports whether each port serves.

        Args:
            silent: Ids of the models whose engines do not answer.
        """
        for port in self._ports:
            await port.tell(port.model not in silent)

    @property
    def num_watching(self) -> int:
        """How many callers watch the health of a service."""
        return sum(port.standard.num_watching for port in self._ports)

    async def drain(self) -> None:
        """Reports that nothing serves any more."""
        for port in self._ports:
            await port.standard.drain()

    async def stop(self, seconds: float) -> None:
        """Takes no more calls, and returns when all have ended, or after some time."""
        await asyncio.gather(*(port.server.stop(seconds) for port in self._ports))


class _Port:
    """One port.

    Attributes:
        model: Id of its model.
        server: What listens there.
        standard: Health and reflection.
        target: Where clients find it, once it is started.
    """

    def __init__(self, address: TeiAddress, model: LoadedModel, parts: TeiServingParts) -> None:
        self._config = parts.config
        self._address = address
        works = _OF_ENCODERS if isinstance(model, LoadedEncoder) else _OF_RERANKERS
        self._works = [f"{_PACKAGE}.{name}" for name in works]
        self.model = model.spec.id
        self.target = ""
        edge = parts.make_edge()
        names = _add_services(edge, model.spec.id, parts)
        self._never = [
            f"{_PACKAGE}.{name}"
            for name in (*_OF_ENCODERS, *_OF_RERANKERS)
            if f"{_PACKAGE}.{name}" not in self._works
        ]
        self.standard = StandardServices(edge, names)
        self.server = grpc.aio.server(options=server_options(parts.config))
        self.server.add_generic_rpc_handlers((edge,))

    async def start(self) -> None:
        """Binds the port and answers there."""
        address = self._address.address
        port = bind(self.server, self._config, address, setting="tei_address")
        self.target = listening_address(address, port)
        await self.server.start()
        await self.tell(False)

    async def tell(self, is_well: bool) -> None:
        """Reports whether the model's engine answers."""
        always = dict.fromkeys((f"{_PACKAGE}.{name}" for name in _ALWAYS_WELL), True)
        works, never = dict.fromkeys(self._works, is_well), dict.fromkeys(self._never, False)
        await self.standard.tell_each({"": is_well} | always | works | never)


def _add_services(edge: Edge, model: str, parts: TeiServingParts) -> Sequence[str]:
    """Adds the services of tei.v1 for a model; returns their full names."""
    # Here, since protobuf knows one tei.v1 in a process: see `servicers/__init__.py`.
    from twopass.server.tei.servicers.embed import EmbedServicer
    from twopass.server.tei.servicers.info import InfoServicer
    from twopass.server.tei.servicers.predict import PredictServicer
    from twopass.server.tei.servicers.rerank import RerankServicer
    from twopass.server.tei.servicers.statuses import TeiStatuses
    from twopass.server.tei.servicers.tokenize import TokenizeServicer
    from twopass.tei.v1 import tei_pb2

    operations, statuses = parts.operations, TeiStatuses()
    servicers: dict[str, Any] = {
        "Info": InfoServicer(operations, model),
        "Embed": EmbedServicer(operations, model, parts.translating),
        "Predict": PredictServicer(operations, model),
        "Rerank": RerankServicer(operations, model, parts.translating),
        "Tokenize": TokenizeServicer(operations, model, parts.translating),
    }
    for name, servicer in servicers.items():
        edge.add_service(tei_pb2.DESCRIPTOR.services_by_name[name], servicer, statuses)
    return [f"{_PACKAGE}.{name}" for name in servicers]


def _model_at(address: TeiAddress, models: Models) -> LoadedModel:
    try:
        return models.get(address.model) if address.model else models.reranker()
    except UnknownModelError:
        known = ", ".join(model.spec.id for model in models.all())
        raise ConfigError(
            f"--tei-address: {address.given!r} names a model that the server does not hold; it "
            f"holds {known}, and others by --more-models"
        ) from None
