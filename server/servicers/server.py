"""ServerService: what the server is, what it allows, and how much it has to do."""

import time
from importlib.metadata import version

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.server.batcher import Batcher
from twopass.server.config import ServerConfig
from twopass.server.gate import Gate
from twopass.server.rpc import Call
from twopass.v1 import server_pb2


class ServerServicer:
    """Describes the server."""

    def __init__(
        self, config: ServerConfig, gate: Gate, batcher: Batcher, *, num_threads: int
    ) -> None:
        self._gate = gate
        self._batcher = batcher
        self._num_threads = num_threads
        self._version = version("twopass")
        self._start_time = Timestamp()
        self._start_time.FromMicroseconds(time.time_ns() // 1_000)
        names = server_pb2.Limits.DESCRIPTOR.fields_by_name
        self._limits = server_pb2.Limits(**{name: getattr(config, name) for name in names})

    async def get_server_info(
        self, request: server_pb2.GetServerInfoRequest, call: Call
    ) -> server_pb2.GetServerInfoResponse:
        """Returns all there is to know."""
        server = server_pb2.ServerInfo(
            version=self._version,
            start_time=self._start_time,
            num_threads=self._num_threads,
            limits=self._limits,
            load=self._load(),
        )
        return server_pb2.GetServerInfoResponse(server=server)

    def _load(self) -> server_pb2.Load:
        backlog = self._batcher.backlog
        busy = Duration()
        busy.FromMicroseconds(round(backlog.retry_after() * 1e6))
        return server_pb2.Load(
            queued_pairs=self._batcher.num_admitted,
            queued_tokens=backlog.waiting_tokens,
            calls=self._gate.num_calls,
            bytes=self._gate.num_bytes,
            busy=busy,
        )
