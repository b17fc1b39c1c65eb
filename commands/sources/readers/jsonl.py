"""JSON: one object a line, or as one array, or one object after the other over several lines."""

import io
import json
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any

from twopass.commands.sources.decoding import (
    MAX_DOCUMENT_BYTES,
    byte_lines,
    encoding_of,
    not_decoded,
)
from twopass.commands.sources.opening import Opened, opened
from twopass.commands.sources.readers.growing_text import (
    DamagedError,
    GrowingText,
    after_blanks,
)
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile
from twopass.server.http.half_characters import with_whole_characters

_ENDLESS = "a JSON array that doesn't end"
_KIND = "lines that are not JSON"
_decode = json.JSONDecoder().raw_decode
_TYPE_NAMES = {list: "array", str: "string", bool: "boolean", type(None): "null"}


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
                more = _up_to(lines, MAX_DOCUMENT_BYTES - len(line))
                head = line if stripped.startswith(b"[") else b"".join(chain([line], more))
                if _begins_with_value(head, encoding):
                    text = GrowingText(chain([head], lines), encoding, number)
                    yield from _values(text, encoding, file, source)
                    return
                in_pieces = partial(io.BytesIO(head).readline, MAX_DOCUMENT_BYTES)
                lines = chain(iter(in_pieces, b""), lines)
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
        end = 0
        try:
            text = _text(stripped, encoding)
            value, end = _decode(text)
            while True:
                if not isinstance(value, dict):
                    yield LeftOut(where=where, kind=_KIND, reason=_no_object(value))
                    break
                yield Record(where=where, fields=value, num_bytes=position())
                if end == len(text):
                    break
                # A line feed is missing.
                value, end = _decode(text, after_blanks(text, end))
        except (ValueError, RecursionError) as error:
            if len(line) == MAX_DOCUMENT_BYTES and not line.endswith(b"\n"):
                limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MiB"
                reason = f"a line of more than {limit}, too long for one document"
                raise UnreadableError("lines that are too long", reason, where) from error
            yield LeftOut(where=where, kind=_KIND, reason=_problem(error, encoding))


def _text(line: bytes, encoding: str) -> str:
    """The text of a line with whole characters alone.

    Raises:
        UnicodeDecodeError: It is of another encoding.
    """
    if encoding != "utf-8":
        line = line.decode(encoding).encode()
    return with_whole_characters(line).decode()


def _problem(error: ValueError | RecursionError, encoding: str) -> str:
    if isinstance(error, UnicodeDecodeError):
        return not_decoded(error, encoding)
    if isinstance(error, RecursionError):
        return "JSON nested too deeply to be read"
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON ({error.msg.removesuffix(' at')} at column {error.colno:,})"
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
    text: GrowingText, encoding: str, file: SourceFile, source: Opened
) -> Iterator[Record | LeftOut]:
    """The objects of a text that stand one after the other, or in arrays."""
    prefix = f"{file.where}:"
    line = 0
    try:
        for line, value in _parsed(text):
            where = f"{prefix}{line}"
            if isinstance(value, dict):
                yield Record(where=where, fields=value, num_bytes=source.position())
            else:
                yield LeftOut(where=where, kind=_KIND, reason=_no_object(value))
    except DamagedError as error:
        reason = error.cause if isinstance(error.cause, str) else _problem(error.cause, encoding)
        kind = _KIND
        if isinstance(error.cause, UnicodeDecodeError):
            kind = "files of other encodings"
        raise UnreadableError(kind, reason, f"{prefix}{error.line}") from error
    if not line:
        raise EmptyFileError


def _parsed(text: GrowingText) -> Iterator[tuple[int, Any]]:
    """Lines and values: elements of arrays, and what stands outside of them.

    Raises:
        DamagedError: What comes after can't be told apart.
    """
    is_array = False
    while next_one := text.next_character():
        if not is_array and next_one == "[":
            is_array = True
            text.skip()
            if text.next_character() == "]":
                is_array = False
                text.skip()
            continue
        yield text.next_value()
        if is_array:
            ends = text.next_character()
            if ends not in (",", "]"):
                raise text.damaged("not JSON (a comma is missing)" if ends else _ENDLESS)
            is_array = ends == ","
            text.skip()
    if is_array:
        raise text.damaged(_ENDLESS)
