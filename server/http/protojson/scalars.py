"""Scalars from JSON: texts, numbers, names of enums."""

import difflib
import math
import re
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from twopass.server.http.protojson.misreading import MisreadError, NoNumber, shown

FLOAT_OVERFLOW = float.fromhex("0x1.ffffffp+127")
"""From here on a double becomes infinite as a float: half a step beyond the greatest float."""

_INTEGER = re.compile(r"-?[0-9]{1,20}")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NAMED_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def scalar_reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    """The function that reads the values of a field, or of a repeated field its elements."""
    kind = field.cpp_type
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return read_text
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return _boolean
    if field.enum_type is not None:
        return _enum_reader(field.enum_type)
    if kind == FieldDescriptor.CPPTYPE_FLOAT:
        return _float
    if kind == FieldDescriptor.CPPTYPE_DOUBLE:
        return read_number
    return _integer_reader(*_INTEGERS[kind])


def read_text(value: Any) -> str:
    """Reads a text."""
    if not isinstance(value, str):
        raise MisreadError(f"{shown(value)} given, a text is needed")
    return value


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            padded = value + "=" * (-len(value) % 4)
            return urlsafe_b64decode(padded.translate(str.maketrans("+/", "-_")))
        except (Base64Error, ValueError):
            pass
    raise MisreadError(f"{shown(value)} given, base64 is needed")


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise MisreadError(f"{shown(value)} given, true or false is needed")
    return value


def _integer_reader(least: int, greatest: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        integer = value
        if type(value) is not int:
            # Beyond 64 bits the parser makes a double of an integer, which may be another one.
            is_whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**63
            if not is_whole and not (isinstance(value, str) and _INTEGER.fullmatch(value)):
                raise MisreadError(f"{shown(value)} given, an integer is needed")
            integer = int(value)
        if not least <= integer <= greatest:
            raise MisreadError(
                f"{shown(integer)} given, at least {least} and at most {greatest} are needed"
            )
        return int(integer)

    return read


def read_number(value: Any) -> float:
    """Reads a double: a number, or a text of one."""
    if isinstance(value, str):
        if value in _NAMED_NUMBERS:
            return _NAMED_NUMBERS[value]
        if _NUMBER.fullmatch(value):
            return finite(value, float(value))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return finite(value, float(value))
        except OverflowError:
            return finite(value, math.inf)
    elif isinstance(value, NoNumber):
        raise MisreadError(f"{value.name} given, which is no JSON; a finite number is needed")
    raise MisreadError(f"{shown(value)} given, a number is needed")


def finite(given: object, number: float) -> float:
    """A number that must be finite, as it was given and as it was read."""
    if not math.isfinite(number):
        raise MisreadError(f"{shown(given)} given, which is beyond what a double can hold")
    return number


def _float(value: Any) -> float:
    number = read_number(value)
    if math.isfinite(number) and abs(number) >= FLOAT_OVERFLOW:
        raise MisreadError(f"{shown(value)} given, which is beyond what a float can hold")
    return number


def _enum_reader(enum: EnumDescriptor) -> Callable[[Any], int]:
    numbers = {value.name: value.number for value in enum.values}
    names = ", ".join(numbers)
    is_null = enum.full_name == "google.protobuf.NullValue"
    read_integer = _integer_reader(*_INTEGERS[FieldDescriptor.CPPTYPE_INT32])

    def read(value: Any) -> int:
        if isinstance(value, str):
            if value in numbers:
                return numbers[value]
            near = difflib.get_close_matches(value.upper(), numbers, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise MisreadError(f"{shown(value)} given; {hint}it is one of {names}")
        if value is None and is_null:
            return 0
        if type(value) is int:
            return read_integer(value)
        raise MisreadError(f"{shown(value)} given, one of {names} is needed")

    return read
