"""CSV and its kind: rows of fields, the first of which names them."""

import csv
import io
import sys
from collections.abc import Iterator

from twopass.commands.sources.opening import opened
from twopass.commands.sources.reading import Format
from twopass.commands.sources.records import LeftOut, Record
from twopass.commands.sources.source_file import SourceFile


def read_separated(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads the rows of a file by the names in its first."""
    csv.field_size_limit(sys.maxsize)  # a text may be longer than the 128 KiB of Python's default
    with opened(file) as source:
        text = io.TextIOWrapper(source.stream, encoding="utf-8-sig", newline="")
        delimiter = "\t" if file.format is Format.TSV else ","
        rows = csv.DictReader(text, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                where = f"{file.where}:{rows.line_num}"
                if None in row or None in row.values():
                    reason = "a row of another length than the first line's"
                    yield LeftOut(where=where, kind="rows of another length", reason=reason)
                    continue
                yield Record(where=where, fields=row, num_bytes=source.position())
        except (csv.Error, UnicodeDecodeError) as error:
            yield LeftOut(
                where=f"{file.where}:{rows.line_num}",
                kind="files that are not CSV",
                reason=f"not CSV ({error})",
                num_records=0,
            )
