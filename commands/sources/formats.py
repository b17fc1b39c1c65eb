"""Which reader a file gets, by its suffix."""

from pathlib import Path

from twopass.commands.sources.jsonl import read_jsonl
from twopass.commands.sources.parquet import read_parquet
from twopass.commands.sources.plain_text import read_text
from twopass.commands.sources.reading import Format
from twopass.commands.sources.separated import read_separated
from twopass.commands.sources.source_file import Reader

READERS: dict[Format, Reader] = {
    Format.JSONL: read_jsonl,
    Format.CSV: read_separated,
    Format.TSV: read_separated,
    Format.PARQUET: read_parquet,
    Format.TEXT: read_text,
    Format.MARKDOWN: read_text,
    Format.RST: read_text,
    Format.HTML: read_text,
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
