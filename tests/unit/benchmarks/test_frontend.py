"""The server over an engine that costs nothing: what is sent, what is computed, what is told."""

import json
import os

import numpy as np
import pytest

from twopass.benchmarks.frontend import holding
from twopass.benchmarks.frontend.costless import CostlessEngine
from twopass.benchmarks.frontend.measuring import Figures, measured
from twopass.benchmarks.frontend.processes import Load, running_server
from twopass.benchmarks.frontend.requests import CASES, bodies, case_named
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.v1 import rerank_pb2, search_pb2


def spec(kind: ModelKind) -> ModelSpec:
    return ModelSpec(id="m", kind=kind, revision="0", max_seq_len=64, max_query_tokens=8)


def batch(rows: list[list[int]]) -> TokenBatch:
    ragged = Ragged.from_rows(rows)
    return TokenBatch(ragged.token_ids, ragged.offsets, np.ones(len(rows), np.int32))


def test_a_pairs_logit_does_not_depend_on_its_batch_mates():
    engine = CostlessEngine(spec(ModelKind.RERANKER), 0.0)
    rows = [[1, 2, 3], [4, 5], [6, 7, 8, 9]]
    together = engine.submit(batch(rows)).result()
    alone = [engine.submit(batch([row])).result()[0] for row in rows]
    np.testing.assert_array_equal(together, alone)
    engine.close()


def test_an_encoders_embeddings_have_norm_one():
    engine = CostlessEngine(spec(ModelKind.ENCODER), 0.0)
    vectors = engine.submit(batch([[1, 2, 3], [4]])).result()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    engine.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_request_asks_for_the_pairs_of_its_case(case):
    sent = bodies(case, caller=0)
    if case.wire == "http":
        assert {len(json.loads(body)["documents"]) for body in sent} == {case.num_pairs}
    elif case.rpc.endswith("/Search"):
        asked = search_pb2.SearchRequest.FromString(sent[0])
        assert asked.retrieve.k == case.num_pairs
    else:
        asked = [rerank_pb2.RerankRequest.FromString(body) for body in sent]
        assert {len(message.candidates) for message in asked} == {case.num_pairs}
        texts = {candidate.text for message in asked for candidate in message.candidates}
        assert len(texts) == case.num_pairs * len(sent)
        assert all(map(str.isascii, texts)) is not case.odd


def test_callers_share_passages_only_where_these_are_to_come_again():
    for case in CASES:
        if case.wire == "grpc" and case.rpc.endswith("/Rerank"):
            assert (bodies(case, 0)[0] == bodies(case, 1)[0]) is case.again


def test_a_case_that_does_not_exist_is_told_with_those_that_do():
    with pytest.raises(ValueError, match="'Rerank 41'; there are Rerank 40, "):
        case_named("Rerank 41")


def test_a_sampled_share_is_of_the_time_looked_at_and_functions_are_the_innermost():
    found = holding.Holding()
    samples = (
        "thread (1): MainThread;run (a.py:1);send (b.py:2) 30\n"
        "thread (2): tokenizing-0;digest (c.py:3) 20\n"
    )
    holding._read(samples, 200, found)
    assert found.share == 0.25
    assert found.functions == {"send (b.py:2)": 0.15, "digest (c.py:3)": 0.1}


def figures(*, total: float, gil: float | None) -> Figures:
    return Figures("Rerank 40", 1, 1.0, {"event loop": total}, gil, {}, 1.0)


def test_many_cores_bear_what_the_scarcer_of_both_allows():
    assert figures(total=400.0, gil=20.0).most_pairs(16) == pytest.approx(40_000)
    assert figures(total=160.0, gil=25.0).most_pairs(16) == pytest.approx(40_000)
    assert figures(total=160.0, gil=None).most_pairs(16) == pytest.approx(100_000)


def test_a_real_server_is_measured_and_what_its_threads_spend_is_told():
    cpus = sorted(os.sched_getaffinity(0))
    with running_server(cpus, 0.0) as server:
        for name in ("Rerank 40", "HTTP rerank 40", "Search 40"):
            load = Load(case_named(name), 1, 2, tuple(cpus), 0.3)
            found = measured(server, load, len(cpus))
            assert found.pairs_per_second > 0
            assert found.core_us["event loop"] > 0
            assert found.alone_ms > 0
