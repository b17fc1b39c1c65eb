"""Calibration: turns logits into probabilities, so that a threshold on scores has a meaning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BINS = 15
_NEWTON_STEPS = 50
_TOLERANCE = 1e-9


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
    a, b = _platt(logits[~is_held_out].astype(np.float64), is_relevant[~is_held_out])
    held, truth = logits[is_held_out].astype(np.float64), is_relevant[is_held_out]
    return Fit(
        a,
        b,
        expected_calibration_error(_sigmoid(held), truth),
        expected_calibration_error(_sigmoid(a * held + b), truth),
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


def _platt(logits: NDArray[np.float64], is_relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """Newton's method on the log loss, with Platt's targets slightly inside of 0 and 1."""
    num_relevant, num_others = int(is_relevant.sum()), int((~is_relevant).sum())
    target = np.where(is_relevant, (num_relevant + 1) / (num_relevant + 2), 1 / (num_others + 2))
    design = np.stack([logits, np.ones_like(logits)], 1)

    def loss(weights: NDArray[np.float64]) -> float:
        x = design @ weights
        return float((np.logaddexp(0, x) - target * x).sum())

    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - target)
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-9 * np.eye(2)
        change = np.linalg.solve(hessian, gradient)
        # Where few pairs are relevant, a full step can lead away from the minimum: halve it then.
        while loss(weights - change) > loss(weights) and abs(change).max() > _TOLERANCE:
            change /= 2
        weights = weights - change
        if abs(change).max() <= _TOLERANCE:
            break
    return float(weights[0]), float(weights[1])


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(0.5 * x))
