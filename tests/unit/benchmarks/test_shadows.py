import numpy as np
import pytest

from twopass.benchmarks.shadows.orders import (
    SIGNIFICANT,
    num_false_alarms,
    over_orders,
    queries_until_found,
)
from twopass.server.shadowing.evidence import Evidence


def one_by_one(differences) -> int:
    evidence = Evidence()
    for count, difference in enumerate(differences, 1):
        evidence.observe(float(difference))
        if evidence.p_value < SIGNIFICANT:
            return count
    return 0


@pytest.mark.parametrize("mean", [-0.3, 0.0, 0.1])
def test_many_runs_at_once_are_as_the_server_looks_at_each(mean):
    rng = np.random.default_rng(3)
    differences = np.clip(rng.normal(mean, 0.4, (130, 80)), -1, 1)
    expected = [one_by_one(run) for run in differences]
    assert queries_until_found(differences).tolist() == expected


def test_a_large_difference_is_found_in_every_order_and_none_in_none():
    told = over_orders(np.full(50, 0.8), 10, seed=0)
    assert len(set(told.tolist())) == 1
    assert 0 < told[0] < 30
    assert over_orders(np.zeros(50), 10, seed=0).tolist() == [0] * 10


def test_false_alarms_are_fewer_than_one_in_a_hundred():
    rng = np.random.default_rng(1)
    differences = rng.choice([0.0, 0.0, 0.5, -0.37, 1.0], 300)
    assert num_false_alarms(differences, 1_000, 300, seed=0) < 10
