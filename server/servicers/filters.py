"""Filters from messages."""

import math
from typing import Any

from google.protobuf.struct_pb2 import Value

from twopass.index.filters import (
    Condition,
    Exists,
    FieldCondition,
    Filter,
    IdCondition,
    InRange,
    IsMissing,
    OneOf,
    Scalar,
    StartsWith,
    Test,
)
from twopass.index.schema import field_name_problem
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
_MAX_TEXT_BYTES = 16 * 1024
_MAX_FIELD_BYTES = 512


def read_filter(message: filter_pb2.Filter) -> Filter:
    """Reads the filter of a request's field `filter`.

    Raises:
        InvalidRequestError: A condition is incomplete or out of range, or there are too many
            conditions, values or ids.
    """
    return _Reader().filter("filter", message, 1)


def selects_all(wanted: Filter) -> bool:
    """Whether a filter has no condition at any depth, and so selects every document."""
    conditions = (*wanted.must, *wanted.should, *wanted.must_not)
    return all(isinstance(c, Filter) and selects_all(c) for c in conditions)


class _Reader:
    """Reads conditions, and counts them and the values and ids that they name."""

    def __init__(self) -> None:
        self._num_conditions = 0
        self._num_values = 0

    def filter(self, where: str, message: filter_pb2.Filter, depth: int) -> Filter:
        if depth > _MAX_DEPTH:
            raise InvalidRequestError(f"{where}: filters nested over {_MAX_DEPTH} deep")
        return Filter(
            must=self._conditions(f"{where}.must", message.must, depth),
            should=self._conditions(f"{where}.should", message.should, depth),
            must_not=self._conditions(f"{where}.must_not", message.must_not, depth),
        )

    def _conditions(self, where: str, messages: Any, depth: int) -> tuple[Condition, ...]:
        self._num_conditions += len(messages)
        if self._num_conditions > _MAX_CONDITIONS:
            raise InvalidRequestError(
                f"{where}: over {_MAX_CONDITIONS} conditions in all; `in` tests a field against "
                "many values at once"
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
        check_text(f"{where}.field", message.field, _MAX_FIELD_BYTES)
        if (problem := field_name_problem(message.field)) is not None:
            raise InvalidRequestError(f"{where}.field: {problem}")
        return FieldCondition(message.field, self._test(where, message))

    def _test(self, where: str, message: filter_pb2.FieldCondition) -> Test:
        match message.WhichOneof("test"):
            case "equals":
                return OneOf((_read_scalar(f"{where}.equals", message.equals),))
            case "in":
                where = f"{where}.in"
                values = getattr(message, "in").values
                check_count(where, len(values), _MAX_VALUES, "use several conditions")
                self._count(where, len(values))
                return OneOf(tuple(_read_scalar(f"{where}[{i}]", v) for i, v in enumerate(values)))
            case "range":
                return _read_range(f"{where}.range", message.range)
            case "exists":
                return Exists() if message.exists else IsMissing()
            case "prefix":
                _check_size(f"{where}.prefix", message.prefix)
                return StartsWith(message.prefix)
        raise InvalidRequestError(
            f"{where}: no test of {message.field!r}; equals, in, range, exists or prefix is needed"
        )

    def _count(self, where: str, num_values: int) -> None:
        self._num_values += num_values
        if self._num_values > _MAX_VALUES_AND_IDS:
            raise InvalidRequestError(
                f"{where}: over {_MAX_VALUES_AND_IDS:,} values and ids in all conditions; mark the "
                "documents by a field of their metadata, and test that"
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
        case "number_value" if math.isfinite(message.number_value):
            return message.number_value
        case "number_value":
            raise InvalidRequestError(
                f"{where}: {message.number_value:g} given, but metadata's numbers are finite"
            )
        case None:
            raise InvalidRequestError(f"{where}: no value in it")
        case kind:
            raise InvalidRequestError(
                f"{where}: a {kind.removesuffix('_value')} given; text, a number, true, false or "
                "null is needed"
            )


def _check_size(where: str, text: str) -> None:
    # No character takes more than 4 bytes: most texts need not be encoded to be measured.
    if len(text) * 4 > _MAX_TEXT_BYTES and (size := len(text.encode())) > _MAX_TEXT_BYTES:
        raise InvalidRequestError(
            f"{where}: {size:,} bytes of UTF-8 given, at most {_MAX_TEXT_BYTES:,}; of a longer "
            "text, test a prefix"
        )


def _read_range(where: str, message: filter_pb2.Range) -> InRange:
    given = {field.name: bound for field, bound in message.ListFields()}
    if not given:
        raise InvalidRequestError(f"{where}: no bound; gt, gte, lt or lte is needed")
    for bound, value in given.items():
        if math.isnan(value):
            raise InvalidRequestError(f"{where}.{bound}: NaN given, a number is needed")
    return InRange(**given)
