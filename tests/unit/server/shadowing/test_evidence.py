"""The test behind shadows: right in its errors however often one looks, and quick enough."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.server.shadowing.evidence import STAKES, Evidence

DIFFERENCES = st.lists(st.sampled_from([-1.0, -0.5, -0.1, 0.0, 0.25, 0.5, 1.0]), max_size=60)


def observed(differences) -> Evidence:
    evidence = Evidence()
    for difference in differences:
        evidence.observe(float(difference))
    return evidence


def test_without_observations_nothing_is_known():
    evidence = Evidence()
    assert (evidence.mean, evidence.p_value, evidence.interval()) == (0.0, 1.0, (-1.0, 1.0))


@pytest.mark.parametrize("difference", [-1.001, 1.001, math.nan])
def test_what_is_no_difference_of_two_shares_is_refused(difference):
    with pytest.raises(ValueError, match="-1 to 1 is needed"):
        Evidence().observe(difference)


@given(DIFFERENCES)
def test_capital_is_that_of_plain_bets(differences):
    evidence = observed(differences)
    most = {1: 1.0, -1: 1.0}
    for end in range(1, len(differences) + 1):
        for sign in most:
            capital = [
                math.prod(1 + sign * stake * x for x in differences[:end]) for stake in STAKES
            ]
            most[sign] = max(most[sign], sum(capital) / len(capital))
    assert evidence.p_better == pytest.approx(1 / most[1])
    assert evidence.p_worse == pytest.approx(1 / most[-1])


@given(DIFFERENCES)
def test_it_does_not_matter_which_of_two_orders_is_called_live(differences):
    one, other = observed(differences), observed([-x for x in differences])
    assert one.p_better == pytest.approx(other.p_worse)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.interval() == pytest.approx((-other.interval()[1], -other.interval()[0]), abs=1e-6)


def capital_against(mean: float, differences, sign: int) -> float:
    """What plain bets on a mean above (1) or below (-1) another one have made of a capital of 1."""
    room = 1 + sign * mean
    capitals = [
        math.prod(1 + stake * sign * (x - mean) / room for x in differences) for stake in STAKES
    ]
    return sum(capitals) / len(capitals)


@settings(max_examples=40, deadline=None)
@given(DIFFERENCES)
def test_the_interval_holds_the_mean_and_whatever_plain_bets_have_not_refuted(differences):
    evidence = observed(differences)
    lower, upper = evidence.interval()
    assert -1 <= lower <= evidence.mean <= upper <= 1
    for mean in np.linspace(-0.99, 0.99, 34):
        is_refuted = [capital_against(mean, differences, sign) >= 40 for sign in (1, -1)]
        if min(abs(mean - lower), abs(mean - upper)) > 1e-6:
            assert (lower < mean < upper) is not any(is_refuted)


@pytest.mark.parametrize("mean", [0.0, 0.3])
def test_the_true_mean_is_seldom_left_out_at_any_time(mean):
    # At most 5% at any time: of 200 runs 10 at the most are expected, more than 21 by chance less
    # than once in 1,000.
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(200):
        evidence = Evidence()
        differences = rng.choice([-1.0, 1.0], 120, p=[(1 - mean) / 2, (1 + mean) / 2])
        for looks, difference in enumerate(differences, 1):
            evidence.observe(float(difference))
            if looks % 10 == 0:
                lower, upper = evidence.interval()
                if not lower <= mean <= upper:
                    missed += 1
                    break
    assert missed <= 21


def test_the_interval_narrows_around_the_true_mean():
    rng = np.random.default_rng(5)
    widths = []
    for number in (50, 500, 5_000):
        evidence = observed(rng.choice([-0.5, 0.0, 0.5], number, p=[0.2, 0.5, 0.3]))
        lower, upper = evidence.interval()
        assert lower < 0.05 < upper
        widths.append(upper - lower)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.06


@pytest.mark.parametrize("seed", range(4))
def test_looking_after_every_query_raises_few_false_alarms(seed):
    # Ville's inequality: at most 1% at any time. 400 runs of 300 looks: 4 expected at the most, and
    # more than 12 by chance less than once in 1,000.
    rng = np.random.default_rng(seed)
    alarms = 0
    for _ in range(400):
        differences = rng.choice([-0.5, -0.25, 0.0, 0.25, 0.5], 300, p=[0.1, 0.1, 0.6, 0.1, 0.1])
        alarms += observed(differences).p_value < 0.01
    assert alarms <= 12


def test_a_real_difference_is_found_and_no_later_look_takes_it_back():
    rng = np.random.default_rng(0)
    evidence = Evidence()
    values = []
    for difference in rng.choice([-0.5, 0.0, 0.5], 400, p=[0.1, 0.5, 0.4]):
        evidence.observe(float(difference))
        values.append(evidence.p_value)
    assert values[-1] < 0.01
    assert values == sorted(values, reverse=True)
    assert evidence.p_worse > 0.1


def test_what_one_side_won_says_nothing_for_the_other():
    evidence = observed([0.5] * 60)
    assert evidence.p_value < 0.01  # better
    for _ in range(400):
        evidence.observe(-0.1)
    assert evidence.mean < 0
    assert evidence.p_value > 0.1  # and nothing has shown that it is worse


@settings(max_examples=30)
@given(DIFFERENCES, st.randoms())
def test_the_interval_does_not_depend_on_the_order_of_queries(differences, random):
    shuffled = list(differences)
    random.shuffle(shuffled)
    assert observed(differences).interval() == pytest.approx(observed(shuffled).interval())
