"""Calibration: turns logits into probabilities, so that a threshold on scores has a meaning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.calibration.fitting import platt, sigmoid

_BINS = 15


@dataclass(frozen=True, slots=True)
class Fit:
    """A calibration, and its error before and after.

    Attributes:
        a: Factor in `sigmoid(a * logit + b)`.
        b: Offset in `sigmoid(a * logit + b)`.
        error_before: Expected calibration error of `sigmoid(logit)` on held-out queries.
        error_after: Expected calibration error of the calibrated score on the same queries.
    """

    a: float
    b: float
    error_before: float
    error_after: float


def fit(
    logits: NDArray[np.float32], is_relevant: NDArray[np.bool_], is_held_out: NDArray[np.bool_]
) -> Fit:
    """Fits a and b by logistic regression (Platt 1999), and measures on what was held out.

    Args:
        logits: float32 `[num_pairs]`.
        is_relevant: bool `[num_pairs]`.
        is_held_out: Pairs to measure on, bool `[num_pairs]`; all or none of a query's pairs.
    """
    a, b = platt(logits[~is_held_out].astype(np.float64), is_relevant[~is_held_out])
    held, truth = logits[is_held_out].astype(np.float64), is_relevant[is_held_out]
    return Fit(
        a,
        b,
        expected_calibration_error(sigmoid(held), truth),
        expected_calibration_error(sigmoid(a * held + b), truth),
    )


def expected_calibration_error(
    probabilities: NDArray[np.float64], is_relevant: NDArray[np.bool_]
) -> float:
    """Mean gap between predicted and true frequency, over 15 equal bins (Guo et al. 2017).

    Args:
        probabilities: float `[num_pairs]`, 0 to 1.
        is_relevant: bool `[num_pairs]`.
    """
    bins = np.minimum((probabilities * _BINS).astype(int), _BINS - 1)
    said = np.bincount(bins, probabilities, _BINS)
    so = np.bincount(bins, is_relevant, _BINS)
    return float(abs(said - so).sum() / len(probabilities))
