"""Whether one way of searching is better than another by more than chance."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

_RESAMPLES = 100_000
_AT_ONCE = 2_000


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
