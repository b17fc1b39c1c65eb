"""Bodies in JSON: read into structures with a dialect's names, and written."""

import re
import zlib
from typing import Any, TypeVar

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.statuses import HttpError

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""Writes structures, dictionaries, lists and plain values as JSON."""


# Every escape of a text: a pair of surrogates, which is one character (the first group); half of
# one (the second group); and all others, so that an escaped backslash begins none.
_ESCAPE = re.compile(
    rb"(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    rb"|\\.",
    re.DOTALL,
)
_UNKNOWN_CHARACTER = rb"\ufffd"


class MalformedBodyError(InvalidRequestError):
    """A body is no JSON, or not of the structure that it must have.

    Attributes:
        is_syntax: Whether it is no JSON at all.
    """

    def __init__(self, message: str, *, is_syntax: bool) -> None:
        super().__init__(message)
        self.is_syntax = is_syntax


def decode(body: bytes, kind: type[T] | Any) -> T:
    """Reads a body.

    Half of a character, which is what JavaScript leaves of an emoji where it cuts a text, is read
    as U+FFFD: one such text must not fail hundreds of others.

    Args:
        body: What was sent.
        kind: The structure, or any other type that msgspec decodes.

    Raises:
        MalformedBodyError: Names the place and what stands there.
    """
    try:
        decoded: T = _decoded(body, kind)
    except msgspec.ValidationError as error:
        raise MalformedBodyError(_told(error), is_syntax=False) from None
    except msgspec.DecodeError as error:
        told = str(error) if body else "it is empty, a JSON object is needed"
        raise MalformedBodyError(f"body: {told}", is_syntax=True) from None
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"body: not UTF-8 ({error})", is_syntax=True) from None
    except RecursionError:
        raise MalformedBodyError("body: nested too deep", is_syntax=True) from None
    return decoded


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if (mended := _with_whole_characters(body)) == body:
            raise
        return msgspec.json.decode(mended, type=kind)


def _with_whole_characters(body: bytes) -> bytes:
    """The body with U+FFFD in place of each half of a surrogate pair."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    return _ESCAPE.sub(lambda escape: _UNKNOWN_CHARACTER if escape[2] else escape[0], body)


def too_long(num_bytes: int, max_bytes: int) -> HttpError:
    """The error of a body that is too long."""
    return HttpError(
        413,
        f"body: {num_bytes:,} bytes given, at most {max_bytes:,} are read (max_http_body_bytes); "
        "send less at a time",
    )


def decompressed(body: bytes, max_bytes: int) -> bytes:
    """Undoes gzip, without ever making more than is allowed.

    Raises:
        HttpError: It is not gzip, or too long.
    """
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise HttpError(400, f"body: it is not gzip, as content-encoding says ({error})") from None
    if len(unpacked) > max_bytes:
        raise too_long(len(unpacked), max_bytes)
    if not unpacking.eof:
        raise HttpError(400, "body: gzip, but cut short")
    return unpacked


def _told(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with the place first: "documents[2]: Expected `str`, got `int`"."""
    what, _, place = str(error).partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    return f"{place or 'body'}: {what}"
