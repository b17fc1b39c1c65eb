"""Joining two lists, against the formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.collection.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.index.ranked_list import RankedList


def ranked(*items):
    keys, scores = zip(*items, strict=True) if items else ((), ())
    return RankedList(np.array(keys, np.int64), np.array(scores, np.float32))


def items(found):
    return list(zip(found.keys.tolist(), found.scores.tolist(), strict=True))


DENSE = ranked((1, 0.8), (2, 0.5), (3, -0.1))
LEXICAL = ranked((3, 8.0), (4, 4.0), (1, 2.0))


def test_reciprocal_ranks_are_summed():
    fused = ReciprocalRankFusion(k=60).fuse(DENSE, LEXICAL, dense_minimum=-1)
    assert items(fused) == [
        (1, pytest.approx(1 / 61 + 1 / 63)),
        (3, pytest.approx(1 / 63 + 1 / 61)),
        (2, pytest.approx(1 / 62)),
        (4, pytest.approx(1 / 62)),
    ]


def test_scores_are_normalised_by_what_they_can_be_at_least():
    fused = ConvexFusion(alpha=0.75).fuse(DENSE, LEXICAL, dense_minimum=-1)
    assert items(fused) == [
        (1, pytest.approx(0.75 * 1.0 + 0.25 * 0.25)),
        (2, pytest.approx(0.75 * 1.5 / 1.8)),
        (3, pytest.approx(0.75 * 0.9 / 1.8 + 0.25 * 1.0)),
        (4, pytest.approx(0.25 * 0.5)),
    ]


def test_without_a_bound_the_least_of_the_list_counts():
    fused = ConvexFusion(alpha=1).fuse(ranked((1, 5), (2, 3), (3, 1)), ranked(), dense_minimum=None)
    assert items(fused) == [(1, 1.0), (2, 0.5), (3, 0.0)]


@pytest.mark.parametrize("minimum", [-1, None])
def test_scores_that_are_all_the_least_count_fully(minimum):
    fused = ConvexFusion(alpha=0.5).fuse(
        ranked((1, -1), (2, -1)), ranked((3, 0)), dense_minimum=minimum
    )
    assert items(fused) == [(1, 0.5), (2, 0.5), (3, 0.5)]


lists = st.lists(
    st.tuples(st.integers(1, 20), st.floats(0, 1, width=32)), unique_by=lambda x: x[0], max_size=10
).map(lambda found: ranked(*sorted(found, key=lambda item: -item[1])))


@pytest.mark.parametrize("fusion", [ReciprocalRankFusion(), ConvexFusion(0.3)], ids=str)
@given(dense=lists, lexical=lists)
def test_every_document_of_either_list_is_there_once_and_in_order(fusion, dense, lexical):
    fused = fusion.fuse(dense, lexical, dense_minimum=-1)
    assert sorted(fused.keys.tolist()) == sorted({*dense.keys.tolist(), *lexical.keys.tolist()})
    assert (np.diff(fused.scores) <= 0).all()
    assert fused.keys.dtype == np.int64
    assert fused.scores.dtype == np.float32


@given(found=lists)
def test_one_list_alone_keeps_its_order(found):
    for fusion in (ReciprocalRankFusion(), ConvexFusion(0.3)):
        for fused in (
            fusion.fuse(found, ranked(), dense_minimum=-1),
            fusion.fuse(ranked(), found, dense_minimum=-1),
        ):
            assert fused.keys.tolist() == found.keys.tolist()
