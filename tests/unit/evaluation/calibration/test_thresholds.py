"""Thresholds for a wanted precision or recall, beside a plain reference that tries every one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.evaluation.calibration.pairs import JudgedPairs, pairs_of_rows
from twopass.evaluation.calibration.thresholds import (
    MIN_ACCEPTED,
    auroc,
    for_precision,
    for_recall,
    num_for_margin,
    reached,
)


def judged(scores, relevant, query=None):
    scores = np.array(scores, np.float32)
    return JudgedPairs(
        np.log(np.maximum(scores.astype(np.float64), 1e-9) / (1 - scores * 0.999)),
        scores,
        np.array(relevant, np.bool_),
        np.arange(len(scores)) if query is None else np.array(query),
        np.zeros(len(scores), np.bool_),
        len(scores),
    )


@st.composite
def some_pairs(draw):
    size = draw(st.integers(1, 60))
    # Few distinct scores, so that many are equal.
    grid = st.integers(0, draw(st.integers(1, 30)))
    scores = draw(st.lists(grid, min_size=size, max_size=size))
    relevant = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    return judged([score / 32 for score in scores], relevant)


def precision_at(pairs, score):
    accepted = pairs.scores >= np.float32(score)
    return accepted.sum(), pairs.relevant[accepted].mean() if accepted.any() else 0.0


@given(some_pairs(), st.floats(0, 1))
def test_the_lowest_threshold_of_all_that_reach_a_precision_is_chosen(pairs, wanted):
    found = for_precision(pairs, wanted)
    fits = [
        score
        for score in np.unique(pairs.scores)
        if precision_at(pairs, score)[0] >= MIN_ACCEPTED and precision_at(pairs, score)[1] >= wanted
    ]
    if not fits:
        assert found is None
        return
    np.testing.assert_array_equal(pairs.scores >= found.score, pairs.scores >= min(fits))


@given(some_pairs(), st.floats(0.01, 1))
def test_the_highest_threshold_of_all_that_reach_a_recall_is_chosen(pairs, wanted):
    found = for_recall(pairs, wanted)
    if not pairs.relevant.any():
        assert found is None
        return
    fits = [
        score
        for score in np.unique(pairs.scores)
        if pairs.relevant[pairs.scores >= score].sum() >= wanted * pairs.relevant.sum() - 1e-9
    ]
    np.testing.assert_array_equal(pairs.scores >= found.score, pairs.scores >= max(fits))


def test_a_threshold_lies_halfway_to_the_next_score():
    pairs = judged([0.9] * 10 + [0.5] * 10, [True] * 10 + [False] * 10)
    assert for_precision(pairs, 0.9).score == pytest.approx(0.7)


@pytest.mark.parametrize("low", [0.0, 0.5, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_neighbouring_scores_are_told_apart(low):
    high = float(np.nextafter(np.float32(low), np.float32(1)))
    pairs = judged([high] * 10 + [low] * 10, [True] * 10 + [False] * 10)
    found = for_precision(pairs, 1.0)
    np.testing.assert_array_equal(pairs.scores >= np.float32(found.score), pairs.relevant)


def test_surer_is_stricter():
    rng = np.random.default_rng(0)
    scores = rng.random(400)
    pairs = judged(scores, rng.random(400) < scores)
    assert for_precision(pairs, 0.8, sure=True).score > for_precision(pairs, 0.8).score


def test_what_a_threshold_reaches_is_counted_with_intervals_around_it():
    pairs = judged([0.9, 0.8, 0.7, 0.2, 0.1], [True, True, False, True, False])
    found = reached(pairs, for_recall(pairs, 0.6))
    assert (found.num_accepted, found.num_relevant, found.num_pairs) == (2, 3, 5)
    assert found.precision.value == 1.0
    assert found.recall.value == pytest.approx(2 / 3)
    assert found.recall.low <= found.recall.value <= found.recall.high


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
    st.lists(st.integers(0, 5), min_size=1, max_size=20),
)
def test_auroc_is_the_share_of_pairs_in_order(positives, negatives):
    plain = np.mean([(p > n) + 0.5 * (p == n) for p in positives for n in negatives])
    assert auroc(np.array(positives, float), np.array(negatives, float)) == pytest.approx(plain)


def test_more_accepted_pairs_are_needed_for_a_smaller_margin():
    assert num_for_margin(0.9) == 139
    assert num_for_margin(0.9, 0.025) > 4 * 130


def test_the_best_of_each_query_is_its_greatest_logit():
    rows = [("a", 1.0, 0.7, False), ("b", -1.0, 0.3, True), ("a", 2.0, 0.9, True)]
    best = pairs_of_rows(rows).best_of_each_query
    assert best.logits.tolist() == [2.0, -1.0]
    assert best.relevant.tolist() == [True, True]


def test_a_query_is_in_one_half_whole():
    rows = [(f"question {i % 7}", float(i), 0.5, False) for i in range(70)]
    fitted_on, judged_on = pairs_of_rows(rows).halves
    assert set(fitted_on.query) & set(judged_on.query) == set()
    assert len(fitted_on) + len(judged_on) == 70
