"""Messages from JSON, by the rules of proto JSON.

Does what `google.protobuf.json_format` does, in a fraction of the time, and says of a fault which
field it is in: "candidates[3].text: 5 given, a text is needed". A field that is given twice, which
`json_format` reads as its last value, is a fault too.
"""

import difflib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import MalformedBodyError
from twopass.server.http.protojson.misreading import (
    MAX_DEPTH,
    SHOWN,
    Fill,
    MisreadError,
    NoNumber,
    Reading,
    as_list,
    check_object,
    num_keys,
    object_of,
    shown,
    surrogate,
)
from twopass.server.http.protojson.scalars import FLOAT_OVERFLOW, scalar_reader
from twopass.server.http.protojson.well_known import WELL_KNOWN, fill_other, takes_null

# Most objects and lists of a body: each takes some sixty bytes of memory, and two bytes of JSON
# suffice for one. No list of a request has more than 100,000 elements.
_MAX_CONTAINERS = 250_000
_PIECE_BYTES = 256 * 1024
_NO_BOUNDS = bytes(set(range(256)) - set(b'"{['))

_MAX_NAMES = 12


class MessageReader:
    """Reads the messages of one type."""

    def __init__(self, descriptor: Descriptor, *, ignores_unknown: bool) -> None:
        """Prepares to read.

        Args:
            descriptor: The type of the messages.
            ignores_unknown: Whether fields that the type lacks are passed over, as they must be
                where newer clients send them; else they are faults.
        """
        self._class = message_factory.GetMessageClass(descriptor)
        self._fields = _fields(descriptor)
        self._ignores_unknown = ignores_unknown

    def read(self, body: bytes) -> Message:
        """Reads a message from the text of a JSON object.

        Raises:
            MalformedBodyError: It is no JSON, or no message of this type; names the field.
        """
        _check_containers(body)
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._explained(body)
        reading = Reading(self._ignores_unknown)
        message = self._read(value, reading)
        # Keys that are in the body and were not read stand twice in an object. Other things look
        # like a key too, so that a difference is no more than a reason to look closely.
        if reading.num_keys != body.count(b'":') - body.count(b'\\":'):
            return self._explained(body)
        return message

    def of_value(self, value: object) -> Message:
        """Reads a message from a JSON object that is parsed already; raises what `read` raises."""
        return self._read(value, Reading(self._ignores_unknown))

    def _read(self, value: object, reading: "Reading") -> Message:
        message = self._class()
        try:
            self._fields.fill(message, value, reading, MAX_DEPTH)
        except MisreadError as misread:
            raise MalformedBodyError(misread.told(), is_syntax=False) from None
        except RecursionError:
            raise MalformedBodyError("body: nested too deep", is_syntax=False) from None
        return message

    def _explained(self, body: bytes) -> Message:
        """Reads a body with the parser that says more, and is slower."""
        if not body:
            raise MalformedBodyError(
                "body: it is empty, a JSON object is needed; send {} for all defaults",
                is_syntax=True,
            )
        try:
            value = json.loads(body.decode(), object_pairs_hook=object_of, parse_constant=NoNumber)
        except UnicodeDecodeError as error:
            raise MalformedBodyError(f"body: not UTF-8 ({error})", is_syntax=True) from None
        except RecursionError:
            raise MalformedBodyError("body: nested too deep", is_syntax=True) from None
        except ValueError as error:  # no JSON, or an integer of thousands of digits
            raise MalformedBodyError(f"body: no JSON: {error}", is_syntax=True) from None
        return self.of_value(value)


@dataclass(slots=True, frozen=True)
class _Field:
    """How one field is read.

    Attributes:
        name: Its name in the proto.
        oneof: The name of the group of which only one may be given; "" without one.
        set: Sets it in a message, from a JSON value.
        takes_null: Whether null is a value, and does not stand for an unset field.
    """

    name: str
    oneof: str
    set: Fill
    takes_null: bool


