"""Joining two lists, against the formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.fusion import (
    ConvexFusion,
    ReciprocalRankFusion,
    choose,
    reading_order,
)
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


def test_a_document_found_by_words_alone_counts_with_its_own_similarity():
    fused = ConvexFusion(alpha=0.75).fuse(
        DENSE, LEXICAL, beyond=ranked((4, -0.2)), dense_minimum=-1
    )
    assert dict(items(fused))[4] == pytest.approx(0.75 * 0.8 / 1.8 + 0.25 * 0.5)
    unchanged = ConvexFusion(alpha=0.75).fuse(DENSE, LEXICAL, dense_minimum=-1)
    assert dict(items(fused)) | {4: 0} == dict(items(unchanged)) | {4: 0}


def test_without_a_bound_the_least_of_the_list_counts():
    fused = ConvexFusion(alpha=1).fuse(ranked((1, 5), (2, 3), (3, 1)), ranked(), dense_minimum=None)
    assert items(fused) == [(1, 1.0), (2, 0.5), (3, 0.0)]
    fused = ConvexFusion(alpha=1).fuse(
        ranked((1, 5), (2, 3)), ranked((3, 9.0)), beyond=ranked((3, -5)), dense_minimum=None
    )
    assert items(fused) == [(1, 1.0), (2, pytest.approx(0.8)), (3, 0.0)]


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


fusions = st.one_of(
    st.integers(1, 1000).map(ReciprocalRankFusion), st.floats(0, 1).map(ConvexFusion)
)
shares = st.one_of(st.just(0.0), st.floats(0.01, 1))


def choose_from(fusion, dense, lexical, k, share):
    fused = fusion.fuse(dense, lexical, dense_minimum=-1)
    return choose(fused, dense, lexical, k, share)


@given(fusion=fusions, dense=lists, lexical=lists, k=st.integers(2, 25), share=shares)
def test_what_is_first_in_a_list_is_a_candidate_and_read_first(fusion, dense, lexical, k, share):
    chosen = choose_from(fusion, dense, lexical, k, share)
    firsts = {*dense.keys[:1].tolist(), *lexical.keys[:1].tolist()}
    assert set(chosen.keys[chosen.reading_order[: len(firsts)]].tolist()) == firsts


@given(fusion=fusions, dense=lists, lexical=lists, k=st.integers(1, 25), share=shares)
def test_candidates_are_in_fused_order(fusion, dense, lexical, k, share):
    fused = fusion.fuse(dense, lexical, dense_minimum=-1)
    chosen = choose(fused, dense, lexical, k, share)
    assert len(chosen.keys) == min(k, len(fused.keys))
    places = [fused.keys.tolist().index(key) for key in chosen.keys.tolist()]
    assert places == sorted(places)
    assert chosen.scores.tolist() == fused.scores[places].tolist()
    assert sorted(chosen.reading_order.tolist()) == list(range(len(chosen.keys)))


@given(fusion=fusions, dense=lists, lexical=lists, k=st.integers(1, 25), share=shares)
def test_what_is_read_first_is_what_a_smaller_k_would_choose(fusion, dense, lexical, k, share):
    every = choose_from(fusion, dense, lexical, 100, share)
    fewer = choose_from(fusion, dense, lexical, k, share)
    assert set(every.keys[every.reading_order[:k]].tolist()) == set(fewer.keys.tolist())


@given(fusion=fusions, dense=lists, lexical=lists, k=st.integers(1, 25), share=shares)
def test_the_reading_order_follows_from_the_ranks_of_hits(fusion, dense, lexical, k, share):
    chosen = choose_from(fusion, dense, lexical, k, share)

    def ranks(found):
        places = found.keys.tolist()
        return np.array(
            [places.index(key) + 1 if key in places else np.inf for key in chosen.keys.tolist()]
        )

    first_pass_ranks = np.arange(1.0, len(chosen.keys) + 1)
    order = reading_order(first_pass_ranks, ranks(dense), ranks(lexical), share)
    assert order.tolist() == chosen.reading_order.tolist()


def test_one_in_ten_candidates_is_a_head_of_each_list():
    dense = ranked(*((key, 1 - key / 1000) for key in range(100)))
    lexical = ranked(*((1000 + key, 100 - key) for key in range(100)))
    chosen = choose_from(ConvexFusion(1), dense, lexical, 50, 0.1)
    assert [key for key in chosen.keys.tolist() if key >= 1000] == list(range(1000, 1005))
    chosen = choose_from(ConvexFusion(0), dense, lexical, 50, 0.1)
    assert [key for key in chosen.keys.tolist() if key < 1000] == list(range(5))


def test_a_single_candidate_is_the_better_of_both_firsts():
    chosen = choose_from(ConvexFusion(0.9), ranked((1, 0.9)), ranked((2, 30.0)), 1, 0.1)
    assert chosen.keys.tolist() == [1]
