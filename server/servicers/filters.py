"""Filters from messages."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.struct_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.index.field_names import field_name_problem, parse_field_name
from twopass.index.filters import (
    Bound,
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    Moment,
    OneOf,
    Scalar,
    StartsWith,
    Test,
)
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_count, check_text
from twopass.server.servicers.documents import check_ids
from twopass.v1 import filter_pb2

# SQLite refuses expressions that are nested 1,000 deep, and a chain of ANDs nests at each.
_MAX_CONDITIONS = 256
_MAX_DEPTH = 16
# Most values and ids of one condition, then of all conditions together. filter.proto names these
# limits and those below.
_MAX_VALUES = 1_000
_MAX_IDS = 10_000
_MAX_VALUES_AND_IDS = 20_000
# SQLite takes some 0.1 ms to prepare the way to a key through lists, in which it can't be stopped.
_MAX_KEYS = 2_048
_MAX_TEXT_BYTES = 16 * 1024
_MAX_FIELD_BYTES = 512
# Seconds since 1970 at the beginning of the year 1 and at the end of 9999, as in Timestamp.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


def read_filter(message: filter_pb2.Filter) -> Filter:
    """Reads the filter of a request's field `filter`.

    Raises:
        InvalidRequestError: A condition is incomplete or out of range, or there are too many
            conditions, values or ids.
    """
    return _Reader().filter("filter", message, 1)


def check_field(where: str, name: str) -> None:
    """Refuses what is not the name of a metadata field."""
    check_text(where, name, _MAX_FIELD_BYTES)
    if (problem := field_name_problem(name)) is not None:
        raise InvalidRequestError(f"{where}: {problem}")


class _Reader:
    """Reads conditions, and counts them and the values, ids and keys that they name."""

    def __init__(self) -> None:
        self._num_conditions = 0
        self._num_values = 0
        self._num_keys = 0

    def filter(self, where: str, message: filter_pb2.Filter, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise InvalidRequestError(
                f"{where}: filters nested over {_MAX_DEPTH} deep", limit=_MAX_DEPTH
            )
        return Filter(
            must=self._conditions(f"{where}.must", message.must, depth),
            should=self._conditions(f"{where}.should", message.should, depth),
            must_not=self._conditions(f"{where}.must_not", message.must_not, depth),
        )

    def _conditions(self, where: str, messages: Any, depth: int) -> tuple[Condition, ...]:
        self._num_conditions += len(messages)
        if self._num_conditions > _MAX_CONDITIONS:
            raise InvalidRequestError(
                f"{where}: over {_MAX_CONDITIONS} conditions in all; `any_of` tests a field "
                "against many values at once",
                limit=_MAX_CONDITIONS,
            )
        return tuple(
            self._condition(f"{where}[{i}]", message, depth) for i, message in enumerate(messages)
        )

    def _condition(self, where: str, message: filter_pb2.Condition, depth: int) -> Condition:
        match message.WhichOneof("condition"):
            case "field":
                return self._field(f"{where}.field", message.field)
            case "filter":
                return self.filter(f"{where}.filter", message.filter, depth + 1)
            case "ids":
                ids = message.ids.ids
                check_ids(f"{where}.ids.ids", ids, _MAX_IDS)
                self._count(f"{where}.ids.ids", len(ids))
                return IdCondition(tuple(ids))
        raise InvalidRequestError(f"{where}: empty; field, filter or ids is needed")

    def _field(self, where: str, message: filter_pb2.FieldCondition) -> FieldCondition:
        check_field(f"{where}.field", message.field)
        self._num_keys += len(parse_field_name(message.field))
        if self._num_keys > _MAX_KEYS:
            raise InvalidRequestError(
                f"{where}.field: over {_MAX_KEYS:,} keys in the dotted names of all conditions; "
                "mark the documents by a field of their metadata, and test that",
                limit=_MAX_KEYS,
            )
        return FieldCondition(message.field, self._test(where, message))

    def _test(self, where: str, message: filter_pb2.FieldCondition) -> Test:
        match message.WhichOneof("test"):
            case "equal_to":
                return OneOf((_read_scalar(f"{where}.equal_to", message.equal_to),))
            case "any_of":
                return self._one_of(f"{where}.any_of", message.any_of.values, _read_scalar)
            case "equal_to_literal":
                return OneOf(
                    (_read_literal(f"{where}.equal_to_literal", message.equal_to_literal),)
                )
            case "any_of_literals":
                values = message.any_of_literals.values
                return self._one_of(f"{where}.any_of_literals.values", values, _read_literal)
            case "interval":
                return _read_interval(f"{where}.interval", message.interval)
            case "range":
                return _read_range(f"{where}.range", message.range)
            case "exists":
                return Exists() if message.exists else IsMissing()
            case "prefix":
                _check_size(f"{where}.prefix", message.prefix)
                return StartsWith(message.prefix)
        raise InvalidRequestError(
            f"{where}: no test of {message.field!r}; equal_to, any_of, range, exists, "
            "prefix, equal_to_literal, any_of_literals or interval is needed"
        )

    def _one_of(self, where: str, values: Any, read: Callable[[str, Any], Scalar]) -> OneOf:
        check_count(where, len(values), _MAX_VALUES, "use several conditions")
        self._count(where, len(values))
        return OneOf(tuple(read(f"{where}[{i}]", value) for i, value in enumerate(values)))

    def _count(self, where: str, num_values: int) -> None:
        self._num_values += num_values
        if self._num_values > _MAX_VALUES_AND_IDS:
            raise InvalidRequestError(
                f"{where}: over {_MAX_VALUES_AND_IDS:,} values and ids in all conditions; mark the "
                "documents by a field of their metadata, and test that",
                limit=_MAX_VALUES_AND_IDS,
            )


def _read_scalar(where: str, message: Value) -> Scalar:
    match message.WhichOneof("kind"):
        case "null_value":
            return None
        case "bool_value":
            return message.bool_value
        case "string_value":
            _check_size(where, message.string_value)
            return message.string_value
        case "number_value":
            _check_finite(where, message.number_value)
            return message.number_value
        case None:
            raise InvalidRequestError(f"{where}: no value in it")
        case kind:
            raise InvalidRequestError(
                f"{where}: a {kind.removesuffix('_value')} given; text, a number, true, false or "
                "null is needed",
                value=kind.removesuffix("_value"),
            )


def _read_literal(where: str, message: filter_pb2.Literal) -> Scalar:
    match message.WhichOneof("literal"):
        case "integer":
            return message.integer
        case "number":
            _check_finite(f"{where}.number", message.number)
            return message.number
        case "text":
            _check_size(f"{where}.text", message.text)
            return message.text
        case "boolean":
            return message.boolean
        case "time":
            return _read_time(f"{where}.time", message.time)
        case "null":
            return None
    raise InvalidRequestError(
        f"{where}: no value in it; integer, number, text, boolean, null or time is needed"
    )


def _read_time(where: str, message: Timestamp) -> Moment:
    if not _FIRST_SECOND <= message.seconds <= _LAST_SECOND:
        raise InvalidRequestError(
            f"{where}.seconds: {message.seconds:,} given, at least {_FIRST_SECOND:,} and at most "
            f"{_LAST_SECOND:,} are needed, from the year 1 to 9999",
            limit=_LAST_SECOND,
            value=message.seconds,
        )
    if not 0 <= message.nanos < 1_000_000_000:
        raise InvalidRequestError(
            f"{where}.nanos: {message.nanos:,} given, 0 to 999,999,999 are needed",
            limit=999_999_999,
            value=message.nanos,
        )
    return Moment(message.seconds, message.nanos)


def _check_finite(where: str, number: float) -> None:
    if not math.isfinite(number):
        raise InvalidRequestError(
            f"{where}: {number:g} given, but metadata's numbers are finite", value=number
        )


def _check_size(where: str, text: str) -> None:
    # No character takes more than 4 bytes: most texts need not be encoded to be measured.
    if len(text) * 4 > _MAX_TEXT_BYTES and (size := len(text.encode())) > _MAX_TEXT_BYTES:
        raise InvalidRequestError(
            f"{where}: {size:,} bytes of UTF-8 given, at most {_MAX_TEXT_BYTES:,}; of a longer "
            "text, test a prefix",
            limit=_MAX_TEXT_BYTES,
            value=size,
        )


def _read_range(where: str, message: filter_pb2.Range) -> InRange:
    given: dict[str, float] = {field.name: bound for field, bound in message.ListFields()}
    _check_bounds(where, given)
    return InRange(**given)


def _read_interval(where: str, message: filter_pb2.Interval) -> InRange:
    given: dict[str, Bound] = {}
    for field, bound in message.ListFields():
        given[field.name] = _read_bound(f"{where}.{field.name}", bound)
    _check_bounds(where, given)
    kinds = {name: _kind(bound) for name, bound in given.items()}
    (first, kind), *others = kinds.items()
    for name, other in others:
        if other != kind:
            raise InvalidRequestError(
                f"{where}: {first} is a {kind} and {name} a {other}; an interval's bounds are of "
                "one kind, use two conditions for two kinds"
            )
    return InRange(**given)


def _read_bound(where: str, message: filter_pb2.Literal) -> Bound:
    match message.WhichOneof("literal"):
        case "number":  # it may be infinite
            if math.isnan(message.number):
                raise InvalidRequestError(f"{where}.number: NaN given, a number is needed")
            return message.number
        case "boolean" | "null" as kind:
            raise InvalidRequestError(
                f"{where}.{kind}: given as a bound; integer, number, text or time is needed, test "
                "true, false and null for equality"
            )
    bound = _read_literal(where, message)
    assert bound is not None  # it has a kind, or would have been refused
    return bound


def _kind(bound: Bound) -> str:
    match bound:
        case str():
            return "text"
        case Moment():
            return "time"
    return "number"


def _check_bounds(where: str, given: Mapping[str, Bound]) -> None:
    if not given:
        raise InvalidRequestError(f"{where}: no bound; gt, gte, lt or lte is needed")
    for name, bound in given.items():
        if isinstance(bound, float) and math.isnan(bound):
            raise InvalidRequestError(f"{where}.{name}: NaN given, a number is needed")
