"""CSV and its kind: rows of fields, the first of which names them."""

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Literal

from twopass.commands.sources.decoding import (
    MAX_DOCUMENT_BYTES,
    LineTooLongError,
    encoding_of,
    not_decoded,
    not_of_encoding,
    text_blocks,
)
from twopass.commands.sources.opening import Opened, opened
from twopass.commands.sources.readers.rereading import RereadableLines, RowTooLongError
from twopass.commands.sources.reading import Format
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record, UnreadableError
from twopass.commands.sources.source_file import SourceFile

if TYPE_CHECKING:
    import _csv

_DELIMITERS = {Format.TSV: "\t,;|"}  # the usual one first
_COMMA_FIRST = ",;\t|"
_HEAD_ROWS = 100
_BROKEN_BYTE = re.compile("[\udc80-\udcff]")  # PEP 383
# What spreadsheets write before the first row to tell the delimiter.
_DELIMITER_LINE = re.compile(r'"?sep=(.)"?\r?\n')


def read_separated(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the rows of a file by the names in its first; blank rows are none.

    After a row whose quotes are broken, reading goes on at the line after the one that it began at.
    """
    # A text may be longer than the 128 KiB of Python's default.
    csv.field_size_limit(MAX_DOCUMENT_BYTES)
    with opened(file) as source:
        encoding = encoding_of(source.stream, file)
        # Bytes that are no text become half surrogates, so that one bad row does not end the file.
        blocks = text_blocks(source.stream, encoding, "surrogateescape")
        try:
            yield from _records(blocks, encoding, file, source)
        except UnicodeDecodeError as error:
            reason = not_decoded(error, encoding)
            raise UnreadableError("files of other encodings", reason) from error


def _records(
    blocks: Iterator[str], encoding: str, file: SourceFile, source: Opened
) -> Iterator[Record | LeftOut]:
    prefix = f"{file.where}:"
    try:
        head = next(blocks, "")
    except LineTooLongError as error:
        raise _line_too_long(f"{prefix}1") from error
    delimiter = file.reading.delimiter
    num_before = 1  # lines before the first, and the first
    if told := _DELIMITER_LINE.match(head):
        delimiter = delimiter or told[1]
        head = head[told.end() :]
        num_before = 2
    if not head.strip():
        raise EmptyFileError
    delimiter = delimiter or _delimiter(head, _DELIMITERS.get(file.format, _COMMA_FIRST))
    has_quotes = file.reading.has_quotes
    if has_quotes is None:
        has_quotes = not (delimiter == "\t" and _has_plain_quotes(head))
    lines = RereadableLines(chain([head], blocks), MAX_DOCUMENT_BYTES)

    def reader() -> "_csv.Reader":
        return _reader(lines, delimiter, has_quotes=has_quotes)

    names: list[str] | None = None
    position = source.position
    skipped = 0  # lines before the ones that the reader counts
    rows = reader()
    while True:
        where = f"{prefix}{lines.row + num_before}"
        try:
            for row in rows:
                lines.row = skipped + rows.line_num
                if not row:
                    where = f"{prefix}{lines.row + num_before}"
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
                where = f"{prefix}{lines.row + num_before}"
            return
        except LineTooLongError as error:
            raise _line_too_long(where) from error
        except csv.Error as error:
            kind, reason = "rows with broken quotes", _problem(error)
            if names is None:
                raise UnreadableError(kind, reason, where) from error
            first, end = lines.row, skipped + rows.line_num
            num_more = end - first - 1
            if num_more > 0 and not lines.may_reread(num_more):
                reason = f"{reason}; left out with it: {num_more:,} lines"
                num_more = 0
                first = end - 1
            yield LeftOut(where=where, kind=kind, reason=reason)
            if num_more > 0 or isinstance(error, RowTooLongError):
                skipped = first + 1
                lines.go_on(skipped)
                rows = reader()
            else:
                lines.row = end


def _has_plain_quotes(head: str) -> bool:
    """Whether quotes are text: without them each row has the first one's length, with them not.

    Programs that write quotes put them around the names of columns too, or around none.
    """
    if '"' not in head or '"' in head.partition("\n")[0]:
        return False
    if _have_one_length(head, has_quotes=False):
        # The beginning may end within a field.
        return head.count('"') % 2 == 0 and not _have_one_length(head, has_quotes=True)
    return False


def _have_one_length(head: str, *, has_quotes: bool) -> bool:
    rows = _reader(io.StringIO(head, newline=""), "\t", has_quotes=has_quotes)
    try:
        return len({len(row) for row in rows if row}) == 1
    except csv.Error:
        return False


def _reader(lines: Iterable[str], delimiter: str, *, has_quotes: bool) -> "_csv.Reader":
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if has_quotes else csv.QUOTE_NONE
    return csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)


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
    if "field limit" in told or isinstance(error, RowTooLongError):
        limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MiB"
        return f"a row of more than {limit}; the quote that is opened in it may never be closed"
    return f"not CSV ({told})"


def _line_too_long(where: str) -> UnreadableError:
    limit = f"{MAX_DOCUMENT_BYTES // 1024**2} MiB"
    reason = f"a line of more than {limit}, too long for one document"
    return UnreadableError("lines that are too long", reason, where)
