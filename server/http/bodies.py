"""Bodies: bounded, read from JSON into structures of a dialect, and written."""

from typing import Any, TypeVar

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.half_characters import with_whole_characters
from twopass.server.http.statuses import HttpError

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""Writes structures, dictionaries, lists and plain values as JSON."""


# JSON is read in one go, which takes as long as it has values rather than bytes: 8 MiB of the
# shortest texts take ten times as long as of long ones. No request needs more values than these;
# commas part them, and texts have one in a hundred characters. Protobuf's bytes are commas by
# chance, one in 256.
_MAX_COMMAS = 250_000
_BYTES_PER_FURTHER_COMMA = 64


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
        if (mended := with_whole_characters(body)) == body:
            raise
        return msgspec.json.decode(mended, type=kind)


def too_long(num_bytes: int, max_bytes: int, name: str = "body") -> HttpError:
    """The error of a body that is too long."""
    return HttpError(
        413,
        f"{name}: {num_bytes:,} bytes given, at most {max_bytes:,} are read (max_http_body_bytes); "
        "send less at a time",
    )


def check_commas(content: bytes, name: str) -> None:
    """Refuses what has too many values to be read in one go.

    Args:
        content: A body, or a message in a URL.
        name: What the error calls it.

    Raises:
        HttpError: It has more commas than any request.
    """
    most = _MAX_COMMAS + len(content) // _BYTES_PER_FURTHER_COMMA
    if len(content) > most and (num_commas := content.count(b",")) > most:
        raise HttpError(
            413,
            f"{name}: {num_commas:,} commas in {len(content):,} bytes, at most {most:,}; it has "
            "too many values: send fewer at a time",
        )


def _told(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with the place first: "documents[2]: Expected `str`, got `int`"."""
    what, _, place = str(error).partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    return f"{place or 'body'}: {what}"
