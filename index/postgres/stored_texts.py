"""Texts and JSON as PostgreSQL can hold them, and back.

PostgreSQL has no text with a NUL, and reads numbers of `jsonb` as decimal fractions. So U+0000 is
stored as U+0001 U+0001, and U+0001 as U+0001 U+0002: the order by code points, prefixes and
equality stay what they were. Every other text is stored as it is. A float that is whole and large
is written with all its digits, so that it is the number that it was, and comes back as a float.
"""

import json
import re
from typing import Any

_ESCAPED = re.compile("\x01[\x01\x02]")
# What a JSON text of ours may hold that `jsonb` would not give back: U+0000 and U+0001, which JSON
# escapes, and floats from 1e16 on, which Python writes with an exponent.
_NOT_AS_IT_IS = re.compile(r"\\u000[01]|[0-9]e\+")
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?e\+[0-9]+', re.DOTALL)
_ESCAPES = re.compile(r"\\(?:u[0-9a-fA-F]{4}|.)", re.DOTALL)
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
# Above it not every whole number is a float.
_LARGE = 2.0**53


def stored(text: str) -> str:
    """A text as it is stored."""
    if "\0" in text or "\x01" in text:
        return text.replace("\x01", "\x01\x02").replace("\0", "\x01\x01")
    return text


def restored(text: str) -> str:
    """The text of what `stored` returned."""
    if "\x01" not in text:
        return text
    return _ESCAPED.sub(lambda found: "\0" if found[0] == "\x01\x01" else "\x01", text)


def stored_json(text: str) -> str:
    """JSON, as `json` writes it without escaping more than it must, as it is stored."""
    if not _NOT_AS_IT_IS.search(text):
        return text
    return _PARTS.sub(lambda part: _stored_part(part[0]), text)


def restored_object(text: str) -> dict[str, Any]:
    """The object of JSON that `stored_json` returned, and that went through `jsonb`."""
    found: dict[str, Any] = json.loads(text)
    return _restored_value(found) if "\\u0001" in text else found


def restored_json(text: str) -> str:
    """The JSON text without spaces of what `stored_json` returned, and that went through `jsonb`.

    Keys are in the order in which `jsonb` keeps them.
    """
    return _JSON.encode(restored_object(text))


def stored_number(number: int | float) -> str:
    """A finite number, in digits that stand for it exactly wherever others of its size do."""
    if isinstance(number, float) and abs(number) >= _LARGE:
        return f"{number:.1f}"
    return repr(number)


def _stored_part(part: str) -> str:
    if part[0] != '"':
        return stored_number(float(part))
    return _ESCAPES.sub(_stored_escape, part)


def _stored_escape(escape: "re.Match[str]") -> str:
    match escape[0]:
        case "\\u0000":
            return "\\u0001\\u0001"
        case "\\u0001":
            return "\\u0001\\u0002"
        case other:
            return other


def _restored_value(value: Any) -> Any:
    match value:
        case str():
            return restored(value)
        case list():
            return [_restored_value(one) for one in value]
        case dict():
            return {restored(name): _restored_value(one) for name, one in value.items()}
    return value
