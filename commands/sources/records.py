"""What files hold: records, and what had to be left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class SourceError(Exception):
    """A record can't become a document, or nothing can be read; the message says where and why."""


class UnreadableError(Exception):
    """The rest of a file can't be read; caught where its records are counted.

    Attributes:
        kind: What sort of file it is, in the plural: "damaged gzip files".
        reason: Why it can't be read, and the way out.
        where: The place in it; empty: the file.
        is_fault: False where nothing is wrong, as with an empty file.
    """

    def __init__(self, kind: str, reason: str, where: str = "", *, is_fault: bool = True) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.where = where
        self.is_fault = is_fault


class EmptyFileError(UnreadableError):
    """A file has nothing to read, which is no fault."""

    def __init__(self) -> None:
        super().__init__("empty files", "empty", is_fault=False)


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Something that was found and not taken: a record, the rest of a file, a file, a folder.

    Attributes:
        where: The folder or file, with line or row where one record is meant, for messages.
        kind: What sort of thing it is, in the plural, for counting: "links to nothing".
        reason: Why it was left out, and the way out where there is one: "not UTF-8 ...; --encoding
            names another encoding".
        num_records: How many records are missing; 0 where their number is not known, as of a file.
        is_fault: Whether it stops a run that stops at errors: what is wrong in a record, or in what
            was given by name. False for what a folder holds beside what can be read.
    """

    where: str
    kind: str
    reason: str
    num_records: int = 1
    is_fault: bool = True

    def __str__(self) -> str:
        return f"{self.where}: {self.reason}"
