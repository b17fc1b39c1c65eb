"""Which goals a run has met is read from its rows, and never guessed."""

import dataclasses

import pytest

from tests.unit.benchmarks.gpu.made_reports import figure, outcomes
from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.goals import judge
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.variants import AFTER


def goal(found, beginning, **others):
    (each,) = (g for g in judge(found, **others) if g.goal.startswith(beginning))
    return each


def with_rows(found, name, rows):
    return [dataclasses.replace(e, rows=rows) if e.name == name else e for e in found]


ALL = (
    "40 passages of 128 tokens in process",
    "40 passages through gRPC",
    "pairs/s at 128 tokens",
    "mixed lengths, times plain",
    "the server's pairs/s",
    "training",
    "TensorRT-RTX on a GPU that it refuses",
)


def test_every_goal_has_a_line_whatever_was_measured():
    for found in ((), outcomes()):
        assert [each.goal.startswith(name) for each, name in zip(judge(found), ALL, strict=True)]


@pytest.mark.parametrize("name", ALL)
def test_what_was_not_measured_is_not_met_and_says_why(name):
    each = goal((), name)
    assert (each.is_met, each.value, each.measured) == (None, None, "not run")


def test_the_words_of_what_stood_in_the_way_are_the_reason():
    found = [Outcome(names.TRAINING, [], "left out: it takes about 45 s, 12 s left")]
    assert goal(found, "training").measured == "left out: it takes about 45 s, 12 s left"


def test_the_fastest_way_to_launch_counts_and_is_named_and_the_core_does_not():
    found = outcomes(gain=2.0)
    each = goal(found, "40 passages of 128 tokens in process")
    assert each.value == pytest.approx(2.7 / 8)
    assert each.is_met
    assert each.measured == f"0.34 ms ({AFTER.name})"
    assert goal(found, "pairs/s at 128").value == pytest.approx(360_000)


def test_a_goal_that_is_missed_says_so_with_its_figure():
    found = outcomes(gain=1.0)
    each = goal(found, "40 passages of 128 tokens in process")
    assert (each.is_met, each.value) == (False, 2.7)
    assert goal(found, "mixed lengths").is_met is False


def test_requests_through_grpc_are_those_of_one_at_a_time_and_not_of_http():
    found = outcomes(gain=2.0)
    each = goal(found, "40 passages through gRPC")
    assert each.value == pytest.approx(3 * 2.7 / 8)
    assert each.is_met


def test_mixed_lengths_are_told_against_both_sizes_of_padded_batches():
    each = goal(outcomes(gain=1.0, speed=54_000.0), "mixed lengths")
    assert each.value == pytest.approx(54_000 / 8_000)
    assert each.is_met
    assert "6.8 x batches of 32, 3.0 x batches of 128" in each.measured


def test_the_server_is_compared_with_its_own_engine_at_its_own_lengths():
    each = goal(outcomes(gain=1.5), "the server's pairs/s")
    assert each.value == pytest.approx(0.5)
    assert each.is_met is False
    assert each.measured.startswith("50% (")
    assert AFTER.name in each.measured


def test_training_counts_its_fastest_way():
    rows = [
        {"way": "padded", "pairs/s": 5_000.0},
        {"way": "packed", "pairs/s": figure(51_000.0)},
    ]
    each = goal(with_rows(outcomes(), names.TRAINING, rows), "training")
    assert (each.is_met, each.measured) == (True, "51,000 (packed)")


def refusal(**changed):
    (row,) = next(e.rows for e in outcomes() if e.name == names.TENSORRT)
    return goal(
        with_rows(outcomes(), names.TENSORRT, [row | changed]), "TensorRT-RTX on a GPU that"
    )


def test_a_refusal_is_one_sentence_under_a_second_once():
    each = refusal()
    assert each.is_met
    assert each.measured.startswith("0.40 s, then 0.001 s: tensorrt_rtx 1.7.1 does not run on")


@pytest.mark.parametrize(
    "changed",
    [
        {"seconds": 9.0},
        {"plans built": 1},
        {"words": "one\ntwo"},
        {"seconds when asked again": 0.9},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_late_a_long_or_a_repeated_refusal_is_none(changed):
    assert refusal(**changed).is_met is False


def test_a_gpu_that_is_not_refused_leaves_that_goal_open():
    assert refusal(refused=False).is_met is None


def test_on_a_cpu_figures_are_read_and_no_goal_is_met_or_missed():
    for each in judge(outcomes(), is_dry=True):
        assert each.is_met is None
        assert each.value is not None
        assert each.measured.startswith("(on a CPU) ")
