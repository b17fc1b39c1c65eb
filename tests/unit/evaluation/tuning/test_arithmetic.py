"""The order and the quality of every setting, against the plain way to tell them."""

import numpy as np
import pytest

from twopass.evaluation.candidates import Candidate, reranked_order
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import quality
from twopass.evaluation.tuning.arithmetic import (
    NumberedLists,
    order,
    pairs_read,
    qualities,
)
from twopass.evaluation.tuning.settings import Settings
from twopass.index.fusion import choose

from .made import READERS, grid, query


@pytest.mark.parametrize("seed", range(6))
def test_every_quality_of_a_grid_is_that_of_the_order_of_its_settings(seed):
    queries = [query(f"q{n}", 100 * seed + n) for n in range(3)]
    measured = qualities(queries, grid(), -1.0)
    judged = Dataset("d", (), {q.id: "?" for q in queries}, {q.id: q.grades for q in queries})
    rng = np.random.default_rng(seed)
    for number in rng.choice(len(measured.ways), 40, replace=False).tolist():
        way = measured.ways[number]
        orders = {one.id: order(one, way, -1.0)[:10] for one in queries}
        expected = quality(judged, orders, 10).ndcg_of
        assert measured.of(way) == pytest.approx([expected[q.id] for q in queries]), way.told()


@pytest.mark.parametrize("seed", range(6))
def test_an_order_is_the_one_that_an_answer_with_all_scores_leads_to(seed):
    one = query("q", seed)
    for way in (w for w in qualities([one], grid(), -1.0).ways if w.mode == "hybrid" and w.reader):
        cut = one.lists.first(way.k)
        chosen = choose(cut.fused(way.fusion), cut.dense, cut.lexical, way.k)
        ranks = [
            {key: rank for rank, key in enumerate(of.keys.tolist(), 1)}
            for of in (cut.dense, cut.lexical)
        ]
        logits = one.logits[way.reader]
        found = [
            Candidate(
                one.ids[key], ranks[0].get(key), ranks[1].get(key), float(score), float(logits[key])
            )
            for key, score in zip(chosen.keys.tolist(), chosen.scores, strict=True)
        ]
        blend = float(np.float32(way.blend))
        assert order(one, way, -1.0) == reranked_order(found, way.depth, blend), way.told()


def test_every_pair_that_a_setting_reads_is_read():
    one = query("q", 3)
    wanted = grid()
    read = {one.ids[place] for place in pairs_read(NumberedLists(one.ids, one.lists), wanted, -1.0)}
    for way in qualities([one], wanted, -1.0).ways:
        if way.reader is not None:
            assert set(order(one, way, -1.0)[: way.depth]) <= read


def test_without_a_reranker_no_pair_is_read_and_first_passes_are_compared_alone():
    one = query("q", 4)
    bare = grid(readers=())
    assert pairs_read(NumberedLists(one.ids, one.lists), bare, -1.0) == []
    assert {way.reader for way in qualities([one], bare, -1.0).ways} == {None}


def test_lists_cut_at_k_keep_the_similarities_of_what_words_alone_find():
    lists = query("q", 5).lists
    cut = lists.first(3)
    assert cut.dense.keys.tolist() == lists.dense.keys[:3].tolist()
    assert set(cut.beyond.keys.tolist()) == set(cut.lexical.keys.tolist()) - set(
        cut.dense.keys.tolist()
    )


def test_a_query_that_finds_nothing_counts_as_nothing():
    one = query("q", 6)
    nothing = one.lists.first(0)
    empty = type(one)(one.id, one.ids, nothing, one.logits, one.grades)
    measured = qualities([empty], grid(), -1.0)
    assert not measured.ndcg.any()
    assert order(empty, Settings("lexical", 3, None, 2, READERS[0]), -1.0) == []
