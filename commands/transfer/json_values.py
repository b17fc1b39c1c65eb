"""Which values metadata can hold, and how values are shown in messages."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from twopass.index.documents import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, MAX_METADATA_FIELDS

_LARGEST = 2**63 - 1
_SMALLEST = -(2**63)
# Longest part of a value in a message.
_SHOWN = 40


class MetadataError(Exception):
    """A value can't be metadata; the message begins with its place and says the way out."""


def check_metadata(metadata: Mapping[str, Any]) -> None:
    """Makes sure that a server can keep metadata, but for the last word on its size.

    Raises:
        MetadataError: It holds a value that JSON has not, an integer beyond 64 bits, text that is
            no Unicode, too many fields, is nested too deeply, or is clearly too large.
    """
    num_fields = num_characters = 0
    level: list[tuple[str, Any]] = [("", metadata)]
    for _ in range(MAX_METADATA_DEPTH):
        inner: list[tuple[str, Any]] = []
        for place, part in level:
            if isinstance(part, Mapping):
                num_fields += len(part)
                items = [(_of_key(place, key), value) for key, value in part.items()]
            else:
                items = [(f"{place}[{index}]", value) for index, value in enumerate(part)]
            for where, value in items:
                kind = type(value)
                if kind is dict or kind is list:
                    inner.append((where, value))
                elif kind is not bool and value is not None:
                    _check_scalar(where, value)
                    num_characters += len(value) if kind is str else 1
        if num_characters > MAX_METADATA_BYTES:  # and so more bytes: it may fit no message
            raise MetadataError(
                f"metadata has more than {MAX_METADATA_BYTES:,} bytes as JSON; keep what no filter "
                "asks for elsewhere, or in the text"
            )
        if num_fields > MAX_METADATA_FIELDS:
            raise MetadataError(
                f"metadata has more than {MAX_METADATA_FIELDS:,} fields, those of nested objects "
                "included; keep what no filter asks for as one text"
            )
        if not inner:
            return
        level = inner
    raise MetadataError(
        f"field {re.split(r'[.[]', level[0][0])[0]!r} nests objects and lists deeper than "
        f"{MAX_METADATA_DEPTH} levels; flatten it, or keep it as a text"
    )


def _of_key(place: str, key: object) -> str:
    if not isinstance(key, str):
        raise MetadataError(f"field {place!r} has the key {key!r}, keys are texts")
    if not is_unicode(key):
        raise MetadataError(f"a key of the metadata holds a lone surrogate: {shown(key)}")
    return f"{place}.{key}" if place else key


def _check_scalar(where: str, value: Any) -> None:
    kind = type(value)
    if kind is str:
        if not is_unicode(value):
            raise MetadataError(f"field {where!r} holds half a character, a lone surrogate")
    elif kind is int:
        if not _SMALLEST <= value <= _LARGEST:
            raise MetadataError(
                f"field {where!r} holds {shown(value)}, integers are from -2^63 to 2^63 - 1; "
                "write a larger one as a text, in quotes"
            )
    elif kind is float:
        if not math.isfinite(value):
            raise MetadataError(
                f"field {where!r} holds {value}, JSON's numbers are finite; write null, or leave "
                "it out"
            )
    else:
        raise MetadataError(
            f"field {where!r} holds a {kind.__name__}, which JSON has no word for; write it as a "
            "text"
        )


def is_unicode(text: str) -> bool:
    """Whether UTF-8 can carry a text: it holds no half of a character."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """A value for a message: its kind where it holds others, and its beginning."""
    match value:
        case list() | tuple():
            return f"a list of {len(value):,}"
        case dict():
            return f"an object of {len(value):,}"
        case str() | int() | float() | None:
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return f"a {type(value).__name__}"
