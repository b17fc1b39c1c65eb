"""Types of protobuf with a form of their own in JSON: objects of any kind, times, durations."""

from decimal import Decimal
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import ParseDict, ParseError

from twopass.server.http.protojson.misreading import (
    SHOWN,
    Fill,
    MisreadError,
    Reading,
    as_list,
    check_depth,
    check_object,
    num_keys,
    shown,
    surrogate,
)
from twopass.server.http.protojson.scalars import finite, read_number, read_text

# A Struct holds entries that hold values, a ListValue holds values.
_OBJECT_LEVELS = 3
_LIST_LEVELS = 2
_LONGEST_TOLD = 200


def _fill_struct(message: Any, value: Any, reading: Reading, depth: int) -> None:
    if not isinstance(value, dict):
        raise MisreadError(f"{shown(value)} given, an object is needed")
    check_object(value, depth)
    reading.num_keys += len(value)
    message.SetInParent()
    fields = message.fields
    for key, item in value.items():
        try:
            _fill_value(fields[key], item, reading, depth - _OBJECT_LEVELS + 1)
        except MisreadError as misread:
            raise misread.within(key[:SHOWN]) from None
        except UnicodeEncodeError:
            raise surrogate() from None


def _fill_list(message: Any, value: Any, reading: Reading, depth: int) -> None:
    check_depth(depth)
    message.SetInParent()
    add = message.values.add
    for i, item in enumerate(as_list(value)):
        try:
            _fill_value(add(), item, reading, depth - _LIST_LEVELS + 1)
        except MisreadError as misread:
            raise misread.within(i) from None


def _fill_value(message: Any, value: Any, reading: Reading, depth: int) -> None:
    kind = type(value)
    if kind is str:
        try:
            message.string_value = value
        except UnicodeEncodeError:
            raise surrogate() from None
    elif kind is float:
        message.number_value = finite(value, value)
    elif kind is bool:
        message.bool_value = value
    elif value is None:
        message.null_value = 0
    elif kind is int:
        message.number_value = _exact_double(value)
    elif kind is list:
        _fill_list(message.list_value, value, reading, depth - 1)
    elif isinstance(value, dict):
        _fill_struct(message.struct_value, value, reading, depth - 1)
    else:
        read_number(value)


def _exact_double(value: int) -> float:
    """A whole number as a double; one that would change on its way is refused."""
    number = read_number(value)
    # JavaScript writes doubles beyond 2^53 with the fewest digits that tell them from others.
    if abs(value) > 2**53 and int(number) != value and int(Decimal(repr(number))) != value:
        raise MisreadError(
            f"{value} given, which no double can hold exactly; send it as a text, or in the "
            "field's form in JSON (metadata_json, merge_json, replace_json, a Literal's integer)"
        )
    return number


def _fill_timestamp(message: Any, value: Any, reading: Reading, depth: int) -> None:
    _from_text(message, value, 'a time such as "2026-01-31T23:59:59Z"')


def _fill_duration(message: Any, value: Any, reading: Reading, depth: int) -> None:
    _from_text(message, value, 'a duration in seconds such as "1.5s"')


def _from_text(message: Any, value: Any, needed: str) -> None:
    try:
        message.FromJsonString(read_text(value))
    except (ValueError, OverflowError, MisreadError):
        raise MisreadError(f"{shown(value)} given, {needed} is needed") from None
    message.SetInParent()


def fill_other(message: Any, value: Any, reading: Reading, depth: int) -> None:
    """Types of protobuf that no request has, such as Any."""
    reading.num_keys += num_keys(value)
    try:
        ParseDict(value, message)
    except (ParseError, TypeError, ValueError, AttributeError) as error:
        raise MisreadError(str(error)[:_LONGEST_TOLD]) from None


WELL_KNOWN: dict[str, Fill] = {
    "google.protobuf.Struct": _fill_struct,
    "google.protobuf.Value": _fill_value,
    "google.protobuf.ListValue": _fill_list,
    "google.protobuf.Timestamp": _fill_timestamp,
    "google.protobuf.Duration": _fill_duration,
}


def takes_null(field: FieldDescriptor) -> bool:
    """Whether null is a value of a field, and does not leave it unset."""
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in {
        "google.protobuf.Value",
        "google.protobuf.NullValue",
    }
