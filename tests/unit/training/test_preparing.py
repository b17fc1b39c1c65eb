"""Which questions are trained on, and which are kept to measure on."""

import pytest

from twopass.training.mining import Group
from twopass.training.pairs import TrainingError
from twopass.training.preparing import split


def groups_of(count, source="source"):
    return [Group(f"question {n}", source, (n,), (1.0,)) for n in range(count)]


def test_no_question_is_both_trained_on_and_measured_on():
    training, kept = split(groups_of(1_000), one_in=20, at_most=30)
    assert len(kept) == 30
    assert not {g.query for g in training} & {g.query for g in kept}
    assert len(training) > 900


@pytest.mark.parametrize("at_most", [10, 60, 100, 170, 1_000])
def test_questions_of_all_sources_are_measured_on_in_proportion(at_most):
    groups = [group for source in "abc" for group in groups_of(1_000, source)]
    _, all_kept = split(groups, one_in=20, at_most=10**6)
    _, kept = split(groups, one_in=20, at_most=at_most)
    assert len(kept) == len(set(map(id, kept))) == min(at_most, len(all_kept))
    for source in "abc":
        share = sum(group.source == source for group in kept) / len(kept)
        assert share == pytest.approx(1 / 3, abs=1 / len(kept) + 0.02)


@pytest.mark.parametrize(("count", "one_in"), [(0, 2), (20, 50), (20, 1)])
def test_too_few_questions_are_refused_with_how_many_are_needed(count, one_in):
    with pytest.raises(TrainingError, match=f"of {count} questions .* give about"):
        split(groups_of(count), one_in=one_in, at_most=30)
