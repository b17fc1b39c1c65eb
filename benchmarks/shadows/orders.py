"""Queries in random orders: when the test finds a difference, and how often where there is none."""

import numpy as np
from numpy.typing import NDArray

from twopass.server.shadowing.evidence import STAKES

SIGNIFICANT = 0.01
"""Where chance alone makes less evidence, a shadow counts as found."""

_AT_ONCE = 100


def queries_until_found(differences: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many queries, looked at one by one, it takes until the test is sure; 0 where it never is.

    It is the test of `server/shadowing/evidence.py`, of many runs at once.

    Args:
        differences: Of each run's queries in turn, float64 `[num_runs, num_queries]`.

    Returns:
        int64 `[num_runs]`.
    """
    parts = [differences[i : i + _AT_ONCE] for i in range(0, len(differences), _AT_ONCE)]
    return np.concatenate([_until_found(part) for part in parts])


def over_orders(differences: NDArray[np.float64], num_orders: int, seed: int) -> NDArray[np.int64]:
    """`queries_until_found` over random orders of the same queries."""
    random = np.random.default_rng(seed)
    return queries_until_found(
        np.array([random.permutation(differences) for _ in range(num_orders)])
    )


def num_false_alarms(
    differences: NDArray[np.float64], num_runs: int, num_queries: int, seed: int
) -> int:
    """How many of many shadows that are as good as the live order are ever called better or worse.

    Each query's difference is that of a real pair of rerankers, with a random sign: as if, query
    by query, nobody knew which of both orders was live. Every run is looked at after each query.
    """
    random = np.random.default_rng(seed)
    shape = num_runs, num_queries
    drawn = random.choice(differences, shape) * random.choice([-1.0, 1.0], shape)
    return int((queries_until_found(drawn) > 0).sum())


def _until_found(differences: NDArray[np.float64]) -> NDArray[np.int64]:
    stakes = np.array(STAKES)[:, None, None]
    is_sure = np.zeros(differences.shape, np.bool_)
    for sign in (1, -1):
        logs = np.log1p(sign * stakes * differences).cumsum(axis=2)
        capital = np.logaddexp.reduce(logs, axis=0) - np.log(len(STAKES))
        is_sure |= capital > np.log(2 / SIGNIFICANT)
    return np.where(is_sure.any(axis=1), is_sure.argmax(axis=1) + 1, 0)
