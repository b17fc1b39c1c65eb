"""The choice of a reranker and its blend, on collections of two kinds."""

import math

import pytest

from twopass.evaluation.blends import BLENDS
from twopass.evaluation.candidates import Candidate
from twopass.evaluation.choosing import (
    KindsQuality,
    ReadSet,
    SetKind,
    chosen_blend,
    first_pass_quality,
    reranked_quality,
    tried,
)
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import Quality

SECOND = 1 / math.log2(3)
"""nDCG@10 of an answer at rank 2."""


def read_set(name, kind, *, first_pass_knows, **rerankers):
    """A set of 20 queries with two candidates, of which "yes" answers.

    Args:
        name: The set's name.
        kind: The set's kind.
        first_pass_knows: Whether the first pass has the answer first.
        rerankers: By name, whether the reranker has it first.
    """
    queries = [f"q{number}" for number in range(20)]
    dataset = Dataset(name, (), dict.fromkeys(queries, "?"), {q: {"yes": 1} for q in queries})
    order = ("yes", "no") if first_pass_knows else ("no", "yes")

    def candidates(knows):
        return [
            Candidate(name, rank, None, 1 / rank, 1.0 if (name == "yes") is knows else 0.0)
            for rank, name in enumerate(order, 1)
        ]

    return ReadSet(
        dataset,
        kind,
        {
            reranker: {query: candidates(knows) for query in queries}
            for reranker, knows in rerankers.items()
        },
    )


# One reranker that learned the kind of its pairs: it is right on two sets like them, where the
# first pass is wrong, and wrong on one of another kind, where the first pass is right.
NARROW = [
    read_set("pairs", SetKind.TRAINED, first_pass_knows=False, narrow=True),
    read_set("more pairs", SetKind.TRAINED, first_pass_knows=False, narrow=True),
    read_set("other", SetKind.OTHER, first_pass_knows=True, narrow=False),
]


def test_both_kinds_count_the_same_however_many_sets_they_have():
    alone = reranked_quality(NARROW, 10, "narrow", 0.0)
    assert alone.kinds[SetKind.TRAINED].ndcg == pytest.approx(1.0)
    assert alone.kinds[SetKind.OTHER].ndcg == pytest.approx(SECOND)
    assert alone.both.ndcg == pytest.approx((1 + SECOND) / 2)
    assert alone.sets["other"].ndcg == pytest.approx(SECOND)


def test_the_first_pass_is_the_blend_of_one():
    assert first_pass_quality(NARROW, 10) == reranked_quality(NARROW, 10, "narrow", 1.0)


def test_of_equally_good_blends_the_one_nearest_the_first_pass_is_chosen():
    knows = [read_set("d", SetKind.TRAINED, first_pass_knows=False, sure=True)]
    by_blend = tried(knows, 10)["sure"]
    assert tuple(by_blend) == BLENDS
    # With two candidates both z-scores are 1 and -1: the reranker decides below a half.
    assert chosen_blend(by_blend) == 0.4
    assert chosen_blend({0.2: by_blend[0.2], 0.9: by_blend[0.9]}) == 0.2


@pytest.mark.parametrize(("behind", "chosen"), [([0.1, 0.1, 0.1, 0.12], 0.5), ([0.4, 0.0], 0.7)])
def test_a_blend_is_as_good_as_the_best_within_one_standard_error(behind, chosen):
    def kinds_quality(values):
        of = {str(number): value for number, value in enumerate(values)}
        mean = Quality(sum(values) / len(values), 0, 0, 0, of)
        return KindsQuality({}, {}, mean)

    best = kinds_quality([0.8] * len(behind))
    safer = kinds_quality([0.8 - value for value in behind])
    assert chosen_blend({0.5: best, 0.7: safer}) == chosen


def test_a_gain_on_one_kind_that_is_lost_on_the_other_is_none():
    by_blend = tried(NARROW, 10)["narrow"]
    assert by_blend[0.0].both.ndcg == pytest.approx(by_blend[1.0].both.ndcg)
    assert chosen_blend(by_blend) == 1.0


def test_differences_are_told_by_set_by_kind_and_for_both():
    wide = [
        read_set("pairs", SetKind.TRAINED, first_pass_knows=False, wide=True),
        read_set("other", SetKind.OTHER, first_pass_knows=True, wide=True),
    ]
    first_pass, both_passes = first_pass_quality(wide, 10), reranked_quality(wide, 10, "wide", 0.0)
    rows = {row.dataset: row for row in both_passes.differences(first_pass)}
    assert list(rows) == ["pairs", "other", "mean, trained", "mean, other", "mean of kinds"]
    assert (rows["pairs"].before, rows["pairs"].after) == pytest.approx((SECOND, 1.0))
    assert rows["pairs"].p_value < 0.001
    assert rows["other"].p_value == 1.0
    assert rows["mean of kinds"].after - rows["mean of kinds"].before == pytest.approx(
        (1 - SECOND) / 2
    )
    assert rows["mean of kinds"].num_queries == 40
