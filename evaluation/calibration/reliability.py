"""How far probabilities are from what happened, and how sure that is.

Pairs of one query are not independent, so intervals come from drawing queries, not pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NUM_BINS = 15
_RESAMPLES = 1_000
_TAIL = 2.5  # percent on either side: intervals are of 95 %


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval of 95 %, by drawing queries with replacement.

    Attributes:
        value: As measured.
        low: The interval's lower end.
        high: The interval's upper end.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """Pairs whose probabilities are near each other.

    Attributes:
        said: The mean of their probabilities.
        happened: The share of them that is relevant.
        num_pairs: How many they are.
    """

    said: float
    happened: float
    num_pairs: int


@dataclass(frozen=True, slots=True)
class Reliability:
    """How a probability does on judged pairs.

    Attributes:
        error: As `expected_calibration_error` has it, 0 to 1.
        brier: Mean squared difference from 0 or 1, which also counts how well it tells them apart
            (Brier 1950).
        bins: The reliability curve, of bins that hold pairs.
    """

    error: Estimate
    brier: Estimate
    bins: tuple[Bin, ...]


def expected_calibration_error(
    probabilities: NDArray[np.float64], relevant: NDArray[np.bool_]
) -> float:
    """Mean gap between what is said and what happens, over 15 equal bins (Guo et al. 2017).

    Args:
        probabilities: float64 `[num_pairs]`, 0 to 1, at least one.
        relevant: bool `[num_pairs]`.
    """
    gaps = np.bincount(_bins(probabilities), probabilities - relevant)
    return float(abs(gaps).sum() / len(probabilities))


def reliability(
    probabilities: NDArray[np.float64], relevant: NDArray[np.bool_], query: NDArray[np.int64]
) -> Reliability:
    """Measures probabilities on judged pairs.

    Args:
        probabilities: float64 `[num_pairs]`, 0 to 1, at least one.
        relevant: bool `[num_pairs]`.
        query: The number of each pair's query, int64 `[num_pairs]`.
    """
    bins = _bins(probabilities)
    one_hot = bins[:, None] == np.arange(_NUM_BINS)
    facts = np.concatenate(
        [
            one_hot * (probabilities - relevant)[:, None],
            np.stack([(probabilities - relevant) ** 2, np.ones(len(bins))], 1),
        ],
        axis=1,
    )

    def error(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = abs(sums[..., :_NUM_BINS]).sum(-1) / sums[..., -1]
        return found

    def brier(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = sums[..., -2] / sums[..., -1]
        return found

    return Reliability(
        estimated(facts, query, error),
        estimated(facts, query, brier),
        tuple(
            Bin(
                float(probabilities[bins == number].mean()),
                float(relevant[bins == number].mean()),
                int((bins == number).sum()),
            )
            for number in np.unique(bins)
        ),
    )


def _bins(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.minimum((probabilities * _NUM_BINS).astype(np.int64), _NUM_BINS - 1)


def estimated(
    facts: NDArray[np.float64],
    query: NDArray[np.int64],
    figure: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    *,
    seed: int = 0,
) -> Estimate:
    """A figure of sums over pairs, with its interval.

    Args:
        facts: What is summed, a row a pair, float64 `[num_pairs, num_facts]`.
        query: The number of each pair's query, int64 `[num_pairs]`.
        figure: From sums `[..., num_facts]` to the figure `[...]`; may answer NaN.
        seed: Of the drawings.
    """
    _, number = np.unique(query, return_inverse=True)
    by_query = np.zeros((int(number.max()) + 1, facts.shape[1]))
    np.add.at(by_query, number, facts)
    rng = np.random.default_rng(seed)
    num_queries = len(by_query)
    drawn = rng.multinomial(num_queries, np.full(num_queries, 1 / num_queries), _RESAMPLES)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(figure(by_query.sum(0)))
        figures = figure(drawn.astype(np.float64) @ by_query)
    figures = figures[~np.isnan(figures)]
    if not len(figures):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.percentile(figures, [_TAIL, 100 - _TAIL])
    return Estimate(value, float(low), float(high))
