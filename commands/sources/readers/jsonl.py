"""JSON: one object a line, or as one array, or one object after the other over several lines."""

import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

from twopass.commands.sources.decoding import (
    MAX_DOCUMENT_BYTES,
    byte_lines,
    encoding_of,
    not_decoded,
)
from twopass.commands.sources.opening import Opened, opened
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile
from twopass.server.http.half_characters import with_whole_characters

_KIND = "lines that are not JSON"
_MAX_WHOLE_BYTES = 1024**3
_decode = json.JSONDecoder().raw_decode
_TYPE_NAMES = {list: "array", str: "string", bool: "boolean", type(None): "null"}


class _NotJsonError(Exception):
    """A line holds no object; the message says why."""


def read_jsonl(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the objects of a file; blank lines are none.

    What Python's reader of JSON accepts is accepted: NaN, Infinity, integers of any size; of equal
    keys the last counts. Escapes of halves of characters become U+FFFD.
    """
    with opened(file) as source:
        lines, encoding = byte_lines(source.stream, encoding_of(source.stream, file))
        number = 0
        for line in lines:
            number += 1
            stripped = line.strip()
            if not stripped:
                continue
            if _goes_on(stripped, encoding):
                # Not JSON lines, or its first one is cut: more of the file tells which.
                head = b"".join(chain([line], _up_to(lines, MAX_DOCUMENT_BYTES)))
                if _begins_with_value(head, encoding):
                    rest = _up_to(lines, _MAX_WHOLE_BYTES - len(head))
                    content = b"".join(chain([head], rest))
                    yield from _values(content, encoding, number, file, source)
                    return
                lines = chain(io.BytesIO(head), lines)
            else:
                lines = chain([line], lines)
            break
        else:
            raise EmptyFileError
        yield from _records(lines, encoding, number, file, source)


def _records(
    lines: Iterator[bytes], encoding: str, number: int, file: SourceFile, source: Opened
) -> Iterator[Record | LeftOut]:
    """The objects of lines, of which the first has a number."""
    prefix = f"{file.where}:"
    position = source.position
    for place, line in enumerate(lines, number):
        stripped = line.strip()
        if not stripped:
            continue
        where = f"{prefix}{place}"
        try:
            fields, *more = _objects(stripped, encoding)
        except _NotJsonError as error:
            if len(line) == MAX_DOCUMENT_BYTES and not line.endswith(b"\n"):
                limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MiB"
                reason = f"a line of more than {limit}, too long for one document"
                raise UnreadableError("lines that are too long", reason, where) from error
            yield LeftOut(where=where, kind=_KIND, reason=str(error))
            continue
        yield Record(where=where, fields=fields, num_bytes=position())
        for fields in more:
            yield Record(where=where, fields=fields, num_bytes=position())


def _objects(line: bytes, encoding: str) -> list[dict[str, Any]]:
    """The objects of a line: one, or several where a line feed is missing.

    Raises:
        _NotJsonError: Something in it is no object.
    """
    try:
        if encoding != "utf-8":
            line = line.decode(encoding).encode()
        text = with_whole_characters(line).decode()
        value, end = _decode(text)
        values = [value]
        while end != len(text):
            value, end = _decode(text, _after_blanks(text, end))
            values.append(value)
    except UnicodeDecodeError as error:
        raise _NotJsonError(not_decoded(error, encoding)) from error
    except (ValueError, RecursionError) as error:
        raise _NotJsonError(_problem(error)) from error
    for value in values:
        if not isinstance(value, dict):
            raise _NotJsonError(_no_object(value))
    return values


def _problem(error: ValueError | RecursionError) -> str:
    if isinstance(error, RecursionError):
        return "JSON nested too deeply to be read"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg} at column {error.colno:,})"
    return f"a number that is too long to be read ({error})"  # of more than 4,300 digits


def _no_object(value: Any) -> str:
    return f"a JSON {_TYPE_NAMES.get(type(value), 'number')} where an object is needed"


def _goes_on(line: bytes, encoding: str) -> bool:
    """Whether a file's first line begins an array, or an object of several lines."""
    if line.startswith(b"["):
        return True
    try:
        text = line.decode(encoding)
        _decode(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


def _up_to(lines: Iterator[bytes], num_bytes: int) -> Iterator[bytes]:
    """Lines until there are so many bytes, and the rest of the last one."""
    taken = 0
    while taken < num_bytes and (line := next(lines, b"")):
        taken += len(line)
        yield line


def _begins_with_value(content: bytes, encoding: str) -> bool:
    content = content.lstrip()
    if content.startswith(b"["):
        return True
    try:
        _decode(content.decode(encoding, "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _values(
    content: bytes, encoding: str, number: int, file: SourceFile, source: Opened
) -> Iterator[Record | LeftOut]:
    """The objects of a text that stand one after the other, or in arrays."""
    if len(content) >= _MAX_WHOLE_BYTES:
        raise UnreadableError(
            "JSON files that are too long",
            f"not JSON lines, and more than {_MAX_WHOLE_BYTES // 1024**3} GiB to be read at once; "
            "`jq -c '.[]'` makes lines of an array",
        )
    try:
        text = with_whole_characters(content.decode(encoding).encode()).decode()
    except UnicodeDecodeError as error:
        raise UnreadableError("files of other encodings", not_decoded(error, encoding)) from error
    num_bytes = source.position()
    prefix = f"{file.where}:"
    line = 0
    for line, value in _parsed(text, number, file):
        where = f"{prefix}{line}"
        if isinstance(value, dict):
            yield Record(where=where, fields=value, num_bytes=num_bytes)
        else:
            yield LeftOut(where=where, kind=_KIND, reason=_no_object(value))
    if not line:
        raise EmptyFileError


def _parsed(text: str, number: int, file: SourceFile) -> Iterator[tuple[int, Any]]:
    """Lines and values: elements of arrays, and what stands outside of them.

    Raises:
        UnreadableError: The text is damaged; what comes after can't be told apart.
    """
    seen = 0
    place = _after_blanks(text, 0)
    is_array = False
    while place < len(text):
        if not is_array and text[place] == "[":
            is_array = True
            place = _after_blanks(text, place + 1)
            if text[place : place + 1] == "]":
                is_array = False
                place = _after_blanks(text, place + 1)
            continue
        number += text.count("\n", seen, place)
        seen = place
        try:
            value, place = _decode(text, place)
        except (ValueError, RecursionError) as error:
            pos = error.pos if isinstance(error, json.JSONDecodeError) else place
            line = number + text.count("\n", place, pos)
            raise UnreadableError(_KIND, _problem(error), f"{file.where}:{line}") from error
        yield number, value
        place = _after_blanks(text, place)
        if is_array:
            ends = text[place : place + 1]
            if ends not in (",", "]"):
                line = number + text.count("\n", seen, place)
                reason = (
                    "a JSON array that doesn't end" if not ends else "not JSON (a comma is missing)"
                )
                raise UnreadableError(_KIND, reason, f"{file.where}:{line}")
            is_array = ends == ","
            place = _after_blanks(text, place + 1)
    if is_array:
        line = number + text.count("\n", seen)
        raise UnreadableError(_KIND, "a JSON array that doesn't end", f"{file.where}:{line}")


_BLANKS = re.compile(r"[ \t\n\r]*")


def _after_blanks(text: str, place: int) -> int:
    found = _BLANKS.match(text, place)
    return found.end() if found else place
