"""What comes of a check: rows of a table, or what stood in its way."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""One line of a table: numbers, words, truth values, None, and plain figures (`Figure.plain`)."""


class NotHereError(Exception):
    """A check can't run here, or means nothing here; says why."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one check.

    Attributes:
        name: What was measured.
        rows: Figures; those that there are where something stood in the way of others.
        obstacle: What it was, in its own words; empty where nothing did.
        seconds: How long it took.
        notes: What engines warned of meanwhile, such as that one goes on without CUDA graphs.
    """

    name: str
    rows: list[Row] = field(default_factory=list)
    obstacle: str = ""
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


def rows_of(outcomes: Sequence[Outcome], name: str) -> list[Row]:
    """The rows of a check; none where it was not run."""
    return [row for each in outcomes if each.name == name for row in each.rows]


def obstacle_of(outcomes: Sequence[Outcome], name: str) -> str:
    """What stood in the way of a check; that it is not there, where it is not."""
    return next((each.obstacle for each in outcomes if each.name == name), "not run")
