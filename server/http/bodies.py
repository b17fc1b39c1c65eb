"""Bodies in JSON: read into structures with a dialect's names, and written."""

from typing import Any, TypeVar

import msgspec

from twopass.server.errors import InvalidRequestError

T = TypeVar("T")

encode = msgspec.json.Encoder().encode
"""Writes structures, dictionaries, lists and plain values as JSON."""


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

    Args:
        body: What was sent.
        kind: The structure, or any other type that msgspec decodes.

    Raises:
        MalformedBodyError: Names the place and what stands there.
    """
    try:
        decoded: T = msgspec.json.decode(body, type=kind)
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


def _told(error: msgspec.ValidationError) -> str:
    """The message of msgspec, with the place first: "documents[2]: Expected `str`, got `int`"."""
    what, _, place = str(error).partition(" - at `$")
    place = place.removesuffix("`").removeprefix(".")
    return f"{place or 'body'}: {what}"
