"""The order of candidates after a second pass that read some of them, in some order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.search.ranking import Ranking, ranked
from twopass.server.search.second_pass import ScoredPairs
from twopass.server.search.types import RerankStatus


def scored(logits):
    wide = np.array(logits, np.float32)
    return ScoredPairs(
        logits=wide,
        scores=1 / (1 + np.exp(-wide)),
        truncated=np.zeros(len(wide), np.bool_),
        num_tokens=0,
        queue_seconds=0.0,
        engine_seconds=0.0,
        is_cached=np.zeros(len(wide), np.bool_),
    )


@st.composite
def second_passes(draw):
    """Candidates, the order in which they were to be read, and the logits of those that were."""
    num_candidates = draw(st.integers(1, 12))
    order = draw(st.permutations(range(num_candidates)))
    depth = draw(st.integers(1, num_candidates))
    num_read = draw(st.integers(1, depth))
    logits = draw(st.lists(st.integers(-3, 3), min_size=num_read, max_size=num_read))
    first_pass_scores = sorted(
        draw(st.lists(st.integers(0, 5), min_size=num_candidates, max_size=num_candidates)),
        reverse=True,
    )
    return (
        np.array(order[:depth], np.int32),
        logits,
        np.array(first_pass_scores, np.float32),
    )


@given(
    given_pass=second_passes(),
    blend=st.floats(0, 1),
    least=st.one_of(st.none(), st.floats(0, 1)),
)
def test_what_was_read_comes_first_by_its_blended_score(given_pass, blend, least):
    positions, logits, first_pass_scores = given_pass
    found = ranked(scored(logits), positions, first_pass_scores, blend, least)
    read = set(positions[: len(logits)].tolist())
    order = found.order.tolist()
    head = [position for position in order if position in read]
    rest = [position for position in order if position not in read]
    assert order == head + rest
    assert rest == sorted(set(range(len(first_pass_scores))) - read)
    assert len(head) == len(read) - found.num_below_min_score
    assert found.read.tolist() == sorted(read)
    place_of = {position: place for place, position in enumerate(found.read.tolist())}
    keys = [(-found.blended[place_of[position]], position) for position in head]
    assert keys == sorted(keys)
    logit_of = dict(zip(positions.tolist(), logits, strict=False))
    assert [logit_of[position] for position in found.read.tolist()] == found.scored.logits.tolist()
    assert found.status is (
        RerankStatus.COMPLETE if len(logits) == len(positions) else RerankStatus.PARTIAL
    )


@pytest.mark.parametrize("least", [0.4, 0.6])
def test_only_reranked_candidates_are_left_out_for_their_score(least):
    found = ranked(
        scored([-5.0, 0.0, 5.0]),
        np.array([3, 0, 1], np.int32),
        np.array([4, 3, 2, 1, 0], np.float32),
        0.0,
        least,
    )
    assert found.order.tolist() == ([1, 0, 2, 4] if least == 0.4 else [1, 2, 4])
    assert found.num_below_min_score == (1 if least == 0.4 else 2)


def test_without_a_second_pass_the_order_is_that_of_the_first():
    found = Ranking.of_first_pass(3, RerankStatus.DISABLED)
    assert found.order.tolist() == [0, 1, 2]
    assert found.num_reranked == 0


@pytest.mark.parametrize(
    ("best", "status", "answers"),
    [
        (0.5, RerankStatus.COMPLETE, True),
        (0.6, RerankStatus.PARTIAL, True),
        (0.49, RerankStatus.COMPLETE, False),
        (0.49, RerankStatus.PARTIAL, None),
        (None, RerankStatus.COMPLETE, False),
        (None, RerankStatus.PARTIAL, None),
        (None, RerankStatus.FAILED, None),
    ],
)
def test_a_score_reaches_a_threshold_or_does_not_or_that_is_not_known(best, status, answers):
    order = np.zeros(0, np.int32)
    assert Ranking(order, status, best_score=best).reaches(0.5) is answers
