"""Engines that throw, hang or compute nonsense: what callers see, what health says, what mends."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.v1.rerank_pb2 import Candidate, RerankRequest

from .faulty_engines import (
    FaultyEngine,
    break_reranker,
    computes_nonsense,
    hangs,
    over,
    reranker_of,
    throws,
)
from .serving import Server

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
RERANK = RerankRequest(query="which", candidates=[Candidate(text="this"), Candidate(text="that")])


@pytest.fixture(scope="module")
def mendable(tmp_path_factory) -> Iterator[Server]:
    """A server whose engines are those it made, so that it can make them again."""
    data: Path = tmp_path_factory.mktemp("mendable")
    with Server(
        data,
        gated=False,
        probe_seconds=0.2,
        probe_timeout_seconds=2.0,
        score_cache_bytes=0,  # a known pair needs no engine
    ) as server:
        yield server
        over.set()


@pytest.mark.parametrize("fault", [throws, computes_nonsense, hangs])
def test_a_failed_engine_fails_its_batch_alone_and_is_built_anew(mendable, fault):
    watch = health_pb2_grpc.HealthStub(mendable.channel).Watch
    states = watch(health_pb2.HealthCheckRequest(), timeout=300)
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


def test_a_text_that_overflows_fails_its_own_request_and_restarts_nothing(mendable):
    """Probes and other texts are computed, so that the engine is sound."""
    engine = reranker_of(mendable)
    sound = engine._engine
    num_short = 16  # tokens; a probe's sequences have 64

    def overflows(batch):
        logits = sound.submit(batch).result()
        return np.where(batch.lengths < num_short, np.float32(np.inf), logits)

    engine._engine = faulty = FaultyEngine(sound, overflows)
    long = RerankRequest(query="which", candidates=[Candidate(text="a word " * 30)])
    try:
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as raised:
                mendable.rerank(RERANK)
            assert raised.value.code() is grpc.StatusCode.INTERNAL
            assert len(mendable.rerank(long).hits) == 1
        assert engine._engine is faulty
    finally:
        engine._engine = sound
