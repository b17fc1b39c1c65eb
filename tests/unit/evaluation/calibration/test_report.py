"""A calibration is fitted on one half and told of the other; planted probabilities are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.evaluation.calibration.fitting import isotonic, platt, sigmoid
from twopass.evaluation.calibration.pairs import (
    Unjudged,
    pairs_of_answers,
    pairs_of_rows,
)
from twopass.evaluation.calibration.reliability import (
    expected_calibration_error,
    reliability,
)
from twopass.evaluation.calibration.report import (
    TooFewJudgementsError,
    Unit,
    Wanted,
    calibrated,
)


def planted(a, b, num_queries=600, num_pairs=8, seed=0):
    """Pairs that are relevant with probability sigmoid(a * logit + b), scored without a and b."""
    rng = np.random.default_rng(seed)
    rows = []
    for query in range(num_queries):
        for logit in rng.normal(0, 2, num_pairs):
            relevant = rng.random() < 1 / (1 + np.exp(-(a * logit + b)))
            rows.append((f"query {query}", logit, 1 / (1 + np.exp(-logit)), bool(relevant)))
    return pairs_of_rows(rows)


@pytest.mark.parametrize(("a", "b"), [(0.5, -2.0), (2.0, 0.5), (1.0, 0.0)])
def test_a_planted_calibration_is_found(a, b):
    report = calibrated(planted(a, b), Wanted())
    assert (report.a, report.b) == (pytest.approx(a, rel=0.15), pytest.approx(b, abs=0.25))
    assert report.after.error.value < 0.04
    assert report.after.error.value <= report.before.error.value + 0.02
    assert report.any_shape is not None
    assert report.after.brier.low <= report.after.brier.value <= report.after.brier.high


@pytest.mark.parametrize(("unit", "wanted"), [(Unit.ANSWERS, 0.92), (Unit.HITS, 0.8)])
def test_a_wanted_precision_is_reached_where_it_was_not_chosen(unit, wanted):
    report = calibrated(planted(1.5, -1.0), Wanted(precision=wanted, unit=unit))
    assert report.reached.precision.low <= wanted <= report.reached.precision.high + 0.03
    assert 0 < report.calibrated_threshold() < 1


def test_the_threshold_of_the_fitted_scores_decides_as_that_of_todays():
    pairs = planted(0.7, -1.0)
    report = calibrated(pairs, Wanted(precision=0.7, unit=Unit.HITS))
    fitted = sigmoid(report.a * pairs.logits + report.b)
    np.testing.assert_array_equal(
        fitted >= report.calibrated_threshold(), pairs.scores >= report.threshold.score
    )


def test_what_can_not_be_reached_is_not_chosen():
    report = calibrated(planted(0.2, -2.0), Wanted(precision=0.99, unit=Unit.HITS))
    assert (report.threshold, report.reached) == (None, None)


def test_too_few_judgements_are_refused_with_what_is_missing():
    with pytest.raises(TooFewJudgementsError, match="at least 10 of each are needed"):
        calibrated(planted(1, -3, num_queries=12), Wanted())


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_the_rising_curve_rises_and_keeps_the_mean(rows):
    logits = np.array([float(logit) for logit, _ in rows])
    relevant = np.array([is_relevant for _, is_relevant in rows])
    places, probabilities = isotonic(logits, relevant)
    assert (np.diff(probabilities) >= -1e-12).all()
    fitted = np.interp(logits, places, probabilities)
    assert fitted.mean() == pytest.approx(relevant.mean())
    # No rising curve is nearer: not the mean, nor a step between any two places.
    error = ((fitted - relevant) ** 2).sum()
    for place in places[1:]:
        above = logits >= place
        low, high = relevant[~above].mean(), relevant[above].mean()
        if low <= high:
            assert error <= ((np.where(above, high, low) - relevant) ** 2).sum() + 1e-9


def test_probabilities_that_are_right_have_no_error_and_reversed_ones_have_much():
    relevant = np.array([True, False] * 50)
    right = reliability(relevant.astype(float), relevant, np.arange(100))
    assert (right.error.value, right.brier.value) == (0.0, 0.0)
    wrong = reliability((~relevant).astype(float), relevant, np.arange(100))
    assert (wrong.error.value, wrong.brier.value) == (1.0, 1.0)
    assert sum(each.num_pairs for each in wrong.bins) == 100


def test_the_error_with_an_interval_is_the_error():
    rng = np.random.default_rng(0)
    said, relevant = rng.random(500), rng.random(500) < 0.3
    measured = reliability(said, relevant, np.arange(500) // 5).error
    assert measured.value == pytest.approx(expected_calibration_error(said, relevant))
    assert measured.low < measured.high


def test_pairs_of_one_query_make_wider_intervals_than_pairs_of_many():
    rng = np.random.default_rng(0)
    relevant = np.repeat(rng.random(50) < 0.5, 20)
    said = np.full(1_000, 0.5)
    together = reliability(said, relevant, np.repeat(np.arange(50), 20)).error
    apart = reliability(said, relevant, np.arange(1_000)).error
    assert together.high - together.low > 2 * (apart.high - apart.low)


class _Hit:
    def __init__(self, name, logit):
        self.id, self.logit, self.score = name, logit, None if logit is None else 0.5


class _Answer:
    def __init__(self, *hits):
        self.hits = hits


def test_hits_that_nobody_judged_are_left_out_or_irrelevant_and_counted():
    answers = {"q": _Answer(_Hit("a", 1.0), _Hit("b", 0.5), _Hit("c", 0.1), _Hit("d", None))}
    qrels = {"q": {"a": 2, "b": 0}}
    left_out = pairs_of_answers(answers, qrels, Unjudged.LEAVE_OUT)
    assert (left_out.relevant.tolist(), left_out.num_unjudged) == ([True, False], 1)
    irrelevant = pairs_of_answers(answers, qrels, Unjudged.IRRELEVANT)
    assert (irrelevant.relevant.tolist(), irrelevant.num_unjudged) == ([True, False, False], 1)


def test_what_is_judged_worse_than_irrelevant_is_irrelevant():
    answers = {"q": _Answer(_Hit("a", 1.0), _Hit("b", 0.5))}
    junk = pairs_of_answers(answers, {"q": {"a": 1, "b": -2}}, Unjudged.LEAVE_OUT)
    assert (junk.relevant.tolist(), junk.num_unjudged) == ([True, False], 0)


@pytest.mark.parametrize(("half", "name"), [(False, "choose on"), (True, "judge on")])
def test_the_half_that_has_too_few_is_named_although_it_has_none(half, name):
    pairs = planted(1, 0)
    with pytest.raises(TooFewJudgementsError, match=f"the half to {name} has 0 relevant and 0"):
        calibrated(pairs.at(pairs.in_held_out != half), Wanted())


def test_a_fit_of_pairs_that_a_line_parts_ends():
    a, b = platt(np.array([-1.0] * 10 + [1.0] * 10), np.array([False] * 10 + [True] * 10))
    assert 0 < a < 100
    assert abs(b) < 1
