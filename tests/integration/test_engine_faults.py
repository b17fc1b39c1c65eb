"""Engines that throw, hang or compute nonsense: what callers see, what health says, what mends."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.engines.base import ModelKind, TokenBatch
from twopass.engines.errors import DeviceError
from twopass.server.restarting import RestartingEngine
from twopass.v1.rerank_pb2 import Candidate, RerankRequest

from .serving import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
RERANK = RerankRequest(query="which", candidates=[Candidate(text="this"), Candidate(text="that")])


class FaultyEngine:
    """Takes an engine's place and computes by a rule of the test."""

    def __init__(self, engine, fault: Callable[[TokenBatch], np.ndarray]) -> None:
        self.info = engine.info
        self._fault = fault
        self.is_closed = threading.Event()

    def submit(self, batch: TokenBatch) -> Future:
        future: Future = Future()

        def run() -> None:
            try:
                future.set_result(self._fault(batch))
            except Exception as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def close(self) -> None:
        self.is_closed.set()


def throws(batch: TokenBatch) -> np.ndarray:
    raise DeviceError("the device burnt out")


def computes_nonsense(batch: TokenBatch) -> np.ndarray:
    return np.full(len(batch), np.nan, np.float32)


over = threading.Event()


def hangs(batch: TokenBatch) -> np.ndarray:
    over.wait()
    return np.zeros(len(batch), np.float32)


def reranker_of(server: Server) -> RestartingEngine:
    (engine,) = (m.engine for m in server._app._models if m.spec.kind is ModelKind.RERANKER)
    assert isinstance(engine, RestartingEngine)
    return engine


def break_reranker(server: Server, fault: Callable[[TokenBatch], np.ndarray]) -> FaultyEngine:
    """Lets the reranker compute by a fault until it is built anew."""
    engine = reranker_of(server)
    sound = engine._engine
    assert sound is not None
    sound.close()
    engine._engine = faulty = FaultyEngine(sound, fault)
    return faulty


@pytest.fixture(scope="module")
def mendable(tmp_path_factory) -> Iterator[Server]:
    """A server whose engines are those it made, so that it can make them again."""
    data: Path = tmp_path_factory.mktemp("mendable")
    with Server(data, gated=False, probe_seconds=0.2, probe_timeout_seconds=2.0) as server:
        yield server
        over.set()


@pytest.mark.parametrize("fault", [throws, computes_nonsense, hangs])
def test_a_failed_engine_fails_its_batch_alone_and_is_built_anew(mendable, fault):
    states = health_pb2_grpc.HealthStub(mendable.channel).Watch(health_pb2.HealthCheckRequest())
    assert next(states).status == SERVING
    faulty = break_reranker(mendable, fault)
    with pytest.raises(grpc.RpcError) as raised:
        mendable.rerank(RERANK)
    # INTERNAL where it was in the engine, UNAVAILABLE where a probe had found the fault before.
    assert raised.value.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
    assert "burnt" not in raised.value.details()
    assert next(states).status == NOT_SERVING
    assert next(states).status == SERVING
    assert len(mendable.rerank(RERANK).hits) == 2
    assert faulty.is_closed.wait(10)
    states.cancel()
