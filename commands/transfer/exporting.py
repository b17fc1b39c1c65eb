"""Writes documents into files of the formats that `twopass index` reads.

The same documents make the same bytes: of two exports one can tell whether anything differs.
"""

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeAlias

from twopass.client import Document
from twopass.commands.terminal.printable import printable_json
from twopass.commands.transfer.flat_records import record_of
from twopass.engines.installing import how_to_install

Write: TypeAlias = Callable[[Sequence[Document]], None]
"""Appends documents to a file."""

FORMATS = ".jsonl, .csv, .tsv, each also .gz, or .parquet"
TABLE_METADATA = "metadata"
"""Column of tables with all metadata: they have one type a column, and know no missing fields."""


class FormatError(Exception):
    """A file can't be written; says why, and the way out."""


def is_table(output: Path) -> bool:
    """Whether a file holds rows of columns, and so all metadata as JSON in one of them."""
    return _suffix(output) in (".csv", ".tsv", ".parquet")


def check_format(output: Path) -> None:
    """Makes sure that a file is of a format that can be written.

    Raises:
        FormatError: It is not.
    """
    if _suffix(output) not in (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"):
        raise FormatError(f"{output}: of no known format; known: {FORMATS}; - is standard output")
    if output.name.lower().endswith(".parquet.gz"):
        raise FormatError(f"{output}: Parquet is compressed already; name it .parquet")


def _suffix(output: Path) -> str:
    return (output.with_suffix("") if output.suffix.lower() == ".gz" else output).suffix.lower()


@contextmanager
def opened(
    output: Path, unfinished: Path, metadata_field: str, *, vectors: bool
) -> Iterator[Write]:
    """Opens the unfinished file in the format that the final file's name says.

    Args:
        output: The final file.
        unfinished: The file to write.
        metadata_field: The field or column that holds all metadata; empty, for what is no table:
            each is a field of its own.
        vectors: Whether there is a column of vectors, if there are columns.
    """
    if _suffix(output) == ".parquet":
        with _parquet(unfinished, metadata_field, vectors=vectors) as write:
            yield write
        return
    with unfinished.open("wb") as raw:
        is_packed = output.suffix.lower() == ".gz"
        # Without a name and a time, equal documents make equal bytes.
        sink = gzip.GzipFile("", "wb", 6, raw, mtime=0) if is_packed else raw
        if is_table(output):
            delimiter = "\t" if _suffix(output) == ".tsv" else ","
            with _separated(sink, delimiter, metadata_field, vectors=vectors) as write:
                yield write
        else:
            yield jsonl(sink, metadata_field)
        if is_packed:
            sink.close()


def jsonl(
    sink: BinaryIO | gzip.GzipFile, metadata_field: str, *, is_terminal: bool = False
) -> Write:
    """Writes a JSON object a line.

    Args:
        sink: What is written to.
        metadata_field: The field that holds all metadata; empty: each is a field of its own.
        is_terminal: Whether a terminal reads it: what it would obey is escaped then, which means
            the same in JSON.
    """
    encode = json.JSONEncoder(ensure_ascii=False).encode

    def write(documents: Sequence[Document]) -> None:
        lines = (encode(record_of(document, metadata_field)) + "\n" for document in documents)
        text = "".join(lines)
        sink.write((printable_json(text) if is_terminal else text).encode())

    return write


@contextmanager
def _separated(
    sink: BinaryIO | gzip.GzipFile, delimiter: str, metadata_field: str, *, vectors: bool
) -> Iterator[Write]:
    text = io.TextIOWrapper(sink, encoding="utf-8", newline="")
    rows = csv.writer(text, delimiter=delimiter)  # lines end in CR LF, as RFC 4180 says
    rows.writerow(["id", "title", "text", metadata_field] + ["vector"] * vectors)

    def write(documents: Sequence[Document]) -> None:
        for document in documents:
            row = [document.id, document.title, document.text, _json(dict(document.metadata))]
            if vectors:
                row.append("" if document.vector is None else _json(list(document.vector)))
            rows.writerow(row)

    try:
        yield write
    finally:
        text.detach()


@contextmanager
def _parquet(file: Path, metadata_field: str, *, vectors: bool) -> Iterator[Write]:
    try:
        import pyarrow
        from pyarrow.parquet import ParquetWriter
    except ModuleNotFoundError:
        raise FormatError(f"Parquet needs pyarrow: {how_to_install('parquet')}") from None
    text = pyarrow.string()
    columns = [("id", text), ("title", text), ("text", text), (metadata_field, text)]
    if vectors:
        columns.append(("vector", pyarrow.list_(pyarrow.float32())))
    schema = pyarrow.schema(columns)
    with ParquetWriter(file, schema) as sink:

        def write(documents: Sequence[Document]) -> None:
            rows = [
                {
                    "id": document.id,
                    "title": document.title,
                    "text": document.text,
                    metadata_field: _json(dict(document.metadata)),
                    "vector": document.vector,
                }
                for document in documents
            ]
            sink.write_table(pyarrow.Table.from_pylist(rows, schema))

        yield write


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
