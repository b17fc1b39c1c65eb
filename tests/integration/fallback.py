"""A server with little room, engines that can be held or broken, and what is asked of it."""

import time
from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from twopass.engines.errors import DeviceError
from twopass.server.search import ends
from twopass.v1 import search_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.search_pb2 import SearchRequest

from .corpus import fill
from .serving import GatedEngine, Server

QUESTION = "What is the capital of Australia?"
MAX_QUEUED = 20
# Ends soon, and not before a first pass is done, on a machine that is busy with other things too.
A_MOMENT = Duration(seconds=2)
FORBID = search_pb2.FALLBACK_FORBID


@pytest.fixture(scope="module")
def unhurried() -> Iterator[None]:
    """Half of a budget of `A_MOMENT` is kept for reading the hits: a busy machine may need it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ends, "_ANSWER_SECONDS", 1.0)
        yield


@pytest.fixture(scope="module")
def small(tmp_path_factory, unhurried) -> Iterator[Server]:
    """A server whose queue has few places."""
    data = tmp_path_factory.mktemp("small")
    limits = {"max_queued_pairs": MAX_QUEUED, "probe_seconds": 1_000.0}
    # What was computed in one test must not be known in the next.
    caches = {"query_cache_bytes": 0, "score_cache_bytes": 0}
    with Server(data, http_address="127.0.0.1:0", **limits, **caches) as server:
        server.reranker.holds_probes = server.encoder.holds_probes = False
        fill(server, "facts")
        yield server


@pytest.fixture
def held(small: Server) -> Iterator[GatedEngine]:
    """The reranker, which computes nothing until its gate is opened or the test ends."""
    backlog = small._app._arbiter.backlog
    backlog.service_times.clear()  # a machine that was busy must not refuse what the test asks for
    small.reranker.entered.clear()
    small.reranker.gate.clear()
    yield small.reranker
    while small.reranker.passing.acquire(blocking=False):
        pass  # what the test let through, and no batch has used
    small.reranker.gate.set()
    wait_for_room(small)
    while backlog.num_in_flight:
        time.sleep(0.001)
    # What was measured of a closed gate says nothing of the engine behind it.
    backlog.service_times.clear()


@pytest.fixture
def broken(small: Server) -> Iterator[Callable]:
    """Lets engines fail until the test ends."""

    def fail(*engines: GatedEngine) -> None:
        for engine in engines:
            engine.failure = DeviceError("the secret of the device")

    yield fail
    small.reranker.failure = small.encoder.failure = None


def of(num_candidates: int) -> RerankRequest:
    candidates = [Candidate(text=f"passage {i}") for i in range(num_candidates)]
    return RerankRequest(query="which", candidates=candidates)


def wait_for_room(small: Server) -> None:
    """Waits until no call holds a place: what was cancelled travels beside what comes next."""
    while small.rerank.future(of(MAX_QUEUED)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        pass


def wait_until(is_so: Callable[[], bool]) -> None:
    """Fails where something is not so within a minute."""
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


def asking(**fields: object) -> SearchRequest:
    return SearchRequest(**{"collection": "facts", "query": QUESTION} | fields)


def failure_of(call: Callable, request: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value
