"""Metadata between Python and the contract's messages.

A message's `Struct` has no numbers but doubles. Metadata with a whole number beyond 2^53 goes as
JSON instead, and answers are asked for as JSON, so that every 64-bit integer comes back as it went.
"""

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

from twopass.client._values import double, int64, text
from twopass.client.errors import InvalidArgumentError
from twopass.v1.document_pb2 import Document
from twopass.v1.search_pb2 import SearchHit

LARGEST_EXACT = 2**53
"""Every whole number up to here is a double, and the only one that this double stands for."""


def metadata_field(metadata: Mapping[str, Any], field: str, name: str) -> dict[str, Any]:
    """The field of a message that carries metadata: `name`, or `name` with "_json" behind it.

    Args:
        metadata: The metadata.
        field: What errors call it.
        name: The field for a `Struct`.

    Raises:
        InvalidArgumentError: The metadata holds an integer beyond 64 bits, a lone surrogate, or, if
            it has to go as JSON, a number that is not finite.
        TypeError: The metadata holds a value of a type that JSON does not have.
    """
    try:
        return {name: struct(metadata, field)}
    except _LargeIntegerError:
        plain = _plain(metadata, field)
        return {f"{name}_json": json.dumps(plain, ensure_ascii=False, separators=(",", ":"))}


def read_metadata(message: Document | SearchHit) -> dict[str, Any]:
    """Metadata of an answer as Python values; whole numbers are int."""
    if message.metadata_json:
        read: dict[str, Any] = json.loads(message.metadata_json, parse_float=_number)
        return read
    return mapping(message.metadata)


class _LargeIntegerError(Exception):
    """Metadata holds a whole number that no double stands for."""


def struct(metadata: Mapping[str, Any], field: str) -> Struct:
    """Metadata as a message; see `metadata_field` for what it refuses."""
    return Struct(
        fields={
            text(key, f"a key of {field}"): _value(value, f"{field}.{key}")
            for key, value in metadata.items()
        }
    )


def _value(value: object, field: str) -> Value:
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case str():
            return Value(string_value=text(value, field))
        case Integral() if abs(int(value)) > LARGEST_EXACT:
            raise _LargeIntegerError
        case Real():
            return Value(number_value=double(value, field))
        case Mapping():
            return Value(struct_value=struct(value, field))
        case list() | tuple():
            items = [_value(item, f"{field}[{index}]") for index, item in enumerate(value)]
            return Value(list_value=ListValue(values=items))
    raise _not_json(value, field)


def _plain(value: object, field: str) -> Any:
    """A value of metadata as `json` knows it."""
    match value:
        case None | bool():
            return value
        case str():
            return text(value, field)
        case Integral():
            return int64(value, field)
        case Real():
            number = float(value)
            if not math.isfinite(number):
                raise InvalidArgumentError(
                    f"{field}: {number} given, JSON's numbers are finite", metadata={"field": field}
                )
            return number
        case Mapping():
            return {
                text(key, f"a key of {field}"): _plain(item, f"{field}.{key}")
                for key, item in value.items()
            }
        case list() | tuple():
            return [_plain(item, f"{field}[{index}]") for index, item in enumerate(value)]
    raise _not_json(value, field)


def _not_json(value: object, field: str) -> TypeError:
    return TypeError(
        f"{field}: None, bool, a number, str, list or mapping is needed, "
        f"{type(value).__name__} given"
    )


def mapping(message: Struct) -> dict[str, Any]:
    """Metadata as Python values. Its numbers are doubles; whole numbers come back as int."""
    return {key: _python(value) for key, value in message.fields.items()}


def _python(value: Value) -> Any:
    match value.WhichOneof("kind"):
        case "bool_value":
            return value.bool_value
        case "string_value":
            return value.string_value
        case "number_value":
            return _number(value.number_value)
        case "struct_value":
            return mapping(value.struct_value)
        case "list_value":
            return [_python(item) for item in value.list_value.values]
    return None


def _number(given: str | float) -> int | float:
    number = float(given)
    return int(number) if number.is_integer() and abs(number) <= LARGEST_EXACT else number
