"""Whether one way of searching is better than another by more than chance."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.05
"""The p-value below which a difference is taken for more than chance."""

_RESAMPLES = 100_000
_AT_ONCE = 2_000
_BOOTSTRAPS = 10_000
_BOOTSTRAPS_AT_ONCE = 500
_FAMILY_RESAMPLES = 10_000
_FAMILY_AT_ONCE = 500


def randomization_test(first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> float:
    """Two-sided paired randomisation test of the difference of means (Smucker et al. 2007).

    If both ways were equal, each query's two values could be swapped. The result is the share of
    100,000 random swappings whose means differ as much as the measured ones or more.

    Args:
        first: Quality by query, float `[num_queries]`.
        second: Quality of the same queries in the same order.
        seed: Seed of the swappings.

    Returns:
        The p-value, above 0 and at most 1.

    Raises:
        ValueError: The two are not of equal length, or empty.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    if differences.ndim != 1 or not len(differences):
        raise ValueError(f"two lists of qualities are needed, of equal length: {differences.shape}")
    differences = differences[differences != 0]  # swapping equals changes nothing
    measured = abs(float(differences.sum()))
    rng = np.random.default_rng(seed)
    num_as_large = 0
    for _ in range(_RESAMPLES // _AT_ONCE):
        signs = rng.integers(0, 2, (_AT_ONCE, len(differences)), np.int8) * 2 - 1
        # The tolerance keeps a swapping that equals the measurement from counting as less.
        num_as_large += int((abs(signs @ differences) >= measured - 1e-9).sum())
    return (num_as_large + 1) / (_RESAMPLES + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted so that one false alarm among all of them is as unlikely.

    Each is multiplied by the number of tests that are no more significant (Holm 1979).

    Args:
        p_values: One for each test.

    Returns:
        The adjusted p-values, at most 1, in their order.
    """
    adjusted = [1.0] * len(p_values)
    least = 0.0
    in_order = sorted(range(len(p_values)), key=p_values.__getitem__)
    for rank, i in enumerate(in_order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = least
    return adjusted


def mean_interval(
    differences: ArrayLike, *, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval of the mean of paired differences, by the percentile bootstrap (Efron 1979).

    Args:
        differences: Quality of one way less that of another by query, float `[num_queries]`.
        level: Share of intervals that hold the true mean, 0 to 1.
        seed: Seed of the resamples.

    Raises:
        ValueError: There is no difference.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"a list of differences is needed, at least one: {values.shape}")
    rng = np.random.default_rng(seed)
    # A few at once: of thousands of queries all drawings together would take a gigabyte.
    means = np.concatenate(
        [
            values[rng.integers(0, len(values), (_BOOTSTRAPS_AT_ONCE, len(values)))].mean(axis=1)
            for _ in range(_BOOTSTRAPS // _BOOTSTRAPS_AT_ONCE)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def best_of_many(differences: ArrayLike, *, seed: int = 0) -> NDArray[np.float64]:
    """One-sided p-values of many ways against one, corrected for their number.

    The largest of many t-values is large by chance. If a way's queries could be swapped with those
    of the way it is compared with, so could those of all ways at once: a p-value is the share of
    10,000 random swappings in which the largest t-value of any way is at least that of the measured
    one (Westfall and Young 1993, single-step maxT). Ways that resemble each other cost little.

    Args:
        differences: Quality of each way less that of the one, float `[num_ways, num_queries]`.
        seed: Seed of the swappings.

    Returns:
        float64 `[num_ways]`, above 0 and at most 1; 1 where a way differs in no query.
    """
    values = np.atleast_2d(np.asarray(differences, np.float64))
    num_queries = values.shape[1]
    values = np.unique(values, axis=0)
    squares = (values**2).sum(axis=1)
    values, squares = values[squares > 0], squares[squares > 0]
    of_each = np.asarray(differences, np.float64).reshape(-1, num_queries)
    measured = _t_values(of_each.sum(axis=1), (of_each**2).sum(axis=1), num_queries)
    if not len(values) or num_queries < 2:
        return np.ones(len(of_each))
    rng = np.random.default_rng(seed)
    num_as_large = np.zeros(len(of_each))
    for _ in range(_FAMILY_RESAMPLES // _FAMILY_AT_ONCE):
        signs = rng.integers(0, 2, (_FAMILY_AT_ONCE, num_queries)) * 2.0 - 1.0
        largest = _t_values(signs @ values.T, squares, num_queries).max(axis=1)
        num_as_large += (largest[None, :] >= measured[:, None] - 1e-9).sum(axis=1)
    return np.where((of_each != 0).any(axis=1), (num_as_large + 1) / (_FAMILY_RESAMPLES + 1), 1.0)


def _t_values(
    sums: NDArray[np.float64], squares: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Means over their standard errors; 0 where all values are 0.

    A spread of none, which few queries may have by chance, counts as a millionth of the values.
    """
    means = sums / count
    variances = np.maximum(squares / count - means**2, 1e-6 * squares / count) / max(count - 1, 1)
    t_values: NDArray[np.float64] = np.divide(
        means, np.sqrt(variances), out=np.zeros_like(means), where=variances > 0
    )
    return t_values
