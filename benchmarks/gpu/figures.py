"""A figure that was measured in several turns: the median, and what it lies between."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What several turns gave.

    Attributes:
        median: Of the turns.
        least: The least of them.
        most: The most of them.
        turns: How many there were.
    """

    median: float
    least: float
    most: float
    turns: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        """The figure of at least one value."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    @classmethod
    def read(cls, value: Any) -> "Figure | None":
        """The figure that a cell holds, a bare number among them; None where it holds none."""
        if isinstance(value, dict) and value.keys() == {"median", "least", "most", "turns"}:
            return cls(**value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return cls(float(value), float(value), float(value), 1)

    @property
    def plain(self) -> dict[str, float]:
        """As a cell of a row holds it."""
        return {
            "median": self.median,
            "least": self.least,
            "most": self.most,
            "turns": self.turns,
        }


def median_of(value: Any) -> float | None:
    """The median that a cell holds; None where it holds no number."""
    figure = Figure.read(value)
    return None if figure is None else figure.median


def figure_of(values: Sequence[float | None]) -> dict[str, float] | None:
    """The cell of several turns; None where any of them has no value."""
    known = [value for value in values if value is not None]
    return Figure.of(known).plain if known and len(known) == len(values) else None
