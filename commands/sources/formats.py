"""Which reader a file gets, by its suffix."""

import os
from pathlib import Path

from twopass.commands.sources.readers.jsonl import read_jsonl
from twopass.commands.sources.readers.markdown import read_markdown
from twopass.commands.sources.readers.parquet import read_parquet
from twopass.commands.sources.readers.plain_text import read_plain_text
from twopass.commands.sources.readers.restructured_text import read_restructured_text
from twopass.commands.sources.readers.separated import read_separated
from twopass.commands.sources.readers.web_page import read_web_page
from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.source_file import Reader, SourceFile

READERS: dict[Format, Reader] = {
    Format.JSONL: read_jsonl,
    Format.CSV: read_separated,
    Format.TSV: read_separated,
    Format.PARQUET: read_parquet,
    Format.TEXT: read_plain_text,
    Format.MARKDOWN: read_markdown,
    Format.RST: read_restructured_text,
    Format.HTML: read_web_page,
}
FORMATS = (
    "JSONL (.jsonl, .ndjson, .json), CSV (.csv, .tsv), Parquet, text, Markdown, "
    "reStructuredText and HTML, each also .gz"
)
"""What can be read, for help texts."""

FORMAT_OF_SUFFIX = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".parquet": Format.PARQUET,
    ".txt": Format.TEXT,
    ".md": Format.MARKDOWN,
    ".markdown": Format.MARKDOWN,
    ".rst": Format.RST,
    ".html": Format.HTML,
    ".htm": Format.HTML,
}
FORMATS_OF_FOLDERS = frozenset((Format.TEXT, Format.MARKDOWN, Format.RST, Format.HTML))
"""What is taken from a folder without being asked for."""


def suffix_of(path: Path) -> str:
    """The suffix that tells a file's format, in lower case: what stands before `.gz`."""
    return (path.with_suffix("") if path.suffix.lower() == ".gz" else path).suffix.lower()


def source_file(
    path: Path, name: str, format_: Format, status: os.stat_result, reading: Reading
) -> SourceFile:
    """A regular file, as one that was found in a folder and not given itself."""
    return SourceFile(
        path=path,
        name=name,
        format=format_,
        num_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
        is_named=False,
        reading=reading,
        read=READERS[format_],
    )
