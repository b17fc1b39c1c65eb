"""What bounds the value of a setting that is a number."""

from dataclasses import dataclass
from typing import Any

import annotated_types
from pydantic.fields import FieldInfo


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of a number; None for none.

    Attributes:
        least: The least value.
        above: What every value is greater than.
        most: The greatest value.
    """

    least: Any = None
    above: Any = None
    most: Any = None


def bounds_of(setting: FieldInfo) -> Bounds:
    """The bounds that a field of `ServerConfig` declares."""
    least = above = most = None
    for bound in setting.metadata:
        if isinstance(bound, annotated_types.Ge):
            least = bound.ge
        elif isinstance(bound, annotated_types.Gt):
            above = bound.gt
        elif isinstance(bound, annotated_types.Le):
            most = bound.le
    return Bounds(least, above, most)
