"""Calibration: turns logits into probabilities, so that a threshold on scores has a meaning."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.calibration.fitting import platt, sigmoid
from twopass.evaluation.calibration.reliability import expected_calibration_error


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
