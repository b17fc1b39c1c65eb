"""CSV and its kind: rows of fields, the first of which names them."""

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from twopass.commands.sources.decoding import (
    MAX_DOCUMENT_BYTES,
    encoding_of,
    not_decoded,
    not_of_encoding,
)
from twopass.commands.sources.opening import Opened, opened
from twopass.commands.sources.reading import Format
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile

_DELIMITERS = {Format.TSV: "\t,;|"}  # the usual one first
_COMMA_FIRST = ",;\t|"
_HEAD_CHARS = 64 * 1024
_HEAD_ROWS = 100
_BROKEN_BYTE = re.compile("[\udc80-\udcff]")  # PEP 383
# What spreadsheets write before the first row to tell the delimiter.
_DELIMITER_LINE = re.compile(r'"?sep=(.)"?\r?\n')


def read_separated(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the rows of a file by the names in its first; blank rows are none."""
    # A text may be longer than the 128 KiB of Python's default.
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    with opened(file) as source:
        encoding = encoding_of(source.stream, file)
        # Bytes that are no text become half surrogates, so that one bad row does not end the file.
        text = io.TextIOWrapper(source.stream, encoding, "surrogateescape", newline="")
        try:
            yield from _records(text, encoding, file, source)
        except UnicodeDecodeError as error:
            reason = not_decoded(error, encoding)
            raise UnreadableError("files of other encodings", reason) from error
        finally:
            text.detach()  # or it would close standard input


def _records(
    text: io.TextIOWrapper, encoding: str, file: SourceFile, source: Opened
) -> Iterator[Record | LeftOut]:
    head = text.read(_HEAD_CHARS) + text.readline()
    delimiter = file.reading.delimiter
    num_before = 0
    if told := _DELIMITER_LINE.match(head):
        delimiter = delimiter or told[1]
        head = head[told.end() :]
        num_before = 1
    if not head.strip():
        raise EmptyFileError
    delimiter = delimiter or _delimiter(head, _DELIMITERS.get(file.format, _COMMA_FIRST))
    lines = chain(io.StringIO(head, newline=""), text)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)
    names: list[str] | None = None
    prefix = f"{file.where}:"
    position = source.position
    line = num_before + 1  # where the row begins that is read next
    try:
        for row in rows:
            where = f"{prefix}{line}"
            line = num_before + rows.line_num + 1
            if not row:
                continue
            joined = "".join(row)
            if not joined.isascii() and (broken := _BROKEN_BYTE.search(joined)):
                kind = "rows of other encodings"
                reason = not_of_encoding(ord(broken[0]) - 0xDC00, encoding)
                if names is None:
                    raise UnreadableError(kind, reason, where)
                yield LeftOut(where=where, kind=kind, reason=reason)
            elif names is None:
                names = _names(row, where)
                unnamed = [number for number, name in enumerate(names, 1) if not name]
                if unnamed:
                    yield _unnamed(unnamed, where)
            elif len(row) != len(names):
                yield _of_other_length(row, names, where)
            else:
                fields = dict(zip(names, row, strict=True))
                fields.pop("", None)
                yield Record(where=where, fields=fields, num_bytes=position())
    except csv.Error as error:
        raise UnreadableError(
            "files with broken quotes", _problem(error), f"{prefix}{line}"
        ) from error


def _delimiter(head: str, delimiters: str) -> str:
    """The delimiter that gives the most rows of the first row's length, which has several fields.

    Of those that do so equally, the one that gives the most fields; the first where none does.
    """
    best, chosen = (0.0, 0), delimiters[0]
    for delimiter in delimiters:
        lengths: list[int] = []
        with contextlib.suppress(csv.Error):  # the last row may be cut, or the delimiter wrong
            rows = csv.reader(io.StringIO(head, newline=""), delimiter=delimiter, strict=True)
            lengths.extend(len(row) for row in islice(rows, _HEAD_ROWS) if row)
        if not lengths or lengths[0] < 2:
            continue
        score = (lengths.count(lengths[0]) / len(lengths), lengths[0])
        if score > best:
            best, chosen = score, delimiter
    return chosen


def _names(row: Sequence[str], where: str) -> list[str]:
    """The names of the columns, "" of those without one.

    Raises:
        UnreadableError: Two are alike.
    """
    names = [name.strip() for name in row]
    alike = [name for name, count in Counter(names).items() if name and count > 1]
    if alike:
        raise UnreadableError(
            "files with columns of one name",
            f"several columns are called {alike[0]!r}; rename all but one",
            where,
        )
    if not any(names):
        raise UnreadableError("files without names of columns", "no column has a name", where)
    return names


def _unnamed(numbers: Sequence[int], where: str) -> LeftOut:
    columns = ", ".join(map(str, numbers))
    reason = (
        f"column {columns} has no name: its values are left out"
        if len(numbers) == 1
        else f"columns {columns} have no names: their values are left out"
    )
    return LeftOut(
        where=where, kind="columns without a name", reason=reason, num_records=0, is_fault=False
    )


def _of_other_length(row: Sequence[str], names: Sequence[str], where: str) -> LeftOut:
    fields = "1 field" if len(row) == 1 else f"{len(row):,} fields"
    reason = f"a row of {fields}, where the first row names {len(names):,}"
    return LeftOut(where=where, kind="rows of another length", reason=reason)


def _problem(error: csv.Error) -> str:
    told = str(error)
    if "unexpected end" in told:
        return "a quote that is opened in this row is never closed"
    if "expected after" in told:
        return "more text after a closing quote; quotes within a field are doubled"
    if "field limit" in told:
        return (
            f"a field of more than {MAX_DOCUMENT_BYTES // 1024**2} MiB; a quote may never be closed"
        )
    return f"not CSV ({told})"
