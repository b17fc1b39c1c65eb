"""What a report says in words, and what it advises."""

import pytest

from twopass.server.telemetry.advice import AdviceKind, advice, summary

from .counted import Counted, effect

ENOUGH = 200


def kinds(counted: Counted) -> list[AdviceKind]:
    return [each.kind for each in advice(counted.report())]


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_a_healthy_collection_needs_no_advice(counted):
    for i in range(ENOUGH):
        counted.search(effect([i % 3, 0, 5], reach=40))
    assert kinds(counted) == []


def test_no_searches_are_said_so_and_advise_nothing(counted):
    counted.search(effect())
    counted.now = 1e6
    report = counted.report()
    assert summary(report) == "No searches were answered in this time."
    assert advice(report) == []


def test_the_summary_tells_change_and_cost_in_one_breath(counted):
    for i in range(100):
        counted.search(effect([1 if i < 38 else 0, 5, 2], seconds=0.021), seconds=0.032)
    said = summary(counted.report())
    assert said.startswith("The second pass changed the first hit in 38% of 100 searches, ")
    assert "at the median" in said


def test_the_summary_tells_where_nothing_could_be_compared(counted):
    counted.search(rerank="disabled")
    assert summary(counted.report()) == (
        "1 search answered, none of them with a second pass to compare."
    )


@pytest.mark.parametrize(
    ("kind", "searches"),
    [
        (AdviceKind.FEW_SEARCHES, [{"found": effect([1, 9, 2])}] * 5),
        (AdviceKind.LITTLE_CHANGE, [{"found": effect([0, 1, 2], reach=40)}] * ENOUGH),
        (AdviceKind.LOWER_DEPTH, [{"found": effect([1, 4, 2], reach=5)}] * ENOUGH),
        (AdviceKind.HIGHER_DEPTH, [{"found": effect([45, 4, 2], reach=46)}] * ENOUGH),
        (
            AdviceKind.TRUNCATED_PASSAGES,
            [{"found": effect([1, 9, 2], reach=40, num_truncated=20)}] * ENOUGH,
        ),
        (
            AdviceKind.TRUNCATED_QUERIES,
            [{"found": effect([1, 9, 2], reach=40), "query_truncated": True}] * ENOUGH,
        ),
        (
            AdviceKind.LATE,
            [{"found": effect([1, 9, 2], reach=40)}] * ENOUGH
            + [{"rerank": "skipped_deadline"}] * 20,
        ),
        (
            AdviceKind.LATE,
            [{"found": effect([1, 9, 2], reach=40), "rerank": "partial"}] * ENOUGH,
        ),
        (
            AdviceKind.OVERLOADED,
            [{"found": effect([1, 9, 2], reach=40)}] * ENOUGH
            + [{"rerank": "skipped_overload"}] * 9,
        ),
        (
            AdviceKind.FAILING,
            [{"found": effect([1, 9, 2], reach=40)}] * ENOUGH + [{"rerank": "failed"}],
        ),
        (
            AdviceKind.RETRIEVAL_INCOMPLETE,
            [{"found": effect([1, 9, 2], reach=40), "retrieve": "dense_deadline"}] * ENOUGH,
        ),
        (
            AdviceKind.LEFT_EMPTY,
            [{"found": effect([1, 9], reach=40, has_min_score=True, num_below=50)}] * ENOUGH,
        ),
    ],
    ids=lambda value: value.value if isinstance(value, AdviceKind) else "",
)
def test_what_stands_out_is_advised_alone(counted, kind, searches):
    for search in searches:
        counted.search(**search)
    assert kinds(counted) == [kind]


def test_one_answer_is_told_in_the_singular(counted):
    counted.search(effect([1, 9, 2]))
    (told,) = advice(counted.report())
    assert told.text.startswith("1 answer was compared: too few to judge by")
