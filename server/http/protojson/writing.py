"""JSON of messages, by the rules of proto JSON.

Integers of 64 bits are texts, a float has the fewest digits that tell it from others, and enums are
names. Connect's clients expect lowerCamelCase and nothing that is unset. They can't read an answer
at all that has an `Any` of a type unknown to them: details of errors inside messages, as of one
search of a batch, are left out there. REST answers have the fields' own names, which the
documentation and every error use, and all of them: fields that can be unset are left out where they
are, others are there with their defaults.
"""

import math
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

_Write = Callable[[Any], Any]

_FLOAT_BYTES = 4
# Whole numbers up to here are written without a fraction.
_LARGEST_EXACT = 2**53
_NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


class MessageWriter:
    """Writes the messages of one type."""

    def __init__(self, descriptor: Descriptor, *, whole: bool) -> None:
        """Prepares to write.

        Args:
            descriptor: The type of the messages.
            whole: Whether answers have the fields' own names and all fields, as in REST.
        """
        self._write = _fields(descriptor, whole).write

    def write(self, message: Message) -> bytes:
        """The message as a JSON object."""
        return orjson.dumps(self._write(message), option=orjson.OPT_SERIALIZE_NUMPY)


@dataclass(slots=True, frozen=True)
class _Field:
    """How one field is written.

    Attributes:
        name: Its name in the message.
        key: Its name in JSON.
        write: Makes a JSON value of its value; None where that is the value itself.
        is_optional: Whether it can be unset.
    """

    name: str
    key: str
    write: _Write | None
    is_optional: bool


class _Fields:
    """The fields of a type of messages."""

    def __init__(self, descriptor: Descriptor, whole: bool) -> None:
        fields = [
            _Field(
                name=field.name,
                key=field.name if whole else field.json_name,
                write=_writer(field, whole),
                is_optional=field.has_presence,
            )
            for field in descriptor.fields
        ]
        self._fields = fields
        self._by_number = {
            field.number: written
            for field, written in zip(descriptor.fields, fields, strict=True)
            if not _is_any(field)
        }
        self._whole = whole

    def write(self, message: Any) -> dict[str, Any]:
        """A message as what orjson writes."""
        written: dict[str, Any] = {}
        if self._whole:
            for field in self._fields:
                if not field.is_optional or message.HasField(field.name):
                    value = getattr(message, field.name)
                    written[field.key] = value if field.write is None else field.write(value)
            return written
        for descriptor, value in message.ListFields():
            known = self._by_number.get(descriptor.number)
            if known is not None:
                written[known.key] = value if known.write is None else known.write(value)
        return written


@cache
def _fields(descriptor: Descriptor, whole: bool) -> _Fields:
    return _Fields(descriptor, whole)


def _writer(field: FieldDescriptor, whole: bool) -> _Write | None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map_writer(_writer(field.message_type.fields_by_name["value"], whole))
    write = _value_writer(field, whole)
    if not field.is_repeated:
        return write
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return _floats
    if write is None:
        return list
    return lambda values: [write(value) for value in values]


def _is_any(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.full_name == "google.protobuf.Any"


def _map_writer(write: _Write | None) -> _Write:
    if write is None:
        return dict
    return lambda entries: {key: write(value) for key, value in entries.items()}


def _value_writer(field: FieldDescriptor, whole: bool) -> _Write | None:
    kind = field.cpp_type
    if field.message_type is not None:
        return _message_writer(field.message_type, whole)
    if field.enum_type is not None:
        if field.enum_type.full_name == "google.protobuf.NullValue":
            return _null
        names = {value.number: value.name for value in field.enum_type.values}
        return lambda number: names.get(number, number)
    if kind in {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}:
        return str
    if kind == FieldDescriptor.CPPTYPE_FLOAT:
        return _float
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return _double
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda content: b64encode(content).decode()
    return None


def _message_writer(descriptor: Descriptor, whole: bool) -> _Write:
    if (known := _WELL_KNOWN.get(descriptor.full_name)) is not None:
        return known
    if descriptor.file.package == "google.protobuf":
        return MessageToDict
    if [field.cpp_type for field in descriptor.fields if field.is_repeated] == [
        FieldDescriptor.CPPTYPE_FLOAT
    ] and len(descriptor.fields) == 1:
        return _vector_writer(descriptor.fields[0], whole)
    # Found when it is needed: types may contain themselves.
    return lambda message: _fields(descriptor, whole).write(message)


def _vector_writer(field: FieldDescriptor, whole: bool) -> _Write:
    """A message of packed floats alone: its bytes on the wire end with those of the array."""
    name = field.name

    def write(message: Any) -> dict[str, Any]:
        count = len(getattr(message, name))
        if not count:
            return {name: []} if whole else {}
        content = message.SerializeToString()
        return {name: _listed(np.frombuffer(content[len(content) - _FLOAT_BYTES * count :], "<f4"))}

    return write


def _floats(values: Any) -> Any:
    return _listed(np.fromiter(values, np.float32, len(values)))


def _listed(values: Any) -> Any:
    """An array as orjson writes it; JSON has no numbers for what is not finite."""
    return values if np.isfinite(values).all() else [_float(float(value)) for value in values]


def _float(value: float) -> Any:
    return np.float32(value) if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")


def _double(value: float) -> Any:
    return value if math.isfinite(value) else _NOT_FINITE.get(value, "NaN")


def _null(value: int) -> None:
    del value


def _text_form(message: Any) -> str:
    text: str = message.ToJsonString()
    return text


def _struct(message: Any) -> dict[str, Any]:
    return {key: _value(value) for key, value in message.fields.items()}


def _list(message: Any) -> list[Any]:
    return [_value(value) for value in message.values]


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if number.is_integer() and abs(number) <= _LARGEST_EXACT:
            return int(number) if number or math.copysign(1, number) > 0 else number
        return _double(number)
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return _list(value.list_value)
    return None


_WELL_KNOWN: dict[str, _Write] = {
    "google.protobuf.Struct": _struct,
    "google.protobuf.Value": _value,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Duration": _text_form,
    "google.protobuf.Timestamp": _text_form,
}
