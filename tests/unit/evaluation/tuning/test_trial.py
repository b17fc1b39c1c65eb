"""What a choice is worth is told by queries that it was not chosen by."""

import numpy as np

from twopass.evaluation.datasets import Part
from twopass.evaluation.tuning.arithmetic import Qualities
from twopass.evaluation.tuning.choice import Aim, Reason
from twopass.evaluation.tuning.trial import Check, tried

from .test_choice import DEEP, DEFAULTS, OWN, TIMES


def qualities(num_queries, gain_of):
    """Qualities of the defaults and of a way that is better by `gain_of` a query's id."""
    ids = tuple(f"q{number}" for number in range(num_queries))
    rng = np.random.default_rng(0)
    usual = rng.uniform(0.2, 0.6, num_queries)
    better = usual + [gain_of(name) for name in ids] + rng.normal(0, 0.02, num_queries)
    return Qualities((DEFAULTS, DEEP), np.array([usual, better]), ids)


def test_one_half_chooses_and_the_other_reports():
    found = tried(qualities(200, lambda _: 0.1), TIMES, DEFAULTS, OWN, Aim())
    assert found.check is Check.HALVES
    assert found.recommended == DEEP
    assert found.gain.num_queries < 130
    assert 0.08 < found.gain.low < found.gain.gain < found.gain.high < 0.12
    assert found.gain.p_value < 0.001


def test_what_the_other_half_does_not_find_better_is_kept_back():
    by_luck = qualities(200, lambda name: 0.1 if Part.DEVELOPMENT.has(name) else -0.1)
    found = tried(by_luck, TIMES, DEFAULTS, OWN, Aim())
    assert found.choice.reason is Reason.BETTER
    assert found.gain.gain < 0
    assert found.kept_back
    assert found.recommended is None


def test_few_queries_all_choose_and_fifths_report():
    found = tried(qualities(30, lambda _: 0.1), TIMES, DEFAULTS, OWN, Aim())
    assert found.check is Check.FOLDS
    assert found.gain.num_queries == 30
    assert found.recommended == DEEP


def test_where_nothing_is_better_there_is_nothing_to_gain():
    found = tried(qualities(200, lambda _: -0.1), TIMES, DEFAULTS, OWN, Aim())
    assert found.recommended is None
    assert found.gain.gain == found.gain.low == found.gain.high == 0
    assert found.gain.p_value == 1
