"""What values metadata fields have."""

from dataclasses import dataclass

from twopass.index.filters import Moment

FacetScalar = str | int | float | bool | None
"""A value of metadata that is no list and no object."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and how many documents have it.

    Attributes:
        value: Text, true, false, null, or a number; a whole number is an int, be it stored as 1 or
            as 1.0, which filters take for equal.
        num_documents: How many documents have it, however often each of them does.
    """

    value: FacetScalar
    num_documents: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The values of one metadata field among the documents that pass a filter.

    Attributes:
        field: The field's name, as filters have it.
        num_documents: Documents that have the field, be it null or an empty list.
        num_values: Distinct values in all.
        values: The most frequent of them, the most frequent first; of those as frequent null,
            false, true, numbers and texts, each ascending.
        numbers: The least and the greatest number; None where no value is a number.
        texts: The least and the greatest text by code points.
        times: The earliest and the latest time of those texts that tell one.
    """

    field: str
    num_documents: int
    num_values: int
    values: tuple[FacetValue, ...]
    numbers: tuple[int | float, int | float] | None
    texts: tuple[str, str] | None
    times: tuple[Moment, Moment] | None
