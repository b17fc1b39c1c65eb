"""A server with little room, engines that can be held or broken, and what is asked of it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.engines.errors import DeviceError
from twopass.index.sqlite.retrieval import SqliteRetrieval
from twopass.v1 import search_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.search_pb2 import SearchRequest

from ..waiting import wait_until
from .corpus import fill
from .passing_time import PassingTime
from .serving import GatedEngine, Server

QUESTION = "What is the capital of Australia?"
MAX_QUEUED = 20
# No machine is so busy that it takes this long; a test lets it pass.
BUDGET = Duration(seconds=600)
FORBID = search_pb2.FALLBACK_FORBID


@pytest.fixture(scope="session")
def passing() -> Iterator[PassingTime]:
    """Of the session: in a process that has other servers, time must never go back."""
    with pytest.MonkeyPatch.context() as patch:
        yield PassingTime(patch)


@pytest.fixture(scope="module")
def small(tmp_path_factory, passing) -> Iterator[Server]:
    """A server whose queue has few places."""
    data = tmp_path_factory.mktemp("small")
    limits = {"max_queued_pairs": MAX_QUEUED, "probe_seconds": 1e8}
    # What was computed in one test must not be known in the next.
    caches = {"query_cache_bytes": 0, "score_cache_bytes": 0}
    with Server(data, http_address="127.0.0.1:0", passing=passing, **limits, **caches) as server:
        server.reranker.holds_probes = server.encoder.holds_probes = False
        fill(server, "facts")
        yield server


@pytest.fixture
def held(small: Server) -> Iterator[GatedEngine]:
    """The reranker, which computes nothing until its gate is opened or the test ends."""
    with holding(small, small.reranker):
        yield small.reranker


@pytest.fixture
def held_encoder(small: Server) -> Iterator[GatedEngine]:
    """The encoder, likewise."""
    with holding(small, small.encoder):
        yield small.encoder


@contextmanager
def holding(small: Server, engine: GatedEngine) -> Iterator[None]:
    backlog = small._app._arbiter.backlog
    backlog.service_times.clear()  # a machine that was busy must not refuse what the test asks for
    engine.entered.clear()
    engine.gate.clear()
    try:
        yield
    finally:
        while engine.passing.acquire(blocking=False):
            pass  # what the test let through, and no batch has used
        engine.gate.set()
        wait_for_room(small)
        wait_until(lambda: not backlog.num_in_flight)
        # What was measured of a closed gate says nothing of the engine behind it.
        backlog.service_times.clear()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, threading.Event]:
    """Set when a search of the default store has found a list: by meaning, by words."""
    events = {name: threading.Event() for name in ("nearest", "with_words")}

    def telling(step: Callable, event: threading.Event) -> Callable:
        async def find(*arguments: object, **options: object) -> object:
            answer = await step(*arguments, **options)
            event.set()
            return answer

        return find

    for name, event in events.items():
        monkeypatch.setattr(SqliteRetrieval, name, telling(getattr(SqliteRetrieval, name), event))
    return events


@pytest.fixture
def broken(small: Server) -> Iterator[Callable]:
    """Lets engines fail until the test ends; then waits until a probe has found them well."""

    def fail(*engines: GatedEngine) -> None:
        for engine in engines:
            engine.failure = DeviceError("the secret of the device")

    yield fail
    small.reranker.failure = small.encoder.failure = None
    check = health_pb2_grpc.HealthStub(small.channel).Check
    serving = health_pb2.HealthCheckResponse.SERVING
    wait_until(lambda: check(health_pb2.HealthCheckRequest()).status == serving)


def late(
    small: Server, request: SearchRequest, is_so: Callable[[], object], share: float = 1.0
) -> grpc.Future:
    """Searches with a budget of which so large a share is over once something is so."""
    request.time_budget.CopyFrom(BUDGET)
    call = small.search.future(request)
    wait_until(lambda: is_so() or call.done())
    small.let_pass(share * BUDGET.seconds)
    return call


def embedding_since_now(small: Server) -> Callable[[], bool]:
    """Tells whether a query was embedded meanwhile."""
    before = small.encoder.num_begun
    backlog = small._app._arbiter.backlog
    return lambda: small.encoder.num_begun > before and not backlog.num_in_flight


def of(num_candidates: int) -> RerankRequest:
    candidates = [Candidate(text=f"passage {i}") for i in range(num_candidates)]
    return RerankRequest(query="which", candidates=candidates)


def wait_for_room(small: Server) -> None:
    """Waits until no call holds a place: what was cancelled travels beside what comes next."""
    while small.rerank.future(of(MAX_QUEUED)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        pass


def asking(**fields: object) -> SearchRequest:
    return SearchRequest(**{"collection": "facts", "query": QUESTION} | fields)


def failure_of(call: Callable, request: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value
