"""Two ways of searching compared, from the files that `twopass eval --json` prints."""

import dataclasses
import json

import pytest

from twopass.evaluation.comparison import (
    ComparisonError,
    Difference,
    differences,
    qualities,
    read_evaluations,
)
from twopass.evaluation.measures import Evaluation, Quality


def quality(**ndcg_of):
    return Quality(sum(ndcg_of.values()) / len(ndcg_of), 0.5, 1.0, 0.25, ndcg_of)


DENSE = Evaluation("d", "dense", 9, 2, 50, quality(q=0.1, r=0.3), {}, None, 0.0, 4.5)
HYBRID = Evaluation(
    dataset="d",
    mode="hybrid",
    num_documents=9,
    num_queries=2,
    num_candidates=50,
    first_pass=quality(q=0.2, r=0.4),
    reranked={10: quality(q=0.5, r=0.7), 50: quality(q=0.6, r=0.8)},
    reranker=quality(q=0.9, r=0.9),
    blend=0.5,
    search_ms=40.0,
)


def test_what_was_printed_is_read_back_as_it_was(tmp_path):
    file = tmp_path / "eval.json"
    file.write_text(json.dumps([dataclasses.asdict(one) for one in (DENSE, HYBRID)]))
    assert read_evaluations(file) == [DENSE, HYBRID]


@pytest.mark.parametrize("content", ["", "[1]", "{}x", '{"a": 1}', "[{}]", '[{"reranker": 1}]'])
def test_a_file_of_something_else_is_named(tmp_path, content):
    file = tmp_path / "other.json"
    file.write_text(content)
    with pytest.raises(ComparisonError, match=r"other\.json: not what `twopass eval --json`"):
        read_evaluations(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ComparisonError, match=r"none\.json: No such file"):
        read_evaluations(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("way", "ndcg"),
    [
        ("dense", 0.2),
        ("hybrid", 0.3),
        ("hybrid@10", 0.6),
        ("hybrid@50", 0.7),
        ("hybrid@logits", 0.9),
    ],
)
def test_a_way_is_a_first_pass_and_how_deep_the_second_went(way, ndcg):
    assert qualities([DENSE, HYBRID], way)["d"].ndcg == pytest.approx(ndcg)


def test_a_way_that_was_not_measured_is_told_those_that_were():
    with pytest.raises(ComparisonError, match=r"hybrid@20: .* hybrid, hybrid@10, hybrid@50"):
        qualities([DENSE, HYBRID], "hybrid@20")


def test_ways_differ_query_by_query_on_each_set_and_on_their_mean():
    many = {f"q{i}": 0.5 for i in range(20)}
    before = {"big": quality(**many), "small": quality(a=0.4, b=0.6)}
    after = {"big": quality(**dict.fromkeys(many, 0.75)), "small": quality(a=0.6, b=0.4)}
    big, small, mean = differences(before, after)
    assert (big.dataset, big.num_queries, big.before, big.after) == ("big", 20, 0.5, 0.75)
    assert big.p_value < 0.001
    assert (small.before, small.after, small.p_value) == (0.5, 0.5, 1.0)
    assert (mean.dataset, mean.num_queries, mean.before, mean.after) == ("mean", 22, 0.5, 0.625)


def test_a_single_set_needs_no_mean():
    one = {"d": quality(q=0.5)}
    assert differences(one, one) == [Difference("d", 1, 0.5, 0.5, 1.0)]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({"d": quality(q=1.0)}, {"e": quality(q=1.0)}, "d: measured on one side alone"),
        ({"d": quality(q=1.0)}, {"d": quality(r=1.0)}, "d: measured on other queries"),
    ],
)
def test_only_the_same_queries_are_compared(before, after, message):
    with pytest.raises(ComparisonError, match=message):
        differences(before, after)
