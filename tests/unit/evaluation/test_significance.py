"""Paired randomisation tests."""

import itertools

import numpy as np
import pytest

from twopass.evaluation.significance import best_of_many, mean_interval, randomization_test


def exact(first, second) -> float:
    """Over all swappings."""
    differences = np.subtract(first, second)
    sums = [
        abs(np.dot(signs, differences))
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    return float(np.mean(np.array(sums) >= abs(differences.sum()) - 1e-9))


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_all_swappings_of_a_few_queries(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.random(10), rng.random(10) - 0.15
    # 100,000 draws are within 0.5 % of the truth in all but one of a thousand runs.
    assert randomization_test(first, second) == pytest.approx(exact(first, second), abs=0.006)


def test_equals_are_not_different():
    assert randomization_test([0.5, 0.25, 1.0], [0.5, 0.25, 1.0]) == 1.0


def test_a_difference_on_every_query_is_no_luck():
    first = np.linspace(0, 1, 50)
    assert randomization_test(first + 0.01, first) < 1e-4


def test_neither_side_is_favoured():
    rng = np.random.default_rng(3)
    first, second = rng.random(30), rng.random(30)
    assert randomization_test(first, second) == randomization_test(second, first)


def test_chance_finds_a_difference_as_often_as_it_says():
    rng = np.random.default_rng(4)
    found = [randomization_test(*rng.random((2, 20))) < 0.1 for _ in range(100)]
    assert 2 <= sum(found) <= 20  # 10 are expected, with a spread of 3


@pytest.mark.parametrize(("first", "second"), [([], []), ([[1.0]], [[0.5]])])
def test_lists_of_qualities_are_needed(first, second):
    with pytest.raises(ValueError, match="two lists"):
        randomization_test(first, second)


def test_an_interval_of_the_mean_holds_it_and_narrows_with_more_queries():
    rng = np.random.default_rng(1)
    widths = []
    for count in (20, 2_000):
        values = rng.normal(0.1, 0.3, count)
        low, high = mean_interval(values)
        assert low < values.mean() < high
        widths.append(high - low)
        # About 1.96 standard errors to either side.
        assert high - low == pytest.approx(2 * 1.96 * values.std() / count**0.5, rel=0.15)
    assert widths[1] < widths[0] / 5


def test_equal_ways_have_an_interval_of_nothing():
    assert mean_interval([0.0, 0.0, 0.0]) == (0.0, 0.0)
    with pytest.raises(ValueError, match="at least one"):
        mean_interval([])


def test_the_best_of_many_is_held_to_all_that_were_tried():
    rng = np.random.default_rng(2)
    noise = rng.normal(0, 0.1, (500, 60))
    of_noise = best_of_many(noise)
    alone = min(best_of_many(row)[0] for row in noise)
    assert alone < 0.01 < 0.05 < of_noise.min()
    noise[7] += 0.1
    found = best_of_many(noise)
    assert found[7] < 0.001
    assert found.argmin() == 7


def test_ways_that_are_one_way_cost_what_one_does():
    row = np.random.default_rng(3).normal(0.03, 0.1, 40)
    (alone,) = best_of_many(row)
    many = best_of_many(np.tile(row, (300, 1)))
    assert many == pytest.approx(alone, abs=1e-9)


def test_a_way_that_differs_in_nothing_is_no_better():
    rows = np.zeros((2, 10))
    rows[1] = 0.1 * np.arange(10)
    found = best_of_many(rows)
    assert found[0] == 1
    assert found[1] < 0.01