class _Fields:
    """The fields of a type of messages, by the names that they have in JSON."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._type = descriptor.name
        self._names = [field.name for field in descriptor.fields]
        self._fields: dict[str, _Field] = {}
        for field in descriptor.fields:
            oneof = field.containing_oneof
            read = _Field(
                name=field.name,
                oneof=oneof.name if oneof is not None and len(oneof.fields) > 1 else "",
                set=_setter(field),
                takes_null=not field.is_repeated and takes_null(field),
            )
            self._fields[field.name] = self._fields[field.json_name] = read

    def fill(self, message: Any, value: object, reading: Reading, depth: int) -> None:
        """Sets the fields of a message.

        Raises:
            MisreadError: A field is unknown, given twice, or of another type.
        """
        if not isinstance(value, dict):
            raise MisreadError(f"{shown(value)} given, an object is needed")
        check_object(value, depth)
        reading.num_keys += len(value)
        seen: dict[str, str] = {}
        for key, item in value.items():
            field = self._fields.get(key)
            if field is None:
                self._unknown(key, item, reading)
                continue
            if field.name in seen:
                raise MisreadError(f"given twice, as {seen[field.name]} and as {key}").within(
                    field.name
                )
            seen[field.name] = key
            if item is None and not field.takes_null:
                continue
            if field.oneof:
                other = seen.setdefault(f"oneof {field.oneof}", field.name)
                if other != field.name:
                    raise MisreadError(f"given together with {other}; give one").within(field.name)
            try:
                field.set(message, item, reading, depth - 1)
            except MisreadError as misread:
                raise misread.within(field.name) from None

    def _unknown(self, key: str, value: object, reading: Reading) -> None:
        if reading.ignores_unknown:
            reading.num_keys += num_keys(value)
            return
        near = difflib.get_close_matches(key, self._names, n=1)
        names = ", ".join(self._names[:_MAX_NAMES]) or "no fields"
        more = f" and {len(self._names) - _MAX_NAMES} more" if self._names[_MAX_NAMES:] else ""
        hint = f"did you mean {near[0]}?" if near else f"{self._type} has {names}{more}"
        raise MisreadError(f"no such field; {hint}").within(key[:SHOWN])


@cache
def _fields(descriptor: Descriptor) -> _Fields:
    return _Fields(descriptor)


def _setter(field: FieldDescriptor) -> Fill:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map_setter(field)
    if field.message_type is not None:
        return _message_setter(field)
    read = scalar_reader(field)
    name = field.name
    if not field.is_repeated:

        def set_scalar(message: Any, value: Any, reading: Reading, depth: int) -> None:
            try:
                setattr(message, name, read(value))
            except UnicodeEncodeError:
                raise surrogate() from None

        return set_scalar
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return _floats_setter(name, read)

    def set_scalars(message: Any, value: Any, reading: Reading, depth: int) -> None:
        values = getattr(message, name)
        for i, item in enumerate(as_list(value)):
            try:
                values.append(read(item))
            except MisreadError as misread:
                raise misread.within(i) from None
            except UnicodeEncodeError:
                raise surrogate().within(i) from None

    return set_scalars


def _floats_setter(name: str, read: Callable[[Any], Any]) -> Fill:
    """Vectors: one look at all components takes less than one at each."""

    def set_floats(message: Any, value: Any, reading: Reading, depth: int) -> None:
        components = as_list(value)
        are_numbers = set(map(type, components)) <= {float, int}
        if components and are_numbers and max(map(abs, components)) < FLOAT_OVERFLOW:
            getattr(message, name).extend(components)
            return
        values = getattr(message, name)
        for i, component in enumerate(components):
            try:
                values.append(read(component))
            except MisreadError as misread:
                raise misread.within(i) from None

    return set_floats


def _message_setter(field: FieldDescriptor) -> Fill:
    assert field.message_type is not None
    name = field.name
    fill = _filler(field.message_type)
    if not field.is_repeated:

        def set_message(message: Any, value: Any, reading: Reading, depth: int) -> None:
            inner = getattr(message, name)
            inner.SetInParent()
            fill(inner, value, reading, depth)

        return set_message

    def set_messages(message: Any, value: Any, reading: Reading, depth: int) -> None:
        add = getattr(message, name).add
        for i, item in enumerate(as_list(value)):
            try:
                fill(add(), item, reading, depth)
            except MisreadError as misread:
                raise misread.within(i) from None

    return set_messages


def _filler(descriptor: Descriptor) -> Fill:
    if (known := WELL_KNOWN.get(descriptor.full_name)) is not None:
        return known
    if descriptor.file.package == "google.protobuf":
        return fill_other

    def fill(message: Any, value: Any, reading: Reading, depth: int) -> None:
        # Found when it is needed: types may contain themselves.
        _fields(descriptor).fill(message, value, reading, depth)

    return fill


def _map_setter(field: FieldDescriptor) -> Fill:
    """Maps whose keys are texts and whose values are scalars; the contract has no others."""
    assert field.message_type is not None
    name = field.name
    read = scalar_reader(field.message_type.fields_by_name["value"])

    def set_map(message: Any, value: Any, reading: Reading, depth: int) -> None:
        if not isinstance(value, dict):
            raise MisreadError(f"{shown(value)} given, an object is needed")
        check_object(value, depth)
        reading.num_keys += len(value)
        entries = getattr(message, name)
        for key, item in value.items():
            try:
                entries[key] = read(item)
            except MisreadError as misread:
                raise misread.within(key) from None

    return set_map


def _check_containers(body: bytes) -> None:
    """Refuses a body that would take many times its size in memory."""
    if body.count(b"{") + body.count(b"[") <= _MAX_CONTAINERS:
        return
    number = num_containers(body)
    if number > _MAX_CONTAINERS:
        raise InvalidRequestError(
            f"body: {number:,} objects and lists, at most {_MAX_CONTAINERS:,} in one request; send "
            "several smaller ones",
            limit=_MAX_CONTAINERS,
            value=number,
        )


def num_containers(body: bytes, *, piece_bytes: int = _PIECE_BYTES) -> int:
    """How many objects and lists begin in a body; brackets in texts begin none.

    Args:
        body: JSON.
        piece_bytes: It is looked at in pieces of this size, so that other threads get the GIL, and
            little memory is needed beside the body; at least 2.
    """
    number = 0
    is_in_text = False
    start = 0
    while start < len(body):
        piece = body[start : start + piece_bytes].replace(rb"\\", b"")
        start += piece_bytes
        if piece.endswith(b"\\") and start < len(body):
            start -= 1  # it escapes what comes next
        bounds = piece.replace(rb"\"", b"").translate(None, _NO_BOUNDS).split(b'"')
        number += sum(map(len, bounds[is_in_text::2]))
        is_in_text ^= len(bounds) % 2 == 0
    return number
