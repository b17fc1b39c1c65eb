"""A calibration: fitted and chosen on one half of the queries, judged on the other."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.calibration.fitting import isotonic, platt, sigmoid
from twopass.evaluation.calibration.pairs import JudgedPairs
from twopass.evaluation.calibration.reliability import Reliability, reliability
from twopass.evaluation.calibration.thresholds import (
    Reached,
    Threshold,
    for_precision,
    for_recall,
    reached,
)

MIN_OF_EACH = 10
"""Fewest relevant and fewest irrelevant pairs of a half: below, nothing is fitted."""

FEW_QUERIES = 100
"""Judged queries below which figures are so unsure that it is said."""

MANY_PAIRS, MANY_RELEVANT = 1_000, 100
"""Judged pairs and relevant ones of a half from which on a curve of any shape is fitted too."""


class TooFewJudgementsError(Exception):
    """There is not enough to fit on or to judge by; says what is missing."""


class Unit(StrEnum):
    """What a threshold decides on, and so what precision and recall count."""

    ANSWERS = "answers"
    """Queries, each by its hit of the greatest score: is that one relevant?"""
    HITS = "hits"
    """Hits, each on its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be chosen.

    Attributes:
        precision: The precision to reach; None for none.
        recall: The recall to reach; None for none.
        unit: What is counted.
        sure: Whether the lower end of the precision's interval is to reach it.
    """

    precision: float | None = None
    recall: float | None = None
    unit: Unit = Unit.ANSWERS
    sure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """What was fitted and chosen on one half, and how it does on the other.

    Attributes:
        a: Factor in `sigmoid(a * logit + b)`.
        b: Offset in it.
        before: How the scores of today do.
        after: How the fitted ones do.
        any_shape: How the best rising curve of any shape does; None where there are too few pairs.
        threshold: The one for what was wanted; None where nothing was, or nothing reaches it.
        reached: What it does on the other half; None without one.
        num_queries: Queries that were asked.
        num_judged: Judged pairs, of both halves.
        num_relevant: Relevant ones among them.
        num_unjudged: Scored pairs that nobody judged.
    """

    a: float
    b: float
    before: Reliability
    after: Reliability
    any_shape: Reliability | None
    threshold: Threshold | None
    reached: Reached | None
    num_queries: int
    num_judged: int
    num_relevant: int
    num_unjudged: int

    @property
    def is_unsure(self) -> bool:
        """Whether there are so few queries that intervals are wide."""
        return self.num_queries < FEW_QUERIES

    def calibrated_threshold(self) -> float | None:
        """The threshold on the fitted scores, for a model that is given this calibration."""
        if self.threshold is None:
            return None
        return float(sigmoid(np.array([self.a * self.threshold.logit + self.b]))[0])


def calibrated(pairs: JudgedPairs, wanted: Wanted) -> CalibrationReport:
    """Fits and chooses on one half of the queries, and judges on the other.

    Args:
        pairs: Judged pairs of both halves.
        wanted: What is to be chosen.

    Raises:
        TooFewJudgementsError: A half has too few relevant or irrelevant pairs.
    """
    fitted_on, judged_on = pairs.halves
    _ensure_enough(fitted_on, "choose on")
    _ensure_enough(judged_on, "judge on")
    a, b = platt(fitted_on.logits, fitted_on.relevant)
    threshold = chosen(fitted_on, wanted)
    return CalibrationReport(
        a=a,
        b=b,
        before=_measured(judged_on, judged_on.scores.astype(np.float64)),
        after=_measured(judged_on, sigmoid(a * judged_on.logits + b)),
        any_shape=_of_any_shape(fitted_on, judged_on),
        threshold=threshold,
        reached=None if threshold is None else reached(_counted(judged_on, wanted), threshold),
        num_queries=pairs.num_queries,
        num_judged=len(pairs),
        num_relevant=int(pairs.relevant.sum()),
        num_unjudged=pairs.num_unjudged,
    )


def chosen(pairs: JudgedPairs, wanted: Wanted) -> Threshold | None:
    """The threshold for what is wanted on some pairs; None where nothing is, or none reaches it."""
    counted = _counted(pairs, wanted)
    if wanted.precision is not None:
        return for_precision(counted, wanted.precision, sure=wanted.sure)
    if wanted.recall is not None:
        return for_recall(counted, wanted.recall)
    return None


def _counted(pairs: JudgedPairs, wanted: Wanted) -> JudgedPairs:
    return pairs.best_of_each_query if wanted.unit is Unit.ANSWERS else pairs


def _measured(pairs: JudgedPairs, probabilities: NDArray[np.float64]) -> Reliability:
    return reliability(probabilities, pairs.relevant, pairs.query)


def _of_any_shape(fitted_on: JudgedPairs, judged_on: JudgedPairs) -> Reliability | None:
    if len(fitted_on) < MANY_PAIRS or int(fitted_on.relevant.sum()) < MANY_RELEVANT:
        return None
    places, probabilities = isotonic(fitted_on.logits, fitted_on.relevant)
    return _measured(judged_on, np.interp(judged_on.logits, places, probabilities))


def _ensure_enough(half: JudgedPairs, use: str) -> None:
    num_relevant = int(half.relevant.sum())
    num_others = len(half) - num_relevant
    if min(num_relevant, num_others) < MIN_OF_EACH:
        raise TooFewJudgementsError(
            f"the half to {use} has {num_relevant:,} relevant and {num_others:,} irrelevant judged "
            f"hits, at least {MIN_OF_EACH} of each are needed in either half; judge more, both "
            "kinds"
        )
