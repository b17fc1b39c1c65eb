"""Measures over answers, against values worked out by hand."""

import math

import pytest

from twopass.client import RerankStatus, SearchHit, SearchResult, Timings
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import (
    Quality,
    evaluation,
    mean_quality,
    ndcg,
    quality,
)


def hit(name, rank, score, logit=None, **scores):
    given = dict.fromkeys(SearchHit.__dataclass_fields__) | {
        "id": name,
        "first_pass_rank": rank,
        "dense_score": score,
        "logit": logit,
    }
    return SearchHit(**given | scores)


def result(*hits, num_reranked=0, blend=0.0, rerank_status=None):
    status = RerankStatus.COMPLETE if num_reranked else RerankStatus.DISABLED
    given = dict.fromkeys(SearchResult.__dataclass_fields__) | {
        "hits": hits,
        "num_reranked": num_reranked,
        "rerank_status": rerank_status or status,
        "query_truncated": False,
        "blend": blend,
        "timings": Timings(**dict.fromkeys(Timings.__dataclass_fields__)),
    }
    return SearchResult(**given)


def dataset(**qrels):
    return Dataset("d", (), dict.fromkeys(qrels, "?"), qrels)


def test_ndcg_of_a_known_order():
    # Gains at ranks 1 and 3 over the ideal 1 and 2 (Järvelin and Kekäläinen 2002).
    expected = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    judged = dataset(q={"a": 1, "b": 1})
    assert ndcg(judged, {"q": ["a", "x", "b"]}) == pytest.approx(expected)


def test_a_query_without_an_answer_counts_as_nothing():
    judged = dataset(q={"a": 1}, r={"b": 1})
    assert ndcg(judged, {"q": ["a"], "r": []}) == pytest.approx(0.5)


def test_the_other_measures_of_a_known_order():
    judged = dataset(q={"a": 1, "b": 2, "c": 0}, r={"a": 1})
    measured = quality(judged, {"q": ["c", "a", "x", "b"], "r": ["x", "y"]}, 3)
    assert measured.mrr == pytest.approx((1 / 2 + 0) / 2)
    assert measured.recall == pytest.approx((1 / 2 + 0) / 2)
    assert measured.average_precision == pytest.approx((1 / 2 / 2 + 0) / 2)
    assert measured.ndcg_of["r"] == 0
    assert measured.ndcg == pytest.approx(measured.ndcg_of["q"] / 2)


def test_ways_are_compared_query_by_query():
    def of(*ndcgs):
        return Quality(0, 0, 0, 0, {str(number): value for number, value in enumerate(ndcgs)})

    worse, better = of(*([0.4] * 20)), of(*([0.5] * 20))
    assert better.p_value(worse) < 0.001
    assert better.p_value(better) == 1.0
    assert of(1.0, 0.0).p_value(of(0.0, 1.0)) == 1.0


def test_every_collection_counts_alike_in_a_mean():
    small = Quality(0.5, 0.5, 0.5, 0.5, {"a": 0.5})
    large = Quality(0.9, 0.8, 0.7, 0.6, {"a": 1.0, "b": 0.8, "c": 0.9})
    mean = mean_quality({"small": small, "large": large})
    assert (mean.ndcg, mean.mrr, mean.recall) == pytest.approx((0.7, 0.65, 0.6))
    assert sum(mean.ndcg_of.values()) / 4 == pytest.approx(mean.ndcg)
    assert mean.ndcg_of["small/a"] == pytest.approx(1.0)  # it is worth as much as the other three


def test_shallower_second_passes_follow_from_the_deepest():
    # Dense order a, b, c; only c answers, and the reranker knows.
    answers = {
        "q": result(hit("c", 3, 0.1, 5.0), hit("a", 1, 0.9, 1.0), hit("b", 2, 0.5, 0.0),
                    num_reranked=3)
    }  # fmt: skip
    measured = evaluation(dataset(q={"c": 1}), "dense", answers, [1, 2, 3, 10])
    third = 1 / math.log2(4)
    assert measured.first_pass.ndcg == pytest.approx(third)
    by_depth = {depth: quality.ndcg for depth, quality in measured.reranked.items()}
    assert by_depth == pytest.approx({1: third, 2: third, 3: 1.0, 10: 1.0})
    assert measured.reranker.ndcg == pytest.approx(1.0)


def test_the_blend_is_the_servers():
    hits = [hit("a", 1, 0.9, 0.0), hit("b", 2, 0.5, 0.1)]
    judged = dataset(q={"a": 1})
    for blend, expected in [(0.0, 1 / math.log2(3)), (1.0, 1.0)]:
        answers = {"q": result(*hits, num_reranked=2, blend=blend)}
        measured = evaluation(judged, "dense", answers, [2])
        assert measured.reranked[2].ndcg == pytest.approx(expected)
        assert measured.reranker.ndcg == pytest.approx(1 / math.log2(3))


def test_where_nothing_is_found_both_passes_are_worth_nothing():
    answers = {"q": result(rerank_status=RerankStatus.COMPLETE)}
    measured = evaluation(dataset(q={"a": 1}), "lexical", answers, [2, 5])
    assert {depth: of.ndcg for depth, of in measured.reranked.items()} == {2: 0.0, 5: 0.0}
    assert measured.reranker.ndcg == 0.0


def test_without_a_second_pass_there_is_nothing_to_measure_of_it():
    measured = evaluation(dataset(q={"a": 1}), "lexical", {"q": result(hit("a", 1, 0.9))}, [10])
    assert (measured.first_pass.ndcg, measured.reranked, measured.reranker) == (1.0, {}, None)
