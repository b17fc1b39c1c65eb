"""Which settings are chosen: never by chance alone, and never a worse one for time."""

import numpy as np
import pytest

from twopass.evaluation.tuning.arithmetic import Qualities
from twopass.evaluation.tuning.choice import Aim, Reason, choose_settings
from twopass.evaluation.tuning.settings import Reader, Settings
from twopass.index.fusion import ConvexFusion

SMALL, LARGE = Reader("small"), Reader("large")
USUAL = ConvexFusion(0.9)
DEFAULTS = Settings("hybrid", 50, USUAL, 50, SMALL, 0.7)
SHALLOW = Settings("hybrid", 50, USUAL, 10, SMALL, 0.7)
DEEP = Settings("hybrid", 50, USUAL, 50, LARGE, 0.4)
WORDS = Settings("lexical", 50)
OTHER_BLEND = Settings("hybrid", 50, USUAL, 50, SMALL, 0.1)
TIMES = {DEFAULTS.cost: 80.0, SHALLOW.cost: 30.0, DEEP.cost: 160.0, WORDS.cost: 5.0}
OWN = {"small": 0.7, "large": 0.4}


def measured(num_queries=100, seed=0, **gains):
    """Qualities of all ways: those of the defaults, and a gain with noise on top."""
    ways = {"defaults": DEFAULTS, "shallow": SHALLOW, "deep": DEEP, "words": WORDS}
    ways["other_blend"] = OTHER_BLEND
    rng = np.random.default_rng(seed)
    usual = rng.uniform(0.2, 0.8, num_queries)
    rows = [
        usual + (gain + rng.normal(0, 0.1, num_queries) if (gain := gains.get(name)) is not None
                 else -0.2 if name != "defaults" else 0.0)
        for name in ways
    ]  # fmt: skip
    return Qualities(tuple(ways.values()), np.array(rows), tuple(map(str, range(num_queries))))


def chosen(found, **aim):
    return choose_settings(found, TIMES, DEFAULTS, OWN, Aim(**aim))


def test_a_better_way_is_taken_although_it_takes_longer():
    found = chosen(measured(deep=0.1))
    assert (found.settings, found.reason) == (DEEP, Reason.BETTER)
    assert found.p_of_best < 0.001
    assert found.num_needed < 20


def test_a_difference_within_noise_moves_nothing_and_tells_how_many_judgements_would_do():
    found = chosen(measured(deep=0.01, seed=2))
    assert (found.settings, found.reason) == (DEFAULTS, Reason.NOTHING_BETTER)
    assert found.best == DEEP
    assert found.num_needed is None or found.num_needed > 100


@pytest.mark.parametrize("num_queries", [5, 12, 30])
def test_the_luck_of_the_best_of_many_is_not_taken_for_quality(num_queries):
    """Eighty ways that differ from the defaults by chance alone, on few queries."""
    moved = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        ways = (
            DEFAULTS,
            *(Settings("hybrid", 50, USUAL, depth, LARGE, 0.4) for depth in range(80)),
        )
        rows = rng.uniform(0.2, 0.8, num_queries) + rng.normal(0, 0.2, (len(ways), num_queries))
        found = Qualities(ways, rows, tuple(map(str, range(num_queries))))
        times = {way.cost: 100.0 for way in ways}
        moved += choose_settings(found, times, DEFAULTS, OWN, Aim()).settings != DEFAULTS
    assert moved <= 3  # 5 % of 12, and what chance adds to it


def test_the_cheapest_way_that_gives_nothing_away_is_taken():
    found = chosen(measured(400, shallow=0.005))
    assert (found.settings, found.reason) == (SHALLOW, Reason.CHEAPER)
    assert chosen(measured(400, shallow=0.005), is_best=True).settings == DEFAULTS
    assert chosen(measured(200, shallow=-0.05)).settings == DEFAULTS
    assert chosen(measured(200, shallow=-0.05), margin=0.08).settings == SHALLOW


def test_the_luckiest_of_many_cheaper_ways_is_not_taken_for_one_that_loses_nothing():
    """Thirty ways that lose twice the margin, and differ beside by chance."""
    moved = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        cheaper = (Settings("hybrid", k, USUAL, 10, SMALL, 0.7) for k in range(10, 40))
        ways = (DEFAULTS, *cheaper)
        usual = rng.uniform(0.3, 0.7, 100)
        rows = usual + rng.normal(-0.02, 0.1, (len(ways), 100))
        rows[0] = usual
        found = Qualities(ways, rows, tuple(map(str, range(100))))
        times = {way.cost: 10.0 for way in ways} | {DEFAULTS.cost: 80.0}
        moved += choose_settings(found, times, DEFAULTS, OWN, Aim()).settings != DEFAULTS
    assert moved <= 2


def test_a_few_queries_on_which_two_ways_agree_prove_nothing():
    few = measured(12)
    few.ndcg[1] = few.ndcg[0]
    assert chosen(few).settings == DEFAULTS
    many = measured(120)
    many.ndcg[1] = many.ndcg[0]
    assert chosen(many).settings == SHALLOW


def test_a_budget_leaves_out_what_takes_longer():
    slow_is_better = measured(200, deep=0.1, shallow=-0.1)
    assert chosen(slow_is_better, budget_ms=100.0).settings == DEFAULTS
    within = chosen(slow_is_better, budget_ms=50.0)
    assert (within.settings, within.reason) == (SHALLOW, Reason.WITHIN_BUDGET)
    assert chosen(slow_is_better, budget_ms=1.0).settings == WORDS  # the quickest there is


def test_of_blends_that_are_as_good_the_usual_one_stands_for_all():
    found = chosen(measured(200, other_blend=0.002))
    assert OTHER_BLEND not in found.frontier
    found = chosen(measured(200, other_blend=0.1))
    assert found.settings == OTHER_BLEND
