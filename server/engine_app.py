"""The composition root of `--role engine`: models and their engines, without collections."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path

import grpc
from grpc_health.v1 import health

from twopass._core import available_cpus
from twopass.engine.v1 import engine_pb2
from twopass.engines.base.model import LoadedModel
from twopass.index.lanes import Lane
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.edge.gate import Gate
from twopass.server.edge.keys import KeyRing
from twopass.server.edge.rpc import Edge
from twopass.server.edge.standard import StandardServices, open_services, service_of
from twopass.server.edge.transport import (
    bind,
    check_transport,
    ensure_can_listen,
    listening_address,
    server_options,
)
from twopass.server.gauges import backlog_gauges, fleet_gauges, server_gauges, shared_token_counts
from twopass.server.models.loading import load_models
from twopass.server.models.registry import Models
from twopass.server.models.supervisor import Supervisor
from twopass.server.models.warming import warm_up
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.servicers.engine import EngineServicer
from twopass.server.servicers.models import ModelServicer
from twopass.server.servicers.server import ServerServicer
from twopass.server.serving import Serving
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.metrics_endpoint import MetricsEndpoint
from twopass.server.telemetry.tracing import open_tracer
from twopass.server.workers.devices import Devices
from twopass.v1 import model_pb2, server_pb2

_logger = logging.getLogger("twopass.server")
# How long the event loop may take to tell health.
_HEALTH_SECONDS = 2
# Servers in front ask every 2 s what this one is, and so learn that it ends.
_NOTICE_SECONDS = 3.0


class EngineApp:
    """A server that computes models alone, from start to drained.

    Attributes:
        config: The settings.
        port: Where it listens; 0 until it does.
        metrics_port: Where metrics are; 0 for nowhere.
        watching: Ends when engines have not answered for too long.
    """

    def __init__(
        self,
        config: ServerConfig,
        load: Callable[[ServerConfig], list[LoadedModel]] = load_models,
    ) -> None:
        """Loads the models; nothing listens yet.

        Args:
            config: The settings.
            load: Loads the models; a measurement may have engines of its own.

        Raises:
            ConfigError: Settings don't go together, or would send token ids unencrypted.
            KeysError: The file of keys can't be read.
            ModelError: A model is missing or damaged.
            OSError: An address is taken or not one of this machine.
        """
        _ensure_role(config)
        check_transport(config)
        ensure_can_listen(config)
        self.config = config
        self._began = time.perf_counter()
        self._num_cpus = config.threads or available_cpus()
        self._metrics = Metrics()
        self._tracer = open_tracer(config.traces_endpoint)
        self._gate = Gate(
            self._metrics,
            keys=KeyRing(Path(config.keys)) if config.keys else None,
            max_calls=config.max_calls,
            max_bytes=config.max_bytes,
        )
        self._models = load(config)
        self._silent: frozenset[str] = frozenset()
        self._is_well = False
        self._devices: Devices | None = None
        self._scraping: MetricsEndpoint | None = None
        self.port = self.metrics_port = 0

    async def start(self) -> None:
        """Warms the engines up, binds the ports, and reports SERVING.

        Raises:
            OSError: An address is taken or not one of this machine.
        """
        config = self.config
        self._loop = asyncio.get_running_loop()
        self._server = grpc.aio.server(options=server_options(config))
        self._arbiter = Arbiter(
            max_queued_pairs=config.max_queued_pairs,
            max_queued_tokens=config.max_queued_tokens,
            metrics=self._metrics,
            tracer=self._tracer,
        )
        for model in self._models:
            self._metrics.name_engine(model.engine, model.spec.id)
        self._add_services()
        await warm_up(self._models, self._arbiter)
        self.port = bind(self._server, config, config.address)
        self._serve_metrics()
        await self._server.start()
        await self._tell_health(())
        if config.devices:
            self._devices = Devices(config, self._models, self._metrics.engine_restarted)
        supervisor = Supervisor(
            self._models,
            self._arbiter,
            self._metrics,
            probe_seconds=config.probe_seconds,
            timeout_seconds=config.probe_timeout_seconds,
            give_up_seconds=config.exit_unwell_seconds,
        )
        self.watching = asyncio.create_task(supervisor.watch(self._tell_health))
        _logger.info(
            "serving",
            extra={
                "address": listening_address(config.address, self.port),
                "role": config.role.value,
                "seconds": round(time.perf_counter() - self._began, 2),
            },
        )

    async def stop(self) -> None:
        """Says that it ends, takes batches a moment longer, lets them end, and closes.

        Servers in front leave between the two, so that none of their batches is refused.
        """
        notice = self.config.drain_notice_seconds
        if not notice and self._servicer.is_asked:
            notice = _NOTICE_SECONDS
        seconds = self.config.drain_seconds
        _logger.info("draining", extra={"seconds_at_most": notice + seconds})
        self._servicer.drains = True
        self.watching.cancel()
        self._is_well = False
        await self._standard.drain()
        await asyncio.sleep(notice)
        self._gate.drains = True
        await self._server.stop(seconds)
        await self.close()
        _logger.info("stopped")

    @property
    def serving(self) -> Serving:
        """Where the server is found, once it serves, and with what."""
        return Serving(
            address=listening_address(self.config.address, self.port),
            http_url="",
            tei_targets=(),
            models=tuple(
                (
                    model.spec.id,
                    str(model.spec.kind),
                    model.engine.info.engine,
                    model.engine.info.precision,
                )
                for model in self._models
            ),
            num_collections=None,
            place="",
        )

    async def close(self) -> None:
        """Frees threads and models."""
        if self._scraping is not None:
            self._scraping.close()
        if self._tracer is not None:
            self._tracer.close()
        if self._devices is not None:
            self._devices.close()
        for model in self._models:
            model.engine.close()

    def _add_services(self) -> None:
        config, models = self.config, Models(self._models)
        lanes: tuple[Lane, ...] = ()
        self._servicer = EngineServicer(models, self._arbiter, lambda: self._silent)
        servicers = {
            engine_pb2: self._servicer,
            model_pb2: ModelServicer(models),
            server_pb2: ServerServicer(
                config,
                None,
                self._gate,
                self._arbiter,
                self._metrics,
                lanes,
                num_threads=self._num_cpus,
            ),
        }
        edge = Edge(
            self._gate,
            self._metrics,
            self._tracer,
            open_services=open_services(config),
            max_message_bytes=config.max_message_bytes,
        )
        services = [service_of(module) for module in servicers]
        for service, servicer in zip(services, servicers.values(), strict=True):
            edge.add_service(service, servicer)
        names = [service.full_name for service in services]
        self._services = (*names, health.OVERALL_HEALTH)
        self._standard = StandardServices(edge, names)
        self._server.add_generic_rpc_handlers((edge,))

    def _serve_metrics(self) -> None:
        if not self.config.metrics_address:
            return
        self._metrics.gauges(lambda: backlog_gauges(self._arbiter.backlog, self._models))
        self._metrics.gauges(lambda: shared_token_counts(self._models))
        self._metrics.gauges(lambda: fleet_gauges(self._models))
        self._metrics.gauges(lambda: server_gauges(self._gate, ()))
        self._scraping = MetricsEndpoint(self.config.metrics_address, self._metrics, self._serves)
        self.metrics_port = self._scraping.port

    def _serves(self) -> bool:
        """Whether the server serves and its event loop answers; for other threads to ask."""
        told: Future[bool] = Future()
        try:
            self._loop.call_soon_threadsafe(lambda: told.set_result(self._is_well))
            return told.result(_HEALTH_SECONDS)
        except (RuntimeError, TimeoutError):  # the loop is closed, or held up
            return False

    async def _tell_health(self, silent: Collection[str]) -> None:
        """Reports whether the server serves.

        Args:
            silent: Ids of the models whose engines do not answer.
        """
        self._silent = frozenset(silent)
        self._is_well = not silent
        await self._standard.tell_each(dict.fromkeys(self._services, self._is_well))


def _ensure_role(config: ServerConfig) -> None:
    """Refuses engines for an engine, and tells of addresses at which nothing will listen.

    Raises:
        ConfigError: Names the setting and the way out.
    """
    if config.engines:
        raise ConfigError(
            "--engines: set, but a server with --role engine computes the models itself; give it "
            "to the server in front"
        )
    # An image sets an address for every server that is run from it.
    for flag, value in {"http": config.http_address, "tei": config.tei_address}.items():
        if value:
            _logger.warning(
                "--%s-address is set, but a server with --role engine answers only servers that "
                "name it with --engines",
                flag,
            )
