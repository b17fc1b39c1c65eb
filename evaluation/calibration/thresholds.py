"""The threshold for a wanted precision or recall, and what it reaches where it was not chosen."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.calibration.pairs import JudgedPairs
from twopass.evaluation.calibration.reliability import Estimate, estimated

MIN_ACCEPTED = 10
"""Fewest pairs that a threshold is chosen by: a precision of fewer says little."""

_Z_ONE_SIDED = 1.645  # of 95 %


@dataclass(frozen=True, slots=True)
class Threshold:
    """A threshold, halfway between the last pair that it accepts and the next.

    Halfway, so that engines whose logits differ in their last digits decide alike.

    Attributes:
        score: On scores, as the model is calibrated now.
        logit: On logits.
    """

    score: float
    logit: float


@dataclass(frozen=True, slots=True)
class Reached:
    """What a threshold does on pairs that it was not chosen on.

    Attributes:
        precision: Of the accepted, the share that is relevant.
        recall: Of the relevant that were found, the share that is accepted.
        num_accepted: Pairs at or above the threshold.
        num_relevant: Relevant pairs.
        num_pairs: All of them.
    """

    precision: Estimate
    recall: Estimate
    num_accepted: int
    num_relevant: int
    num_pairs: int


def for_precision(pairs: JudgedPairs, wanted: float, *, sure: bool = False) -> Threshold | None:
    """The lowest threshold that reaches a precision; None where none does.

    Args:
        pairs: What it is chosen on.
        wanted: The least share of the accepted that is to be relevant, 0 to 1.
        sure: Whether the lower end of the share's one-sided interval of 95 % (Wilson 1927) is to
            reach it, instead of the share itself.
    """
    ends, relevant = _by_falling_score(pairs)
    accepted = ends + 1
    share = relevant / accepted
    reached = _lower_end(share, accepted) if sure else share
    fits = np.flatnonzero((reached >= wanted) & (accepted >= MIN_ACCEPTED))
    return _threshold(pairs, int(ends[fits[-1]])) if len(fits) else None


def for_recall(pairs: JudgedPairs, wanted: float) -> Threshold | None:
    """The highest threshold that reaches a recall; None where nothing is relevant.

    Args:
        pairs: What it is chosen on.
        wanted: The least share of the relevant that is to be accepted, 0 to 1.
    """
    num_relevant = int(pairs.relevant.sum())
    if not num_relevant:
        return None
    ends, relevant = _by_falling_score(pairs)
    fits = np.flatnonzero(relevant >= wanted * num_relevant - 1e-9)
    return _threshold(pairs, int(ends[fits[0]]))


def reached(pairs: JudgedPairs, threshold: Threshold) -> Reached:
    """Judges a threshold on pairs.

    Args:
        pairs: Others than those that it was chosen on.
        threshold: The threshold, compared as a server does.
    """
    accepted = pairs.scores >= np.float32(threshold.score)
    facts = np.stack(
        [accepted, accepted & pairs.relevant, pairs.relevant],
        axis=1,
    ).astype(np.float64)
    return Reached(
        estimated(facts, pairs.query, lambda sums: sums[..., 1] / sums[..., 0]),
        estimated(facts, pairs.query, lambda sums: sums[..., 1] / sums[..., 2]),
        int(accepted.sum()),
        int(pairs.relevant.sum()),
        len(pairs),
    )


def num_for_margin(precision: float, margin: float = 0.05) -> int:
    """How many accepted pairs tell a precision to within a margin, with 95 % certainty.

    As if they were independent: pairs of one query count for fewer.
    """
    return math.ceil(max(precision * (1 - precision), 0.01) * (1.96 / margin) ** 2)


def auroc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> float:
    """The share of (positive, negative) whose positive is higher; equal ones count half.

    Args:
        positives: float64 `[num_positives]`, at least one.
        negatives: float64 `[num_negatives]`, at least one.
    """
    values = np.concatenate([positives, negatives])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    num_positives, num_negatives = len(positives), len(negatives)
    above = ranks[:num_positives].sum() - num_positives * (num_positives + 1) / 2
    return float(above / (num_positives * num_negatives))


def _by_falling_score(pairs: JudgedPairs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where each distinct score ends in falling order, and how many are relevant up to there."""
    order = np.argsort(-pairs.scores, kind="stable")
    scores = pairs.scores[order]
    ends = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return ends, np.cumsum(pairs.relevant[order])[ends].astype(np.float64)


def _threshold(pairs: JudgedPairs, last: int) -> Threshold:
    """The threshold after the pair at a place in falling order."""
    order = np.argsort(-pairs.scores, kind="stable")
    following = order[min(last + 1, len(order) - 1)]
    lowest = order[last]
    halfway = np.float32((float(pairs.scores[lowest]) + float(pairs.scores[following])) / 2)
    # Where two scores are neighbours, what lies between them rounds to one of them.
    if last + 1 < len(order) and halfway <= pairs.scores[following]:
        halfway = pairs.scores[lowest]
    logit = float(pairs.logits[lowest] + pairs.logits[following]) / 2
    return Threshold(float(halfway), logit)


def _lower_end(share: NDArray[np.float64], num: NDArray[np.int64]) -> NDArray[np.float64]:
    z = _Z_ONE_SIDED
    centre = share + z * z / (2 * num)
    spread = z * np.sqrt(share * (1 - share) / num + z * z / (4 * num * num))
    lower: NDArray[np.float64] = (centre - spread) / (1 + z * z / num)
    return lower
