"""Paired randomisation tests."""

import itertools

import numpy as np
import pytest

from twopass.evaluation.significance import randomization_test


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
