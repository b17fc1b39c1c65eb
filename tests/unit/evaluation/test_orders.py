import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.evaluation.orders import kendall_tau


def test_the_same_order_is_one_and_the_reverse_minus_one():
    scores = np.array([0.3, 2.0, -1.0, 7.5], np.float32)
    assert kendall_tau(scores, 10 * scores + 3) == 1
    assert kendall_tau(scores, -scores) == -1


def test_one_exchange_of_neighbours_costs_two_of_all_pairs():
    first = np.arange(40, dtype=np.float32)
    second = first.copy()
    second[[10, 11]] = second[[11, 10]]
    assert kendall_tau(first, second) == pytest.approx(1 - 2 / (40 * 39 / 2))


@given(st.permutations(range(8)), st.permutations(range(8)))
def test_it_counts_what_counting_one_by_one_counts(first, second):
    pairs = [(i, j) for i in range(8) for j in range(i)]
    alike = sum(1 if (first[i] < first[j]) == (second[i] < second[j]) else -1 for i, j in pairs)
    tau = kendall_tau(np.array(first, np.float32), np.array(second, np.float32))
    assert tau == pytest.approx(alike / len(pairs))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([], [], 1.0),
        ([1.0], [5.0], 1.0),
        ([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.4], 1.0),
        ([1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], -1.0),
        ([1.0, 2.0, 3.0, 4.0], [2.0, 1.0, 3.0, 4.0], 4 / 6),
        ([1.0, 2.0], [3.0, 3.0], 0.0),
    ],
)
def test_ties_count_for_neither_side_and_fewer_than_two_agree(a, b, expected):
    assert kendall_tau(np.array(a, np.float32), np.array(b, np.float32)) == pytest.approx(expected)
