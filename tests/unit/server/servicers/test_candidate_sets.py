"""Answers whose hits are written by the core, against those that protobuf writes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.search.open_set import RankedSet
from twopass.server.servicers.candidate_sets import ranked_answer, ranked_message
from twopass.server.telemetry.stopwatch import StageTimings
from twopass.v1 import rerank_pb2

_IDS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=120)


@given(_IDS, st.data())
def test_an_answer_is_the_same_message_whoever_writes_its_hits(ids, data):
    count = len(ids)
    order = data.draw(st.permutations(range(count)))[: data.draw(st.integers(0, count))]
    chance = np.random.default_rng(count)
    logits = chance.normal(size=count).astype(np.float32)
    ranked = RankedSet(
        order=np.array(order, np.int32),
        logits=logits,
        scores=1 / (1 + np.exp(-logits)),
        truncated=chance.random(count) < 0.5,
        query_truncated=data.draw(st.booleans()),
        model="twopass-minilm-l6",
        blend=data.draw(st.sampled_from([0.0, 0.25])),
        num_below_min_score=3,
        num_tokens=12_345,
        num_cached=2,
        timings=StageTimings(total=0.25, rerank=0.125),
    )
    candidates = [rerank_pb2.Candidate(id=id_, text="text") for id_ in ids]
    expected = ranked_message(ranked, candidates, return_text=False, max_bytes=2**20)
    answer = ranked_answer(ranked, ids)
    assert rerank_pb2.RerankResponse.FromString(
        answer.message.SerializeToString() + answer.content
    ) == (expected)
    assert answer.read() == expected
