import math

import ir_measures
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.server.shadowing.agreement import (
    ndcg,
    overlap,
    rank_biased_overlap,
    reciprocal_rank,
)

ORDERS = st.permutations("abcdefghijklmno")
GRADES = st.dictionaries(st.sampled_from("abcdefghijklmnoxyz"), st.integers(0, 3), max_size=8)


def test_equal_orders_agree_and_disjoint_ones_do_not():
    assert overlap("abc", "cab") == 1.0
    assert overlap("abc", "xyz") == 0.0
    assert overlap("", "") == 1.0
    assert rank_biased_overlap("abc", "abc") == pytest.approx(1.0)
    assert rank_biased_overlap("abc", "xyz") == 0.0


@given(ORDERS, ORDERS)
def test_rank_biased_overlap_is_that_of_the_paper(first, second):
    first, second = first[:10], second[:10]
    p, k = 0.9, 10
    shares = [len(set(first[:d]) & set(second[:d])) / d for d in range(1, k + 1)]
    infinite = sum(share * p**d for d, share in enumerate(shares, 1))
    expected = shares[-1] * p**k + (1 - p) / p * infinite
    assert rank_biased_overlap(first, second) == pytest.approx(expected)
    assert rank_biased_overlap(second, first) == pytest.approx(expected)


def test_a_change_at_the_top_counts_more_than_one_below():
    order = "abcdefghij"
    assert rank_biased_overlap(order, "bacdefghij") < rank_biased_overlap(order, "abcdefghji")


@given(ORDERS, GRADES)
def test_ndcg_and_the_reciprocal_rank_are_those_of_ir_measures(order, grades):
    run = {"q": {document: -float(rank) for rank, document in enumerate(order)}}
    wanted = {ir_measures.nDCG @ 10: ndcg, ir_measures.RR @ 10: reciprocal_rank}
    if not any(grades.values()):
        assert ndcg(order, grades) == reciprocal_rank(order, grades) == 0.0
        return
    for measured in ir_measures.iter_calc(list(wanted), {"q": grades}, run):
        assert wanted[measured.measure](order, grades) == pytest.approx(measured.value)


def test_an_ideal_order_has_an_ndcg_of_1():
    assert ndcg("abc", {"a": 3, "b": 1, "c": 0}) == 1.0
    assert math.isclose(ndcg("ba", {"a": 1, "b": 0}), 1 / math.log2(3))
