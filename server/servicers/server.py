"""ServerService: the server's version, its limits and its load."""

import time
from collections.abc import Callable, Sequence
from importlib.metadata import version

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.index.lanes import Lane
from twopass.server.config import ServerConfig
from twopass.server.edge.gate import Gate
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.store_watch import StoreWatch
from twopass.server.telemetry.metrics import Metrics
from twopass.server.workers.worker import WorkerState
from twopass.v1 import server_pb2


class ServerServicer:
    """Describes the server."""

    def __init__(
        self,
        config: ServerConfig,
        store: StoreWatch | None,
        gate: Gate,
        arbiter: Arbiter,
        metrics: Metrics,
        lanes: Sequence[Lane],
        *,
        num_threads: int,
        workers: Callable[[], Sequence[WorkerState]] = list,
    ) -> None:
        self._vector_device = config.vector_device.value
        self._workers = workers
        self._metrics = metrics
        self._store = store
        self._lanes = lanes
        self._gate = gate
        self._arbiter = arbiter
        self._num_threads = num_threads
        self._version = version("twopass")
        self._start_time = Timestamp()
        self._start_time.FromMicroseconds(time.time_ns() // 1_000)
        names = server_pb2.Limits.DESCRIPTOR.fields_by_name
        self._limits = server_pb2.Limits(**{name: getattr(config, name) for name in names})

    async def get_server_info(
        self, message: server_pb2.GetServerInfoRequest, request: Request
    ) -> server_pb2.GetServerInfoResponse:
        """Returns version, limits and load."""
        server = server_pb2.ServerInfo(
            version=self._version,
            start_time=self._start_time,
            num_threads=self._num_threads,
            limits=self._limits,
            load=self._load(),
            vector_device=self._vector_device,
            num_vector_fallbacks=0 if self._store is None else self._store.num_vector_fallbacks,
            store="" if self._store is None else self._store.kind,
            store_problem="" if self._store is None else self._store.problem,
            workers=map(_worker_message, self._workers()),
        )
        return server_pb2.GetServerInfoResponse(server=server)

    def _load(self) -> server_pb2.Load:
        backlog = self._arbiter.backlog
        return server_pb2.Load(
            queued_pairs=self._arbiter.num_admitted,
            queued_tokens=backlog.waiting_tokens,
            calls=self._gate.num_calls,
            bytes=self._gate.bytes_in_flight.num_bytes,
            busy=_duration(backlog.retry_after()),
            lanes=map(_lane_message, self._lanes),
            rejections=self._metrics.rejections(),
        )


def _worker_message(worker: WorkerState) -> server_pb2.Worker:
    return server_pb2.Worker(
        target=worker.target,
        version=worker.version,
        models=worker.models,
        problem=worker.problem,
    )


def _lane_message(lane: Lane) -> server_pb2.LaneLoad:
    return server_pb2.LaneLoad(
        name=lane.name,
        num_threads=lane.num_threads,
        num_running=lane.num_running,
        num_waiting=lane.num_waiting,
        longest_overrun=_duration(lane.longest_overrun),
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration
