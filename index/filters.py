"""Which documents a request is about, by their metadata and ids."""

from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | float | bool | None
"""What a test compares a field's value with: text, a finite number, true, false or null."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """The value is one of these, in type and value: 1, "1" and true are three different ones."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InRange:
    """The value is a number within these bounds; None leaves a side open."""

    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The value is a text that begins with this one, compared by code points."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, be it null or an empty list."""


@dataclass(frozen=True, slots=True)
class IsMissing:
    """The field is not there."""


Test: TypeAlias = OneOf | InRange | StartsWith | Exists | IsMissing


@dataclass(frozen=True, slots=True)
class FieldCondition:
    """A test of one metadata field.

    A document without the field fails every test but `IsMissing`. Of a list, one element that
    passes is enough; lists inside it and objects pass no test of their value.

    Attributes:
        field: A name of dotted parts, none empty, without NUL; dots reach into nested objects.
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
