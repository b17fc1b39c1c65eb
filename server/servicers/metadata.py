"""Metadata from and to messages.

Does what `google.protobuf.json_format` does, in a fraction of the time: a message of a thousand
documents holds ten thousand values and more.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from twopass.index.documents import MAX_METADATA_BYTES, MAX_METADATA_DEPTH
from twopass.index.filters import MAX_INTEGER, MIN_INTEGER
from twopass.server.errors import InvalidRequestError

# Metadata takes at most six times as many bytes in a message as in JSON: eleven for a number of one
# digit and its comma. A message of more than eight times the limit is refused before it is read. So
# is JSON, which may spend six bytes on a character, and white space besides.
_GROWTH = 8
# Every whole number up to here is a double, and the only one that this double stands for.
_LARGEST_EXACT = 2**53
_INTEGER_DIGITS = 19
# Most characters of a value's path in an error message.
_LONGEST_PLACE = 200


def read_metadata(where: str, message: Struct) -> dict[str, object]:
    """Reads a document's metadata.

    Numbers are float, as in the message, but for whole numbers up to 2^53: they become int, so that
    they are stored and answered without a fraction.

    Args:
        where: The metadata's path in the request, for error messages.
        message: The metadata.

    Raises:
        InvalidRequestError: A number is not finite, objects and lists are nested too deeply, or the
            message is far larger than stored metadata may be.
    """
    size = message.ByteSize()
    if size > _GROWTH * MAX_METADATA_BYTES:
        raise InvalidRequestError(
            f"{where}: {size:,} bytes given, at most {MAX_METADATA_BYTES:,} as JSON; keep what no "
            "filter asks for elsewhere, or in the text",
            limit=MAX_METADATA_BYTES,
            value=size,
        )
    return _read_object(message, where, MAX_METADATA_DEPTH)


def _read_object(message: Struct, where: str, depth: int) -> dict[str, object]:
    if not depth:
        raise _too_deep(where)
    return {key: _read_value(value, where, key, depth - 1) for key, value in message.fields.items()}


def _read_list(values: Iterable[Value], where: str, depth: int) -> list[object]:
    if not depth:
        raise _too_deep(where)
    return [_read_value(value, where, i, depth - 1) for i, value in enumerate(values)]


def _read_value(value: Value, where: str, key: str | int, depth: int) -> object:
    # The most frequent kinds first.
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        number = value.number_value
        if not math.isfinite(number):
            place = _place(where, key)
            raise InvalidRequestError(
                f"{place}: {number} given, but JSON's numbers are finite; send null or a text",
                field=place,
                value=number,
            )
        if (
            number.is_integer()
            and abs(number) <= _LARGEST_EXACT
            and (
                number or math.copysign(1, number) > 0  # 0 has no sign as an integer
            )
        ):
            return int(number)
        return number
    if kind == "bool_value":
        return value.bool_value
    if kind == "struct_value":
        return _read_object(value.struct_value, _place(where, key), depth)
    if kind == "list_value":
        return _read_list(value.list_value.values, _place(where, key), depth)
    return None  # a null, or a value without any kind


def read_metadata_json(where: str, text: str) -> dict[str, object]:
    """Reads a document's metadata from JSON; its integers are exact.

    Args:
        where: The metadata's path in the request, for error messages.
        text: The metadata.

    Raises:
        InvalidRequestError: The text is no JSON object, larger or deeper than metadata may be, or
            holds an integer beyond 64 bits, a number that no double can hold, or a key twice in
            one object.
    """
    size = len(text.encode())
    if size > _GROWTH * MAX_METADATA_BYTES:
        raise InvalidRequestError(
            f"{where}: {size:,} bytes given, at most {MAX_METADATA_BYTES:,} without white space; "
            "keep what no filter asks for elsewhere, or in the text",
            limit=MAX_METADATA_BYTES,
            value=size,
        )

    def integer(digits: str) -> int:
        if len(digits.lstrip("-")) <= _INTEGER_DIGITS:
            number = int(digits)
            if MIN_INTEGER <= number <= MAX_INTEGER:
                return number
        raise InvalidRequestError(
            f"{where}: the integer {_shortened(digits)} given, at least {MIN_INTEGER} and at most "
            f"{MAX_INTEGER} are needed; send a larger one as a text, or with an exponent",
            limit=MAX_INTEGER,
            value=_shortened(digits),
        )

    def real(digits: str) -> float:
        number = float(digits)
        if math.isfinite(number):
            return number
        raise InvalidRequestError(
            f"{where}: the number {_shortened(digits)} given, which is beyond what a double can "
            "hold; send it as a text",
            value=_shortened(digits),
        )

    def constant(name: str) -> float:
        raise InvalidRequestError(
            f"{where}: {name} given, but JSON's numbers are finite; send null or a text", value=name
        )

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        read = dict(items)
        if len(read) < len(items):
            twice, _ = Counter(key for key, _ in items).most_common(1)[0]
            raise InvalidRequestError(
                f"{where}: the key {_shortened(twice)!r} given twice in one object; leave one out",
                value=_shortened(twice),
            )
        return read

    try:
        metadata = json.loads(
            text,
            parse_int=integer,
            parse_float=real,
            parse_constant=constant,
            object_pairs_hook=pairs,
        )
    except RecursionError:
        raise _too_deep(where) from None
    except json.JSONDecodeError as error:
        raise InvalidRequestError(f"{where}: not JSON: {error}; a JSON object is needed") from None
    if not isinstance(metadata, dict):
        raise InvalidRequestError(
            f"{where}: {_json_type(metadata)} given, an object is needed",
            value=_json_type(metadata),
        )
    return metadata


def _json_type(value: object) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case str():
            return "a text"
        case list():
            return "a list"
    return "a number"


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}… of {len(text):,} characters"


def _place(where: str, key: str | int) -> str:
    """The path of a value, cut to `_LONGEST_PLACE` characters."""
    place = f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key[:64]}"
    return place if len(place) <= _LONGEST_PLACE else f"{place[:_LONGEST_PLACE]}…"


def _too_deep(where: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"{where}: nested deeper than {MAX_METADATA_DEPTH} objects and lists; flatten it, or keep "
        "it as a text",
        field=where,
        limit=MAX_METADATA_DEPTH,
    )


def write_metadata(metadata: Mapping[str, Any], message: Struct) -> None:
    """Fills in a message from a JSON object. An empty object counts as set."""
    message.SetInParent()
    fields = message.fields
    for key, value in metadata.items():
        write_value(value, fields[key])


def write_value(value: Any, message: Value) -> None:
    """Fills in a message from any value of a JSON object."""
    kind = type(value)
    if kind is str:
        message.string_value = value
    elif kind is float or kind is int:
        message.number_value = value
    elif kind is bool:
        message.bool_value = value
    elif value is None:
        message.null_value = NULL_VALUE
    elif kind is dict:
        write_metadata(value, message.struct_value)
    else:
        items = message.list_value
        items.SetInParent()
        for item in value:
            write_value(item, items.values.add())
