"""How files are to be read: what a user can say about them."""

from dataclasses import dataclass
from enum import StrEnum


class Format(StrEnum):
    """What a file holds, and so which reader it gets."""

    JSONL = "jsonl"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"
    TEXT = "text"
    MARKDOWN = "markdown"
    RST = "rst"
    HTML = "html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How files are to be read.

    Attributes:
        format: What the files given by name hold, standard input, and the included files of
            folders; None: what their suffixes say.
        encoding: Encoding of files that don't name their own by a byte order mark or, in HTML, by a
            declaration; None: UTF-8.
        delimiter: What separates the fields of CSV, one character; None: what the beginning of the
            file shows.
        has_quotes: Whether quotes enclose fields of CSV; None: they do, but not in a file with tabs
            whose beginning shows that they are text.
        include: Patterns of the files to take from folders, instead of the usual kinds; empty: the
            usual kinds.
        exclude: Patterns of files and folders to leave out of folders.
    """

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    has_quotes: bool | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
