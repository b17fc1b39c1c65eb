"""A file of one or more documents, and what reading it can end in."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.records import LeftOut, Record

Reader: TypeAlias = Callable[["SourceFile"], Iterator[Record | LeftOut]]
"""Reads records of one format; raises OSError, EOFError or zlib.error where a file breaks off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of one or more documents.

    Attributes:
        path: Where it is; `-` is standard input.
        name: Id of its document, where the file is one document.
        format: What it holds.
        num_bytes: Its size when it was found; 0 of standard input and pipes, which have none.
        modified_ns: When it was changed last, nanoseconds since 1970; 0 as `num_bytes` is.
        is_named: Whether it was given itself; otherwise it was found in a folder.
        is_stream: Whether it can be read only once, as standard input and pipes.
        reading: How to read it.
        read: The reader of its format.
    """

    path: Path
    name: str
    format: Format
    num_bytes: int
    modified_ns: int
    is_named: bool
    is_stream: bool = False
    reading: Reading
    read: Reader

    @property
    def where(self) -> str:
        """The file's name for messages, whatever bytes its path is made of."""
        return shown(self.path)

    def records(self) -> Iterator[Record | LeftOut]:
        """Reads the file's records, in their order, with what is left out between them.

        Nothing that is wrong in a file raises: it is left out, and what comes after it is read
        where that makes sense.
        """
        num_records = 0
        try:
            for item in self.read(self):
                yield item
                num_records += 1
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            yield self.rest_left_out(
                "damaged gzip files", f"cut or damaged gzip ({error})", num_records
            )
        except OSError as error:
            reason = f"can't be read ({error.strerror or error})"
            yield self.rest_left_out("files that can't be read", reason, num_records)

    def left_out(self, kind: str, reason: str) -> LeftOut:
        """The whole file, left out: a fault where it was given by name."""
        return LeftOut(
            where=self.where, kind=kind, reason=reason, num_records=0, is_fault=self.is_named
        )

    def rest_left_out(self, kind: str, reason: str, num_records: int) -> LeftOut:
        """What comes after the first `num_records` records, left out."""
        if num_records:
            reason = f"{reason}: what comes after the first {num_records:,} records is left out"
        return self.left_out(kind, reason)


def shown(path: Path) -> str:
    """A path as text: bytes that are not UTF-8 become escapes such as a backslash and xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
