"""Metadata between Python and the contract's messages, as JSON in both directions.

A message's `Struct` has no numbers but doubles and no order of keys. JSON has both: every 64-bit
integer, 1 beside 1.0, and the keys' order come back as they went.
"""

import json
import math
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

from twopass.client._values import double, int64, text
from twopass.client.errors import InvalidArgumentError
from twopass.v1.document_pb2 import Document
from twopass.v1.search_pb2 import SearchHit

LARGEST_EXACT = 2**53
"""Every whole number up to here is a double, and the only one that this double stands for."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def metadata_json(metadata: Mapping[str, Any], field: str) -> str:
    """Metadata as the JSON that a message carries.

    Args:
        metadata: The metadata.
        field: What errors call it.

    Raises:
        InvalidArgumentError: The metadata holds an integer beyond 64 bits, a number that is not
            finite, a lone surrogate, or is nested deeper than Python follows.
        TypeError: The metadata holds a value of a type that JSON does not have.
    """
    try:
        return _ENCODER.encode(_object(metadata, field))
    except RecursionError:
        raise InvalidArgumentError(
            f"{field}: nested too deeply; flatten it, or keep what is inside as a text",
            metadata={"field": field},
        ) from None


def read_metadata(message: Document | SearchHit) -> dict[str, Any]:
    """Metadata of an answer as Python values."""
    if message.metadata_json:
        read: dict[str, Any] = json.loads(message.metadata_json)
        return read
    return mapping(message.metadata)


def _plain(value: object, field: str) -> Any:
    """A value of metadata as `json` knows it."""
    kind = type(value)
    if kind is bool or value is None:
        return value
    if kind is str:
        return text(value, field)  # type: ignore[arg-type]  # which `kind` says
    match value:
        case str():
            return text(value, field)
        case Integral():
            return int64(value, field)
        case Real():
            number = double(value, field)
            if not math.isfinite(number):
                raise InvalidArgumentError(
                    f"{field}: {number} given, JSON's numbers are finite", metadata={"field": field}
                )
            return number
        case Mapping():
            return _object(value, field)
        case list() | tuple():
            return [_plain(item, f"{field}[{index}]") for index, item in enumerate(value)]
    raise TypeError(
        f"{field}: None, bool, a number, str, list or mapping is needed, "
        f"{type(value).__name__} given"
    )


def _object(value: Mapping[str, Any], field: str) -> dict[str, Any]:
    return {
        text(key, f"a key of {field}"): _plain(item, f"{field}.{key}")
        for key, item in value.items()
    }


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


def _number(given: float) -> int | float:
    return int(given) if given.is_integer() and abs(given) <= LARGEST_EXACT else given
