"""Hits as the core writes them, against protobuf."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass._core import hit_bytes
from twopass.v1 import rerank_pb2

_FLOATS = st.floats(width=32, allow_nan=False)
_CANDIDATES = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
        _FLOATS,
        _FLOATS,
        st.booleans(),
    ),
    max_size=200,
)


def written(candidates, order, *, with_ids=True):
    return hit_bytes(
        np.array(order, np.int32),
        [id_ for id_, *_ in candidates] if with_ids else [],
        np.array([score for _, score, _, _ in candidates], np.float32),
        np.array([logit for _, _, logit, _ in candidates], np.float32),
        np.array([truncated for *_, truncated in candidates], np.bool_),
    )


@given(_CANDIDATES, st.data())
def test_bytes_are_those_that_protobuf_writes(candidates, data):
    order = data.draw(st.permutations(range(len(candidates))))
    order = order[: data.draw(st.integers(0, len(order)))]
    message = rerank_pb2.RerankResponse()
    for index in order:
        id_, score, logit, truncated = candidates[index]
        message.hits.add(index=index, id=id_, score=score, logit=logit, truncated=truncated)
    assert written(candidates, order) == message.SerializeToString()


def test_zeros_are_left_out_and_minus_zero_is_not():
    message = rerank_pb2.RerankResponse()
    message.hits.add(score=-0.0, logit=0.0)
    assert written([("", -0.0, 0.0, False)], [0]) == message.SerializeToString()


def test_nan_and_infinities_are_written_bit_for_bit():
    message = rerank_pb2.RerankResponse()
    message.hits.add(score=float("inf"), logit=float("-inf"))
    message.hits.add(index=1, score=float("nan"), logit=1e-45)
    candidates = [("", float("inf"), float("-inf"), False), ("", float("nan"), 1e-45, False)]
    assert written(candidates, [0, 1]) == message.SerializeToString()


def test_no_ids_are_empty_ones():
    candidates = [("", 0.5, 1.0, True)] * 130
    assert written(candidates, [129, 0], with_ids=False) == written(candidates, [129, 0])


def test_other_fields_may_come_before_or_after():
    hits = written([("a", 0.5, 1.0, False)], [0])
    head = rerank_pb2.RerankResponse(model="m", num_tokens=7).SerializeToString()
    assert rerank_pb2.RerankResponse.FromString(head + hits) == (
        rerank_pb2.RerankResponse.FromString(hits + head)
    )


@pytest.mark.parametrize("order", [[1], [-1]])
def test_an_order_beyond_the_candidates_is_refused(order):
    with pytest.raises(ValueError, match=r"order: candidate -?1 of 1"):
        written([("a", 0.5, 1.0, False)], order)


def test_lists_of_other_lengths_are_refused():
    one, two = np.ones(1, np.float32), np.ones(2, np.float32)
    with pytest.raises(ValueError, match="scores: 1 given, but 2 logits"):
        hit_bytes(np.zeros(1, np.int32), [], one, two, np.ones(1, np.bool_))


def test_an_id_with_half_a_character_is_refused():
    with pytest.raises(UnicodeEncodeError):
        written([("\ud800", 0.5, 1.0, False)], [0])
