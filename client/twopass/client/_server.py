"""The server's version, limits and load."""

from dataclasses import dataclass
from datetime import datetime

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._values import moment, seconds
from twopass.v1 import server_pb2


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on requests: each is a setting of the server.

    Attributes:
        max_candidates: Most candidates in one rerank request or set.
        max_documents: Most documents, ids or texts in one message.
        max_passage_bytes: Longest passage, title and text together, in bytes of UTF-8.
        max_query_bytes: Longest query in bytes of UTF-8; how much of it a model reads says its
            `max_query_tokens`.
        max_message_bytes: Longest message in or out, in bytes.
        max_queued_pairs: Most pairs and texts admitted at once.
        max_queued_tokens: Most tokens that wait for an engine.
        max_calls: Most calls under way, streams included.
        max_bytes: Most bytes of requests under way.
        max_answer_bytes: Most bytes of a page of documents; for other answers the client asks for
            as much as it may receive.
    """

    max_candidates: int
    max_documents: int
    max_passage_bytes: int
    max_query_bytes: int
    max_message_bytes: int
    max_queued_pairs: int
    max_queued_tokens: int
    max_calls: int
    max_bytes: int
    max_answer_bytes: int


@dataclass(frozen=True, slots=True)
class LaneLoad:
    """Threads for one kind of blocking work.

    Attributes:
        name: The kind: "reads", "scans", "vectors", "writes" and others.
        num_threads: Most calls of the kind that run at once.
        num_running: Calls of the kind that run now.
        num_waiting: Calls of the kind that wait for a thread.
        longest_overrun_seconds: The longest that a call ran on after it had been stopped, because
            its caller was gone or its time was up.
    """

    name: str
    num_threads: int
    num_running: int
    num_waiting: int
    longest_overrun_seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """A server's load at one moment.

    Attributes:
        queued_pairs: Pairs and texts that are admitted and not answered.
        queued_tokens: Tokens that wait for an engine.
        calls: Calls under way, this one included.
        bytes: Bytes of requests under way.
        busy_seconds: Seconds until everything that waits now is computed, estimated from the
            measured speed of the engines.
        lanes: The threads for blocking work, by kind.
        rejections: Calls and sets refused or late since the server started, by reason.
    """

    queued_pairs: int
    queued_tokens: int
    calls: int
    bytes: int
    busy_seconds: float
    lanes: list[LaneLoad]
    rejections: dict[str, int]


@dataclass(frozen=True, slots=True)
class Worker:
    """A server with the role engine that the settings of a server name.

    Attributes:
        target: Where it is: one address of perhaps several that a name stands for.
        version: Its version; "" until it has answered.
        models: Ids of the models that it computes for the server.
        problem: Why it does not compute all of the server's models; "" where it does.
    """

    target: str
    version: str
    models: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server, as it was when it answered.

    Attributes:
        version: The server's version, as in "1.2.3".
        start_time: When it was started, in UTC.
        num_threads: Threads of one forward pass on a CPU.
        limits: What one request, or all requests together, may take.
        load: Its load when it answered.
        vector_device: The device that it is set to search vectors on: "cpu" or "gpu".
        num_vector_fallbacks: How often the CPU took over a collection's vectors, because they did
            not fit the GPU or the GPU failed.
        store: What keeps the collections: "sqlite", the server's own data folder; "postgresql";
            "milvus"; "" from a server that is older than this client.
        store_problem: Why the store could not be used when it was last tried; empty as long as it
            can.
        workers: Servers with the role engine that compute this one's models; empty where it does
            so itself.
    """

    version: str
    start_time: datetime
    num_threads: int
    limits: Limits
    load: Load
    vector_device: str
    num_vector_fallbacks: int
    store: str
    store_problem: str
    workers: tuple[Worker, ...] = ()


def server_info(*, timeout: float | None = None) -> Call[ServerInfo]:
    """Returns the server's version, its limits and its load.

    Args:
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
    """
    return Call(_rpcs.GET_SERVER_INFO, server_pb2.GetServerInfoRequest(), _server, timeout)


def _server(response: server_pb2.GetServerInfoResponse) -> ServerInfo:
    server = response.server
    load = server.load
    names = Limits.__dataclass_fields__
    return ServerInfo(
        version=server.version,
        start_time=moment(server.start_time),
        num_threads=server.num_threads,
        limits=Limits(**{name: getattr(server.limits, name) for name in names}),
        load=Load(
            queued_pairs=load.queued_pairs,
            queued_tokens=load.queued_tokens,
            calls=load.calls,
            bytes=load.bytes,
            busy_seconds=seconds(load.busy),
            lanes=[
                LaneLoad(
                    name=lane.name,
                    num_threads=lane.num_threads,
                    num_running=lane.num_running,
                    num_waiting=lane.num_waiting,
                    longest_overrun_seconds=seconds(lane.longest_overrun),
                )
                for lane in load.lanes
            ],
            rejections=dict(load.rejections),
        ),
        vector_device=server.vector_device,
        num_vector_fallbacks=server.num_vector_fallbacks,
        store=server.store,
        store_problem=server.store_problem,
        workers=tuple(
            Worker(each.target, each.version, tuple(each.models), each.problem)
            for each in server.workers
        ),
    )
