"""Tests that no value of a declared field's type can pass: they are mistakes, and are told."""

from collections.abc import Iterator, Sequence

from twopass.index.errors import InvalidFilterError
from twopass.index.field_names import parse_field_name
from twopass.index.filters import (
    Bound,
    Exists,
    FieldCondition,
    Filter,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    Scalar,
    StartsWith,
    Test,
)
from twopass.index.schema import FieldType, IndexedField

# What values of a type may be compared with. Null stands for a value that is not known.
_COMPARABLE = {
    FieldType.TEXT: {"text", "time", "null"},
    FieldType.TIME: {"text", "time", "null"},
    FieldType.NUMBER: {"number", "null"},
    FieldType.BOOL: {"bool", "null"},
}


def check_types(wanted: Filter, declared: Sequence[IndexedField]) -> None:
    """Makes sure that a value of its field's declared type can pass each test.

    A list of values of several types is fine where one of them fits, and so is everything on a
    field that is not declared.

    Raises:
        InvalidFilterError: No value of the declared type can pass a test.
    """
    if not declared:
        return
    types = {parse_field_name(field.field): field.type for field in declared}
    for where, condition in _field_conditions("filter", wanted):
        type_ = types.get(parse_field_name(condition.field))
        if type_ is None:
            continue
        given = _kinds(condition.test)
        if given and not given & _COMPARABLE[type_]:
            raise InvalidFilterError(
                where,
                f"{condition.field!r} is compared with {' and '.join(sorted(given))}, but the "
                f"collection's schema declares it as {type_}, so that nothing would pass; compare "
                f"it with {type_}, or declare the field as what it holds in a new collection",
            )


def _field_conditions(where: str, wanted: Filter) -> Iterator[tuple[str, FieldCondition]]:
    """The tests of fields at any depth, and where they stand in the message."""
    for name in ("must", "should", "must_not"):
        for i, condition in enumerate(getattr(wanted, name)):
            if isinstance(condition, FieldCondition):
                yield f"{where}.{name}[{i}].field", condition
            elif isinstance(condition, Filter):
                yield from _field_conditions(f"{where}.{name}[{i}].filter", condition)


def _kinds(test: Test) -> set[str]:
    """The kinds of value that a test compares with; none where any value may pass."""
    match test:
        case OneOf(values):
            return {_kind(value) for value in values}
        case InRange():
            return {_kind(bound) for bound in test.bounds}
        case StartsWith():
            return {"text"}
        case Exists() | IsMissing():
            return set()


def _kind(value: Scalar | Bound) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case str():
            return "text"
        case Moment():
            return "time"
    return "number"
