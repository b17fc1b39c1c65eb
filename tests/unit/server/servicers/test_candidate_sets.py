"""What the core reads of requests and writes of answers, against protobuf."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.search.open_set import RankedSet
from twopass.server.servicers.candidate_sets import (
    ranked_answer,
    ranked_message,
    read_candidates,
    read_plain_set,
)
from twopass.server.telemetry.stopwatch import StageTimings
from twopass.v1 import rerank_pb2
from twopass.v1.spans_pb2 import SpanOptions

_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_IDS = st.lists(_TEXT, min_size=1, max_size=120)
_LIMITS = Limits(
    max_candidates=4,
    max_documents=1,
    max_passage_bytes=30,
    max_query_bytes=100,
    max_message_bytes=2**20,
    max_answer_bytes=2**20,
)
_CANDIDATES = st.lists(
    st.builds(
        rerank_pb2.Candidate,
        text=_TEXT,
        title=st.just("") | _TEXT,
        id=_TEXT,
        first_pass_score=st.none() | st.floats(width=32),
    ),
    min_size=1,
    max_size=5,
)


@given(_CANDIDATES, _TEXT)
def test_a_plain_set_is_read_as_from_its_message_and_what_breaks_a_rule_is_not(candidates, query):
    message = rerank_pb2.RerankRequest(query=query, top_n=3, candidates=candidates)
    read = read_plain_set(message.SerializeToString(), _LIMITS)
    try:
        expected = read_candidates(message.candidates, 0, _LIMITS)
    except InvalidRequestError:
        assert read is None
        return
    if len(candidates) > _LIMITS.max_candidates:
        assert read is None
        return
    assert read.message == rerank_pb2.RerankRequest(query=query, top_n=3)
    assert list(read.part.passages) == expected.passages
    assert list(read.part.ids) == expected.ids
    assert read.part.first_pass_scores == expected.first_pass_scores
    assert read.part.titles is None


@pytest.mark.parametrize(
    "wanted",
    [
        {"return_text": True},
        {"truncation": rerank_pb2.TRUNCATION_MAX_WINDOW},
        {"spans": SpanOptions()},
    ],
    ids=["texts", "windows", "spans"],
)
def test_a_set_of_which_more_than_ids_is_wanted_back_is_left_to_protobuf(wanted):
    message = rerank_pb2.RerankRequest(query="q", candidates=[rerank_pb2.Candidate(text="text")])
    assert read_plain_set(message.SerializeToString(), _LIMITS) is not None
    message.MergeFrom(rerank_pb2.RerankRequest(**wanted))
    assert read_plain_set(message.SerializeToString(), _LIMITS) is None


def test_a_set_whose_other_fields_are_malformed_is_left_to_protobuf():
    message = rerank_pb2.RerankRequest(candidates=[rerank_pb2.Candidate(text="text")])
    assert read_plain_set(message.SerializeToString() + b"\x0a\x01\xff", _LIMITS) is None


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
