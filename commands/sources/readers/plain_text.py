"""Plain text: a file is one document."""

from collections.abc import Iterator, Mapping
from typing import Any

from twopass.commands.sources.decoding import read_whole_text
from twopass.commands.sources.records import EmptyFileError, LeftOut, Record
from twopass.commands.sources.source_file import SourceFile


def read_plain_text(file: SourceFile) -> Iterator[Record | LeftOut]:
    """Reads a file as one document, titled by its name."""
    yield document(file, read_whole_text(file), file.title)


def document(
    file: SourceFile, text: str, title: str, metadata: Mapping[str, Any] | None = None
) -> Record:
    """The record of a file that is one document.

    Raises:
        EmptyFileError: It has no text.
    """
    if not text.strip():
        raise EmptyFileError
    fields = {"id": file.name, "title": title, "text": text, "path": file.name, **(metadata or {})}
    return Record(where=file.where, fields=fields, num_bytes=file.num_bytes)
