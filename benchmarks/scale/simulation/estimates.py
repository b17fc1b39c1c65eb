"""From samples to estimates: percentiles of a run, and how sure several runs are of them."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Student's t, 97.5 %, by degrees of freedom from 1; beyond the last, the normal distribution's.
_STUDENT = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_NORMAL = 1.960


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over independent runs.

    Attributes:
        mean: Of the runs.
        half_width: Of its 95 % confidence interval, by Student's t; infinite for a single run.
    """

    mean: float
    half_width: float

    @classmethod
    def of(cls, runs: Sequence[float]) -> "Estimate":
        """From one figure a run."""
        if len(runs) < 2:
            return cls(statistics.fmean(runs), math.inf)
        degrees = len(runs) - 1
        student = _STUDENT[degrees - 1] if degrees <= len(_STUDENT) else _NORMAL
        deviation = statistics.stdev(runs)
        return cls(statistics.fmean(runs), student * deviation / math.sqrt(len(runs)))

    def holds(self, value: float, tolerance: float = 0.0) -> bool:
        """Whether a value lies in the interval, widened by a part of the value."""
        return abs(self.mean - value) <= self.half_width + tolerance * abs(value)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of all do not exceed (nearest rank)."""
    ascending = sorted(values)
    return ascending[max(0, math.ceil(part * len(ascending)) - 1)]
