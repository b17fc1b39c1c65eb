"""Files of documents, of several formats, read as one sequence of records."""

import csv
import gzip
import io
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

TEXT_SUFFIXES = (".txt", ".md", ".markdown")
FORMATS = "JSONL (.jsonl, .ndjson), CSV (.csv, .tsv), each also .gz; Parquet; text and Markdown"

_ROWS_PER_BATCH = 1_024


class SourceError(Exception):
    """A file is missing, of an unknown format, or damaged; the message says where."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document as it stands in its file.

    Attributes:
        where: The file, with line or row where it has several records, for messages.
        fields: Values by field name.
        num_bytes: About how many bytes of its file have been read so far.
    """

    where: str
    fields: Mapping[str, Any]
    num_bytes: int


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of one or more documents.

    Attributes:
        path: Where it is.
        name: Id of its document, where the file is one document.
    """

    path: Path
    name: str

    @property
    def num_bytes(self) -> int:
        """The file's size in bytes."""
        return self.path.stat().st_size

    def records(self) -> Iterator[Record]:
        """Reads the file's records.

        Raises:
            SourceError: The file is damaged.
        """
        return _READERS[_suffix(self.path)](self)


_Reader: TypeAlias = Callable[[SourceFile], Iterator[Record]]


def find_files(paths: Iterable[Path]) -> list[SourceFile]:
    """Lists the files given, and for a folder the text and Markdown files within, by name.

    Raises:
        SourceError: A file is missing or of an unknown format, or a folder has nothing to read.
    """
    found: list[SourceFile] = []
    for path in paths:
        if path.is_dir():
            within = sorted(p for p in path.rglob("*") if p.suffix.lower() in TEXT_SUFFIXES)
            if not within:
                raise SourceError(f"{path}: no file in it ends in {', '.join(TEXT_SUFFIXES)}")
            found += (SourceFile(p, p.relative_to(path).as_posix()) for p in within)
        elif not path.is_file():
            raise SourceError(f"{path}: there is no such file")
        elif _suffix(path) not in _READERS:
            raise SourceError(f"{path}: of no known format; known: {FORMATS}")
        else:
            found.append(SourceFile(path, path.name))
    return found


def _suffix(path: Path) -> str:
    return (path.with_suffix("") if path.suffix == ".gz" else path).suffix.lower()


def _read_jsonl(file: SourceFile) -> Iterator[Record]:
    with file.path.open("rb") as raw:
        for number, line in enumerate(_unpacked(raw, file), 1):
            where = f"{file.path}:{number}"
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
            except ValueError as error:
                raise SourceError(f"{where}: not JSON ({error})") from error
            if not isinstance(fields, dict):
                raise SourceError(f"{where}: a JSON {type(fields).__name__}, an object is needed")
            yield Record(where, fields, raw.tell())


def _read_csv(file: SourceFile) -> Iterator[Record]:
    csv.field_size_limit(sys.maxsize)  # a text may be longer than the 128 KiB of Python's default
    with file.path.open("rb") as raw:
        text = io.TextIOWrapper(_unpacked(raw, file), encoding="utf-8-sig", newline="")
        delimiter = "\t" if _suffix(file.path) == ".tsv" else ","
        rows = csv.DictReader(text, delimiter=delimiter, strict=True)
        try:
            for row in rows:
                where = f"{file.path}:{rows.line_num}"
                if None in row or None in row.values():
                    raise SourceError(f"{where}: a row of another length than the first line's")
                yield Record(where, row, raw.tell())
        except (csv.Error, UnicodeDecodeError) as error:
            raise SourceError(f"{file.path}:{rows.line_num}: not CSV ({error})") from error


def _read_parquet(file: SourceFile) -> Iterator[Record]:
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError as error:
        raise SourceError(
            f"{file.path}: Parquet needs pyarrow; pip install 'twopass[parquet]'"
        ) from error
    number = 0
    try:
        with ParquetFile(file.path) as table:
            num_rows = max(1, table.metadata.num_rows)
            for batch in table.iter_batches(_ROWS_PER_BATCH):
                for fields in batch.to_pylist():
                    number += 1
                    num_bytes = file.num_bytes * number // num_rows
                    yield Record(f"{file.path}: row {number}", fields, num_bytes)
    except (ArrowException, OSError) as error:
        raise SourceError(f"{file.path}: not Parquet ({error})") from error


def _read_text(file: SourceFile) -> Iterator[Record]:
    """Reads a file as one document, titled by Markdown's first heading, else by the file's name."""
    try:
        text = file.path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.path}: not UTF-8 ({error})") from error
    if not text.strip():
        return
    title = file.path.stem
    if _suffix(file.path) != ".txt":
        first = text.lstrip().partition("\n")[0]
        title = first.lstrip("#").strip() if first.startswith("# ") else title
    fields = {"id": file.name, "title": title, "text": text, "path": file.name}
    yield Record(str(file.path), fields, file.num_bytes)


def _unpacked(raw: BinaryIO, file: SourceFile) -> BinaryIO:
    # gzip's reader is not declared as a BinaryIO, but has its methods.
    return gzip.GzipFile(fileobj=raw) if file.path.suffix == ".gz" else raw  # type: ignore[return-value]


_READERS: dict[str, _Reader] = {
    ".jsonl": _read_jsonl,
    ".ndjson": _read_jsonl,
    ".json": _read_jsonl,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    **dict.fromkeys(TEXT_SUFFIXES, _read_text),
}
