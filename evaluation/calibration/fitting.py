"""Curves from a logit to the probability that the passage is relevant."""

import numpy as np
from numpy.typing import NDArray

_NEWTON_STEPS = 50
_TOLERANCE = 1e-9


def platt(logits: NDArray[np.float64], is_relevant: NDArray[np.bool_]) -> tuple[float, float]:
    """Fits a and b of `sigmoid(a * logit + b)` by logistic regression (Platt 1999).

    Newton's method on the log loss, with Platt's targets slightly inside of 0 and 1.

    Args:
        logits: float64 `[num_pairs]`.
        is_relevant: bool `[num_pairs]`.
    """
    num_relevant, num_others = int(is_relevant.sum()), int((~is_relevant).sum())
    target = np.where(is_relevant, (num_relevant + 1) / (num_relevant + 2), 1 / (num_others + 2))
    design = np.stack([logits, np.ones_like(logits)], 1)

    def loss(weights: NDArray[np.float64]) -> float:
        x = design @ weights
        return float((np.logaddexp(0, x) - target * x).sum())

    weights = np.zeros(2)
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(design @ weights)
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


def isotonic(
    logits: NDArray[np.float64], is_relevant: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rising curve that fits best, whatever its shape (pool adjacent violators).

    Args:
        logits: float64 `[num_pairs]`, at least one.
        is_relevant: bool `[num_pairs]`.

    Returns:
        Logits of the curve's points, ascending, and probabilities there, both float64
        `[num_points]`; between two points it is a straight line.
    """
    order = np.argsort(logits, kind="stable")
    places, starts = np.unique(logits[order], return_index=True)
    counts = np.diff(np.append(starts, len(logits))).astype(np.float64)
    sums = np.add.reduceat(is_relevant[order].astype(np.float64), starts)
    blocks: list[list[float]] = []  # sum, weight, how many places
    for total, weight in zip(sums, counts, strict=True):
        blocks.append([total, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    fitted = [np.full(int(places_in), total / weight) for total, weight, places_in in blocks]
    return places, np.concatenate(fitted)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1 + np.tanh(0.5 * x))
