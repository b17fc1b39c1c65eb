"""Single values between Python and the contract's messages.

What a message can't carry is refused here, before anything is sent, with the field's name.
"""

import operator
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.client.errors import InvalidArgumentError
from twopass.v1.document_pb2 import Vector

_NANOS = 1_000_000_000
# The tag of Vector.values, a field of packed floats; see document.proto.
_VALUES_TAG = b"\x0a"


def text(value: str, field: str) -> str:
    """The text itself, if UTF-8 can carry it.

    Raises:
        InvalidArgumentError: The text holds a lone surrogate.
        TypeError: The value is not a str.
    """
    if not isinstance(value, str):
        raise TypeError(f"{field}: a str is needed, {type(value).__name__} given")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            surrogate = ord(value[error.start])
            raise InvalidArgumentError(
                f"{field}: holds a lone surrogate, U+{surrogate:04X} at character {error.start}, "
                "which UTF-8 can't carry",
                metadata={"field": field},
            ) from None
    return value


def texts(values: Iterable[str], field: str) -> list[str]:
    """The texts themselves, if UTF-8 can carry them; a single str is refused."""
    refuse_single(values, field, str)
    return [text(value, f"{field}[{index}]") for index, value in enumerate(values)]


def refuse_single(values: object, field: str, *single: type) -> None:
    """Refuses a single item where several are meant, even one that can be iterated, such as a str.

    Raises:
        TypeError: `values` is of one of the types in `single`.
    """
    if isinstance(values, (*single, bytes)):
        raise TypeError(
            f"{field}: several are needed, a single {type(values).__name__} given; "
            "put it into a list"
        )


def int32(value: int | None, field: str) -> int:
    """The number itself; None becomes 0, which the contract reads as the default.

    Raises:
        InvalidArgumentError: The number does not fit 32 bits.
        TypeError: The value is not an integer.
    """
    if value is None:
        return 0
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{field}: an int is needed, {type(value).__name__} given") from None
    if not -(2**31) <= number < 2**31:
        raise InvalidArgumentError(
            f"{field}: {shown(number)} given, which does not fit 32 bits", metadata={"field": field}
        )
    return number


def positive(value: int, field: str) -> int:
    """The number itself, if it is 1 or more.

    Raises:
        InvalidArgumentError: The number is below 1.
        TypeError: The value is not an integer.
    """
    number = int32(value, field)
    if number < 1:
        raise InvalidArgumentError(
            f"{field}: {number} given, at least 1 needed", metadata={"field": field}
        )
    return number


def int64(value: Integral, field: str) -> int:
    """The number itself.

    Raises:
        InvalidArgumentError: The number does not fit 64 bits.
    """
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise InvalidArgumentError(
            f"{field}: {shown(number)} given, whole numbers are from -2^63 to 2^63 - 1; give a "
            "larger one as a str",
            metadata={"field": field},
        )
    return number


def shown(number: int) -> str:
    """A whole number for a message; of a very large one its length alone."""
    bits = number.bit_length()
    return f"{number:,}" if bits <= 128 else f"a whole number of {bits:,} bits"


def real(value: float | None, field: str) -> float | None:
    """The number itself; None stays unset.

    Raises:
        As `double`.
    """
    return None if value is None else double(value, field)


def double(value: object, field: str) -> float:
    """The number itself.

    Raises:
        InvalidArgumentError: The number is beyond the range of a double.
        TypeError: The value is not a number.
    """
    if not isinstance(value, Real):
        raise TypeError(f"{field}: a number is needed, {type(value).__name__} given")
    try:
        return float(value)
    except OverflowError:
        raise InvalidArgumentError(
            f"{field}: the number given is beyond the range of a double, 1.8e308",
            metadata={"field": field},
        ) from None


def vector(values: Iterable[float] | None, field: str) -> Vector | None:
    """An embedding from any flat sequence of numbers, such as a NumPy array; None stays unset.

    Raises:
        TypeError: The sequence is nested, or holds something other than numbers.
    """
    if values is None:
        return None
    if (content := _float32_bytes(values)) is not None:
        return Vector.FromString(_VALUES_TAG + _varint(len(content)) + content)
    # An array's `tolist` makes Python floats all at once; iterating it costs five times as much.
    to_list: Callable[[], Any] | None = getattr(values, "tolist", None)
    try:
        return Vector(values=to_list() if to_list else values)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{field}: a flat sequence of numbers is needed ({error})") from error


def _float32_bytes(values: Iterable[float]) -> bytes | None:
    """An array's bytes where they are those of packed floats in a message; None for others.

    Floats made of them and packed again would take ten times as long.
    """
    if isinstance(values, list | tuple) or sys.byteorder != "little":
        return None
    try:
        view = memoryview(values)  # type: ignore[arg-type]  # or it raises
    except (TypeError, ValueError):
        return None
    return view.tobytes() if view.format == "f" and view.ndim == 1 and len(view) else None


def _varint(number: int) -> bytes:
    """A number as a protobuf varint: seven bits a byte, the lowest first."""
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)


def duration(value: float | None, field: str) -> Duration | None:
    """A duration from seconds; None stays unset.

    Raises:
        InvalidArgumentError: The value is not finite, or beyond the 10,000 years of a Duration.
    """
    if value is None:
        return None
    try:
        nanos = round(value * _NANOS)
        whole, rest = divmod(abs(nanos), _NANOS)
        sign = -1 if nanos < 0 else 1
        return Duration(seconds=sign * whole, nanos=sign * rest)
    except (OverflowError, ValueError):
        raise InvalidArgumentError(
            f"{field}: {value} seconds given, no duration", metadata={"field": field}
        ) from None


def seconds(message: Duration) -> float:
    """Seconds of a duration."""
    return message.seconds + message.nanos / _NANOS


def moment(message: Timestamp) -> datetime:
    """A timestamp's date and time, in UTC."""
    return message.ToDatetime(tzinfo=UTC)
