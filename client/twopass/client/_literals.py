"""Values that filters compare fields with, as the contract's messages."""

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from numbers import Integral, Real
from typing import Any, TypeAlias

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Value
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.client._metadata import LARGEST_EXACT
from twopass.client._values import double, int64, moment, text
from twopass.client.errors import InvalidArgumentError
from twopass.v1.filter_pb2 import FieldCondition, Interval, Literal, LiteralList, Range

Bound: TypeAlias = str | int | float | datetime | date
"""An end of an interval. Text is compared by code points, a time with texts that tell a time. A
datetime without a time zone is in UTC; a date is its whole day in UTC."""

Scalar: TypeAlias = Bound | bool | None
"""What a field's value is compared with. 1, "1" and True are three different values."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400
_LAST_NANOS = 999_999_999


def equality(value: Scalar, field: str) -> FieldCondition:
    """The test whether a field equals a value.

    Raises:
        InvalidArgumentError: The value is an integer beyond 64 bits, or holds a lone surrogate.
        TypeError: Fields are not compared with values of this type.
    """
    if _is_date(value):
        return interval({"gte": value, "lte": value}, field)
    if _is_plain(value):
        return FieldCondition(equal_to=_value(value, field))
    return FieldCondition(equal_to_literal=_literal(value, field))


def membership(values: Iterable[Scalar], field: str) -> FieldCondition:
    """The test whether a field equals one of several values; raises as `equality` does."""
    if isinstance(values, str | bytes):
        raise TypeError(
            f"{field}: several values are needed, a single {type(values).__name__} given; put it "
            "into a list"
        )
    listed = list(values)
    if any(map(_is_date, listed)):
        raise TypeError(
            f"{field}: a date given, which is a whole day; join equals(...) of each by |, or give "
            "datetimes"
        )
    if all(map(_is_plain, listed)):
        plain = [_value(value, field) for value in listed]
        return FieldCondition(any_of=ListValue(values=plain))
    literals = [_literal(value, field) for value in listed]
    return FieldCondition(any_of_literals=LiteralList(values=literals))


def interval(bounds: Mapping[str, Bound | None], field: str) -> FieldCondition:
    """The test whether a field lies within bounds, given by their names in the contract.

    Raises:
        InvalidArgumentError: A bound is an integer beyond 64 bits, or holds a lone surrogate.
        TypeError: There is no bound, or the bounds are not of one kind that has an order.
    """
    given = {name: bound for name, bound in bounds.items() if bound is not None}
    if not given:
        raise TypeError(f"{field}: no bound given; gt, gte, lt or lte is needed")
    kinds = {_kind(bound, f"{field}.{name}") for name, bound in given.items()}
    if len(kinds) > 1:
        raise TypeError(
            f"{field}: bounds of several kinds given, {' and '.join(sorted(kinds))}; one kind is "
            "needed"
        )
    if kinds == {"number"} and all(map(_is_plain, given.values())):
        numbers: dict[str, Any] = {
            name: double(bound, f"{field}.{name}") for name, bound in given.items()
        }
        return FieldCondition(range=Range(**numbers))
    literals: dict[str, Any] = {}
    for name, bound in given.items():
        where = f"{field}.{name}"
        if _is_date(bound):  # later than its day, or not, is later than its last nanosecond
            literals[name] = Literal(time=_of_day(bound, is_end=name in ("gt", "lte")))
        elif isinstance(bound, float):  # it may be infinite
            literals[name] = Literal(number=bound)
        else:
            literals[name] = _literal(bound, where)
    return FieldCondition(interval=Interval(**literals))


def literal_value(message: Literal) -> Scalar:
    """The value that a message holds; a time is a datetime in UTC, to the microsecond."""
    match message.WhichOneof("literal"):
        case "integer":
            return message.integer
        case "number":
            return message.number
        case "text":
            return message.text
        case "boolean":
            return message.boolean
        case "time":
            return moment(message.time)
    return None


def _is_date(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


def _is_plain(value: object) -> bool:
    """Whether a `Value` carries it exactly, which older servers read too."""
    if isinstance(value, Integral) and not isinstance(value, bool):
        return abs(int(value)) <= LARGEST_EXACT
    return value is None or isinstance(value, bool | str | Real)


def _kind(bound: object, field: str) -> str:
    match bound:
        case str():
            return "text"
        case date():  # a datetime is one too
            return "time"
        case Real() if not isinstance(bound, bool):
            return "number"
    raise TypeError(
        f"{field}: a number, str, datetime or date is needed, {type(bound).__name__} given"
    )


def _value(value: object, field: str) -> Value:
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=text(value, field))
        case Real():
            return Value(number_value=_finite(value, field))
    raise _not_comparable(value, field)


def _literal(value: object, field: str) -> Literal:
    match value:
        case None:
            return Literal(null=NULL_VALUE)
        case bool():
            return Literal(boolean=value)
        case str():
            return Literal(text=text(value, field))
        case Integral():
            return Literal(integer=int64(value, field))
        case Real():
            return Literal(number=_finite(value, field))
        case datetime():
            return Literal(time=_moment(value))
    raise _not_comparable(value, field)


def _finite(value: object, field: str) -> float:
    number = double(value, field)
    if not math.isfinite(number):
        raise InvalidArgumentError(
            f"{field}: {number} given, metadata's numbers are finite", metadata={"field": field}
        )
    return number


def _not_comparable(value: object, field: str) -> TypeError:
    return TypeError(
        f"{field}: a str, int, float, bool, datetime, date or None is needed, "
        f"{type(value).__name__} given"
    )


def _moment(value: datetime) -> Timestamp:
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    since = aware - _EPOCH
    return Timestamp(seconds=since // timedelta(seconds=1), nanos=since.microseconds * 1_000)


def _of_day(value: Any, *, is_end: bool) -> Timestamp:
    start = (value.toordinal() - _EPOCH.toordinal()) * _DAY_SECONDS
    if not is_end:
        return Timestamp(seconds=start)
    return Timestamp(seconds=start + _DAY_SECONDS - 1, nanos=_LAST_NANOS)
