"""Which documents a request is about, by their metadata and ids."""

import sys
from dataclasses import dataclass
from typing import TypeAlias

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
"""What an integer of a filter or of metadata lies between: SQLite compares these exactly."""


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A moment, compared with texts that tell a time as RFC 3339 writes it.

    Attributes:
        seconds: Since 1970-01-01T00:00:00Z, from the year 1 to 9999.
        nanos: After that second, 0 to 999,999,999.
    """

    seconds: int
    nanos: int = 0


Scalar: TypeAlias = str | int | float | bool | Moment | None
"""What a test compares a field's value with: text, an int64, a finite number, true, false, null, or
a moment."""

Bound: TypeAlias = str | int | float | Moment
"""An end of an interval. A number may be infinite, but is not NaN."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these, in type and value: 1, "1" and true are three different ones."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InRange:
    """The value lies within these bounds, all of one kind; None leaves a side open.

    Numbers are compared exactly, be they integers or not; texts by their code points; moments with
    the times that texts tell.
    """

    gt: Bound | None = None
    gte: Bound | None = None
    lt: Bound | None = None
    lte: Bound | None = None

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The bounds that are given."""
        ends = (self.gt, self.gte, self.lt, self.lte)
        return tuple(bound for bound in ends if bound is not None)


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The value is a text that begins with this one, compared by code points."""

    prefix: str

    @property
    def beyond(self) -> str | None:
        """The least text beyond all that begin with the prefix; None where there is none."""
        for end in range(len(self.prefix), 0, -1):
            following = ord(self.prefix[end - 1]) + 1
            if following == 0xD800:
                following = 0xE000  # what is between are surrogates, which no text holds
            if following <= sys.maxunicode:
                return self.prefix[: end - 1] + chr(following)
        return None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, be it null or an empty list."""


@dataclass(frozen=True, slots=True)
class IsMissing:
    """The field is not there."""


ValueTest: TypeAlias = OneOf | InRange | StartsWith
Test: TypeAlias = ValueTest | Exists | IsMissing


def has_moments(test: ValueTest) -> bool:
    """Whether a test compares a value with a moment."""
    match test:
        case OneOf(values):
            return any(isinstance(value, Moment) for value in values)
        case InRange():
            return any(isinstance(bound, Moment) for bound in test.bounds)
        case StartsWith():
            return False


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """A test of one metadata field.

    A document without the field fails every test but `IsMissing`. Of a list, one element that
    passes is enough; lists inside it and objects pass no test of their value. A part of the name is
    looked for in an object, and in the objects of a list, but not of a list inside that list.

    Attributes:
        field: A name as `parse_field_name` reads it.
        test: What its value must be.
    """

    field: str
    test: Test


@dataclass(frozen=True, slots=True)
class IdCondition:
    """The document's id is one of these."""

    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Passes a document when every `must` holds, no `must_not`, and at least one `should` if any.

    An empty one passes every document.
    """

    must: "tuple[Condition, ...]" = ()
    should: "tuple[Condition, ...]" = ()
    must_not: "tuple[Condition, ...]" = ()


Condition: TypeAlias = FieldCondition | IdCondition | Filter


def selects_all(wanted: Filter) -> bool:
    """Whether a filter has no condition at any depth, and so selects every document."""
    conditions = (*wanted.must, *wanted.should, *wanted.must_not)
    return all(isinstance(c, Filter) and selects_all(c) for c in conditions)
