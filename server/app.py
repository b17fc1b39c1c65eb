"""A server from start to drained: what it holds, and when it begins and ends.

With `surfaces.py`, which joins what answers calls, it is the composition root.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

import grpc

from twopass._core import available_cpus
from twopass.engines.base.model import LoadedModel
from twopass.engines.base.sequences import Float32s, Int32s
from twopass.engines.errors import EngineUnavailableError
from twopass.index.base.store import InspectableStore, StoreCounts
from twopass.index.lanes import Lane, Lanes
from twopass.index.schema import CollectionSchema
from twopass.server.config import ServerConfig
from twopass.server.config_values import VectorDevice
from twopass.server.edge.gate import Gate
from twopass.server.edge.keys import KeyRing
from twopass.server.edge.transport import (
    bind,
    check_transport,
    ensure_can_listen,
    listening_address,
    server_options,
)
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.gauges import (
    backlog_gauges,
    collection_gauges,
    fallback_counts,
    feedback_gauges,
    fleet_gauges,
    lane_gauges,
    server_gauges,
    shadow_gauges,
    shared_token_counts,
    store_gauges,
    vector_device_gauges,
)
from twopass.server.health import serving_services
from twopass.server.http.server import HttpServer
from twopass.server.models.caches import ByteCache
from twopass.server.models.loading import load_models
from twopass.server.models.registry import Models
from twopass.server.models.supervisor import Supervisor
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.models.warming import warm_up
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.score_cache import ScoreCache
from twopass.server.serving import Serving
from twopass.server.shadowing.aftermath import Aftermath, open_feedback
from twopass.server.store_watch import StoreWatch
from twopass.server.stores import check_store, open_store
from twopass.server.surfaces import SurfaceParts, open_surfaces
from twopass.server.tei.serving import models_at
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.metrics_endpoint import MetricsEndpoint
from twopass.server.telemetry.relevance import Relevance
from twopass.server.telemetry.relevance_metrics import relevance_metrics
from twopass.server.telemetry.tracing import open_tracer
from twopass.server.workers.devices import Devices
from twopass.server.workers.worker import WorkerState
from twopass.server.workers.workers import Workers

_logger = logging.getLogger("twopass.server")
# Reading and building messages is Python, which holds the GIL: a second thread would read no more
# of them, and searches beside two uploads would take twice as long at p99 (185 ms instead of 84).
_MESSAGE_THREADS = 1
# Undoing gzip takes no GIL but a CPU, 15 ms a MiB: one body at a time leaves the rest to searches.
_UNPACKING_THREADS = 1
# By far enough for a client of gRPC that watches health: it is told at once.
_NOTICE_SECONDS = 1.0
# How long the event loop may take to tell health: one that is held up for longer serves nobody.
_HEALTH_SECONDS = 2


class App:
    """A server: models, collections and services, from start to drained."""

    def __init__(
        self,
        config: ServerConfig,
        load: Callable[[ServerConfig], list[LoadedModel]] = load_models,
    ) -> None:
        """Takes the data folder and loads the models; nothing listens yet.

        Args:
            config: The settings.
            load: Loads the models; a measurement may have engines of its own.

        Raises:
            ConfigError: Settings don't go together, or would send texts and keys unencrypted.
            GpuUnavailableError: Vectors are to be searched on a GPU, and there is none.
            KeysError: The file of keys can't be read.
            ModelError: A model is missing or damaged.
            CollectionError: The data folder is in use or can't be read.
            OSError: An address is taken or not one of this machine.
        """
        check_transport(config)
        ensure_can_listen(config)
        check_store(config)
        self.config = config
        self._began = time.perf_counter()
        self._num_cpus = config.threads or available_cpus()
        self._metrics = Metrics()
        self._relevance = Relevance()
        self._tracer = open_tracer(config.traces_endpoint)
        self._keys = KeyRing(Path(config.keys)) if config.keys else None
        self._gate = Gate(
            self._metrics, keys=self._keys, max_calls=config.max_calls, max_bytes=config.max_bytes
        )
        self._lanes = Lanes.for_cpus(self._num_cpus)
        self._messages = Lane("messages", _MESSAGE_THREADS)
        self._unpacking = Lane("unpacking", _UNPACKING_THREADS)
        self._feedback_lane = Lane("feedback", 1)
        self._caches: tuple[ByteCache[Int32s], ByteCache[Float32s]] = (
            ByteCache("passages", config.passage_cache_bytes, self._metrics),
            ByteCache("queries", config.query_cache_bytes, self._metrics),
        )
        self._scores = ScoreCache(config.score_cache_bytes, self._metrics)
        self._tokenizing = Tokenizing(self._num_cpus, self._caches[0])
        # Documents are tokenised in threads of their own, so that no query waits for them.
        self._tokenizing_new = Tokenizing(self._num_cpus, name="document_tokenizing")
        self._models: list[LoadedModel] = []
        opened = open_store(
            config,
            self._lanes,
            self._messages,
            num_threads=self._num_cpus,
            current_revision=self._current_revision,
        )
        try:
            self._store = opened.store
            self._store_watch = StoreWatch(
                self._store,
                probe_seconds=config.probe_seconds,
                timeout_seconds=config.probe_timeout_seconds,
            )
            self._feedback: FeedbackRecords = open_feedback(
                config, self._store, self._feedback_lane
            )
            self._aftermath = Aftermath(self._feedback)
            self._models = load(config)
            models_at(config, Models(self._models))
            self._workers = Workers(config, self._models) if config.engines else None
        except BaseException:
            opened.discard()
            for model in self._models:
                model.engine.close()
            raise
        self._watching_store: asyncio.Task[None] | None = None
        self.port = self.metrics_port = self.http_port = 0
        self._is_well = False
        self._devices: Devices | None = None
        self._http: HttpServer | None = None

    async def start(self) -> None:
        """Opens the collections, warms the engines up, binds the ports, and reports SERVING.

        Raises:
            CollectionError: The collections can't be read, or the store does not let the server in.
            OSError: An address is taken or not one of this machine.
        """
        config = self.config
        await self._store.start()
        self._watching_store = asyncio.create_task(self._store_watch.watch())
        self._server = grpc.aio.server(options=server_options(config))
        self._arbiter = Arbiter(
            max_queued_pairs=config.max_queued_pairs,
            max_queued_tokens=config.max_queued_tokens,
            metrics=self._metrics,
            tracer=self._tracer,
        )
        self._add_surfaces()
        await self._aftermath.start()
        for model in self._models:
            self._metrics.name_engine(model.engine, model.spec.id)
        await self._warm_up()
        self.port = bind(self._server, config, config.address)
        if config.http_address:
            self._http = HttpServer(config, self._http_edge)
            self.http_port = self._http.port
            await self._http.start()
        self._loop = asyncio.get_running_loop()
        self._scraping = self._serve_metrics()
        await self._server.start()
        await self._tei.start()
        await self._tell_health()
        if config.devices:
            self._devices = Devices(config, self._models, self._metrics.engine_restarted)
        self.watching = asyncio.create_task(self._supervisor().watch(self._tell_health))
        _logger.info(
            "serving",
            extra={
                "address": listening_address(config.address, self.port),
                **({} if self._http is None else {"http": self._http.url}),
                **({"tei": ", ".join(self.tei_targets)} if self.tei_targets else {}),
                **self._told_of_store(),
                "seconds": round(time.perf_counter() - self._began, 2),
            },
        )

    async def stop(self) -> None:
        """Says that it does not serve, takes calls a moment longer, lets them end, and closes.

        Those who balance over several servers leave between the two, so that none of their calls is
        refused. After `drain_seconds` calls that still run are ended.
        """
        notice, seconds = self._notice_seconds(), self.config.drain_seconds
        _logger.info("draining", extra={"seconds_at_most": notice + seconds})
        self.watching.cancel()
        self._is_well = False
        await self._standard.drain()
        await self._tei.drain()
        await asyncio.sleep(notice)
        self._gate.drains = True
        stopping = [self._server.stop(seconds), self._tei.stop(seconds)]
        if self._http is not None:
            stopping.append(self._http.stop())
        await asyncio.gather(*stopping)
        if self._scraping is not None:
            self._scraping.close()
        await self.close()
        _logger.info("stopped")

    def _notice_seconds(self) -> float:
        """How long calls are taken after health has said that nothing serves."""
        if self.config.drain_notice_seconds:
            return self.config.drain_notice_seconds
        is_watched = self._standard.num_watching + self._tei.num_watching > 0
        return _NOTICE_SECONDS if is_watched else 0.0

    @property
    def tei_targets(self) -> list[str]:
        """Where clients of TEI find the server over gRPC, in the order of `tei_address`."""
        return self._tei.targets

    @property
    def serving(self) -> Serving:
        """Where the server is found, once it serves, and with what."""
        return Serving(
            address=listening_address(self.config.address, self.port),
            http_url="" if self._http is None else self._http.url,
            tei_targets=tuple(self.tei_targets),
            models=tuple(
                (
                    model.spec.id,
                    str(model.spec.kind),
                    model.engine.info.engine,
                    model.engine.info.precision,
                )
                for model in self._models
            ),
            num_collections=counts.num_known if (counts := self._counts()) else None,
            place=self._store.place,
        )

    async def close(self) -> None:
        """Frees threads, models and collections."""
        await self._aftermath.close()
        self._tokenizing.close()
        self._tokenizing_new.close()
        if self._tracer is not None:
            self._tracer.close()
        if self._workers is not None:
            self._workers.close()
        if self._devices is not None:
            self._devices.close()
        for model in self._models:
            model.engine.close()
        if self._watching_store is not None:
            self._watching_store.cancel()
        await self._feedback.close()
        await self._store.close()
        self._lanes.close()
        self._messages.close()
        self._unpacking.close()
        self._feedback_lane.close()

    def _counts(self) -> StoreCounts | None:
        """What the store holds, where that is known without asking."""
        return self._store.counts() if isinstance(self._store, InspectableStore) else None

    def _told_of_store(self) -> dict[str, object]:
        """What the log tells of the store at the start."""
        if (counts := self._counts()) is not None:
            return {"collections": counts.num_known}
        told: dict[str, object] = {"store": self._store.place}
        return told | ({"store_problem": self._store.problem} if self._store.problem else {})

    def _current_revision(self, collection: str, schema: CollectionSchema) -> str:
        return Models(self._models).current_revision(collection, schema)

    def _add_surfaces(self) -> None:
        config = self.config
        surfaces = open_surfaces(
            SurfaceParts(
                config=config,
                models=Models(self._models),
                arbiter=self._arbiter,
                tokenizing=self._tokenizing,
                document_tokenizing=self._tokenizing_new,
                queries=self._caches[1],
                scores=self._scores,
                store=self._store,
                store_watch=self._store_watch,
                lanes=self._lanes,
                messages=self._messages,
                unpacking=self._unpacking,
                all_lanes=self._all_lanes,
                feedback=self._feedback,
                aftermath=self._aftermath,
                relevance=self._relevance,
                gate=self._gate,
                metrics=self._metrics,
                tracer=self._tracer,
                num_threads=self._num_cpus,
                workers=self._worker_states,
                is_well=lambda: self._is_well,
                grpc_port=lambda: 0 if config.address.startswith("unix:") else self.port,
            )
        )
        self._server.add_generic_rpc_handlers((surfaces.edge,))
        self._standard, self._tei, self._http_edge = surfaces.standard, surfaces.tei, surfaces.http

    def _worker_states(self) -> list[WorkerState]:
        return [] if self._workers is None else self._workers.states

    @property
    def _all_lanes(self) -> tuple[Lane, ...]:
        tokenizing = self._tokenizing.lane, self._tokenizing_new.lane
        own = self._messages, self._unpacking, self._feedback_lane
        return (*self._lanes.all(), *tokenizing, *own)

    def _supervisor(self) -> Supervisor:
        return Supervisor(
            self._models,
            self._arbiter,
            self._metrics,
            probe_seconds=self.config.probe_seconds,
            timeout_seconds=self.config.probe_timeout_seconds,
            give_up_seconds=self.config.exit_unwell_seconds,
        )

    def _serve_metrics(self) -> MetricsEndpoint | None:
        address = self.config.metrics_address
        if not address and not self.config.http_address:
            return None
        self._metrics.gauges(lambda: backlog_gauges(self._arbiter.backlog, self._models))
        self._metrics.gauges(lambda: shared_token_counts(self._models))
        self._metrics.gauges(lambda: store_gauges(self._store_watch))
        if isinstance(store := self._store, InspectableStore):
            self._metrics.gauges(lambda: collection_gauges(store.counts()))
        self._metrics.gauges(lambda: server_gauges(self._gate, self._caches, self._scores))
        self._metrics.gauges(lambda: relevance_metrics(self._relevance))
        self._metrics.gauges(lambda: lane_gauges(self._all_lanes))
        self._metrics.gauges(lambda: fallback_counts(self._store_watch))
        if self.config.vector_device is VectorDevice.GPU:
            self._metrics.gauges(lambda: vector_device_gauges(self._store_watch))
        self._metrics.gauges(lambda: fleet_gauges(self._models))
        self._metrics.gauges(lambda: feedback_gauges(self._feedback))
        if self._aftermath.shadowing is not None and self.config.shadow:
            shadowing = self._aftermath.shadowing
            self._metrics.gauges(lambda: shadow_gauges(shadowing.results()))
        if not address:
            return None
        endpoint = MetricsEndpoint(address, self._metrics, self._serves)
        self.metrics_port = endpoint.port
        return endpoint

    def _serves(self) -> bool:
        """Whether the server serves and its event loop answers; for other threads to ask."""
        told: Future[bool] = Future()
        try:
            self._loop.call_soon_threadsafe(lambda: told.set_result(self._is_well))
            return told.result(_HEALTH_SECONDS)
        except (RuntimeError, TimeoutError):  # the loop is closed, or held up
            return False

    async def _tell_health(self, silent: Collection[str] = ()) -> None:
        """Reports whether the server serves.

        Args:
            silent: Ids of the models whose engines do not answer.
        """
        self._is_well = not silent
        await self._standard.tell_each(serving_services(self._models, silent))
        await self._tei.tell(silent)

    async def _warm_up(self) -> None:
        """Warms the engines up; where they are apart, once there is one for each model."""
        while self._workers is not None:
            await self._workers.all_there()
            with suppress(EngineUnavailableError):  # it went away meanwhile
                await warm_up(self._models, self._arbiter)
                return
        await warm_up(self._models, self._arbiter)
