"""Plain text: a file is one document."""

from collections.abc import Iterator, Mapping
from typing import Any

from twopass.commands.sources.decoding import read_whole_text
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record
from twopass.commands.sources.source_file import SourceFile


def read_plain_text(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a file as one document, titled by its name."""
    yield from one_document(file, read_whole_text(file), file.title)


def one_document(
    file: SourceFile, text: str, title: str, metadata: Mapping[str, Any] | None = None
) -> Iterator[Record | LeftOut]:
    """The record of a file that is one document.

    No document's text can hold a NUL, which programs that read PDFs leave in theirs: spaces stand
    for NULs, and it is told.

    Raises:
        EmptyFileError: It has no text.
    """
    if not text or text.isspace():
        raise EmptyFileError
    if num_nuls := text.count("\0"):
        yield LeftOut(
            where=file.where,
            kind="files with NUL characters",
            reason=f"{num_nuls:,} NUL characters, which no text can hold: spaces stand for them",
            num_records=0,
            is_fault=False,
        )
        text = text.replace("\0", " ")
    title = title.replace("\0", " ")
    fields = {"id": file.name, "title": title, "text": text, "path": file.name, **(metadata or {})}
    yield Record(where=file.where, fields=fields, num_bytes=file.num_bytes)
