"""Whether a mean difference is above or below 0, by a test that may be looked at any time.

Each observation x in [-1, 1] is a round of betting against the hypothesis that the mean is m, for
even odds: capital starts at 1 and is multiplied by 1 + c (x - m) / (1 + m), where c in (0, 1) is
the stake. Under the hypothesis no strategy can expect to gain, so by Ville's inequality the
capital ever reaches 1 / alpha with probability alpha at most: its greatest value so far is
evidence that stays valid however often, and for whatever reason, one looks and stops
(Waudby-Smith and Ramdas, Estimating means of bounded random variables by betting, JRSS B 86, 2024).
The stake that suits the unknown mean is not known: capital is spread over stakes from small to
large, which costs at most their number (the method of mixtures). Stakes do not depend on the
observations, so neither does the capital on their order.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

# Each 3/4 of the one before: the best stake is about mean / variance, 0.01 to 0.9 in what is seen.
STAKES = tuple(0.9 * 0.75**k for k in range(16))
"""Shares of the capital that are bet."""

# Observations are rounded to this for the interval alone, so that equal ones are counted together.
_STEP = 1e-3
_BISECTIONS = 30

CONFIDENCE = 0.95
"""Of the interval: the true mean is in it, at all times together, with this probability."""


@dataclass(slots=True)
class Evidence:
    """What observations of a difference say about its mean.

    Attributes:
        count: Observations.
        total: Their sum.
        num_better: Those above 0.
        num_worse: Those below 0.
        log_up: Log of the capital of each stake on a mean above 0.
        log_down: Log of the capital of each stake on a mean below 0.
        max_up: Log of the most that the capital on a mean above 0 ever was, at least 0.
        max_down: Likewise below 0.
        histogram: How often each difference was observed, in steps of a thousandth.
    """

    count: int = 0
    total: float = 0.0
    num_better: int = 0
    num_worse: int = 0
    log_up: list[float] = field(default_factory=lambda: [0.0] * len(STAKES))
    log_down: list[float] = field(default_factory=lambda: [0.0] * len(STAKES))
    max_up: float = 0.0
    max_down: float = 0.0
    histogram: dict[int, int] = field(default_factory=dict)

    def observe(self, difference: float) -> None:
        """Takes one observation.

        Args:
            difference: In [-1, 1].

        Raises:
            ValueError: It is beyond that.
        """
        if not -1 <= difference <= 1:
            raise ValueError(f"difference: {difference} given, -1 to 1 is needed")
        self.count += 1
        self.total += difference
        self.num_better += difference > 0
        self.num_worse += difference < 0
        step = round(difference / _STEP)
        self.histogram[step] = self.histogram.get(step, 0) + 1
        if difference == 0:  # nothing is won or lost
            return
        for i, stake in enumerate(STAKES):
            self.log_up[i] += math.log1p(stake * difference)
            self.log_down[i] += math.log1p(-stake * difference)
        self.max_up = max(self.max_up, _log_mean(self.log_up))
        self.max_down = max(self.max_down, _log_mean(self.log_down))

    @property
    def mean(self) -> float:
        """The mean so far; 0 without observations."""
        return self.total / self.count if self.count else 0.0

    @property
    def p_better(self) -> float:
        """One-sided, anytime-valid p-value of a mean of at most 0."""
        return math.exp(-self.max_up)

    @property
    def p_worse(self) -> float:
        """One-sided, anytime-valid p-value of a mean of at least 0."""
        return math.exp(-self.max_down)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of the side of 0 on which the mean so far lies.

        The other side may have won its bets before: what it has won says nothing for this one.
        """
        if not self.total:
            return 1.0
        return min(1.0, 2 * (self.p_better if self.total > 0 else self.p_worse))

    def interval(self) -> tuple[float, float]:
        """The means against which nobody has won 2 / alpha: a confidence sequence's interval."""
        return interval(self.histogram, self.mean)


def interval(histogram: Mapping[int, int], mean: float) -> tuple[float, float]:
    """`Evidence.interval`, of what was observed until now.

    Takes milliseconds where observations are of a thousand kinds.

    Args:
        histogram: How often each difference was observed, in steps of a thousandth.
        mean: Their mean.
    """
    observed = np.array(list(histogram.items()), np.float64).reshape(-1, 2)
    differences, counts = _STEP * observed[:, 0], observed[:, 1]
    lower, upper = _bound(differences, counts), -_bound(-differences, counts)
    return min(lower, mean), max(upper, mean)


def _bound(differences: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """The least mean that is not refuted: capital against a mean falls as the mean grows."""
    enough = math.log(2 / (1 - CONFIDENCE))
    stakes = np.array(STAKES)[:, None]
    least, most = -1.0, 1.0
    for _ in range(_BISECTIONS):
        mean = (least + most) / 2
        logs = np.log1p(stakes * (differences - mean) / (1 + mean)) @ counts
        if _log_mean(logs.tolist()) >= enough:
            least = mean
        else:
            most = mean
    return least


def _log_mean(logs: Sequence[float]) -> float:
    """The log of the mean of numbers that are given by their logs."""
    most = max(logs)
    return most + math.log(sum(math.exp(log - most) for log in logs) / len(logs))
