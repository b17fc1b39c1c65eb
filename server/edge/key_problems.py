"""What is wrong in a file of API keys: line, key and field, never a key's secret or hash."""

import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

NEEDED = {
    "name": "1 to 64 letters, digits, dots, underscores or hyphens are",
    "sha256": "64 hexadecimal digits, as `twopass keys` writes them, are",
    "role": "one of reader, writer, admin is",
    "collections": 'a list of names or patterns, such as ["docs*"], is',
    "max_calls": "a whole number of at least 0 is",
    "calls_per_second": "a number of at least 0 is",
    "score_cache": "one of shared, own, off is",
}
"""What each field takes, and the verb."""
_EXPECTED = "a file of keys holds tables that begin with [[keys]], as `twopass keys` writes them"
_HASH = "sha256"
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*keys[ \t]*\]\]", re.M)
_LONGEST_VALUE = 80


def key_problems(error: ValidationError, file: Path, text: str, content: Mapping[str, Any]) -> str:
    """What is wrong with each field, a line for each.

    Args:
        error: What validating the content found.
        file: The file of keys.
        text: What is in it.
        content: The same, parsed.
    """
    problems = (
        _problem(each["loc"], each["type"], each["input"], file, text, content)
        for each in error.errors()
    )
    return "\n".join(dict.fromkeys(problems))


def _problem(
    place: Sequence[int | str],
    kind: str,
    value: object,
    file: Path,
    text: str,
    content: Mapping[str, Any],
) -> str:
    if len(place) < 2 or place[0] != "keys":
        return f"keys {file}: {place[0]}: {_EXPECTED}"
    number = int(place[1])
    if len(place) < 3:
        return f"keys {file}: key {number + 1}: {_EXPECTED}"
    field = str(place[2])
    line = _line(text, number, field)
    name = content["keys"][number].get("name") if field != "name" else None
    whose = f"key {name!r}" if name else f"key {number + 1}"
    where = f"keys {file}{f', line {line}' if line else ''}: {whose}: {field}"
    if kind == "extra_forbidden":
        near = difflib.get_close_matches(field, NEEDED, 1)
        meant = f"; {near[0]} may be meant" if near else f"; there are {', '.join(NEEDED)}"
        return f"{where}: there is no such field{meant}"
    if kind == "missing":
        return f"{where}: it is missing; {NEEDED[field]} needed"
    # Whoever mistakes one for the other writes the key itself where its hash belongs.
    shown = "" if field == _HASH else f"{_shown(value)} given; "
    return f"{where}: {shown}{NEEDED[field]} needed"


def _line(text: str, number: int, field: str) -> int:
    """The line of a field in a key's table, else of its beginning; 0 for an inline table."""
    starts = [found.start() for found in _HEADER.finditer(text)]
    if number >= len(starts):
        return 0
    start, end = starts[number], [*starts, len(text)][number + 1]
    found = re.compile(rf"^[ \t]*[\"']?{re.escape(field)}[\"']?[ \t]*[=.]", re.M).search(
        text, start, end
    )
    return text.count("\n", 0, found.start() if found else start) + 1


def _shown(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"
