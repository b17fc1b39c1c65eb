"""A file of one or more documents, and what reading it can end in."""

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from gzip import BadGzipFile
from pathlib import Path
from typing import TypeAlias

from twopass.commands.sources.reading import Format, Reading
from twopass.commands.sources.records import LeftOut, Record, UnreadableError
from twopass.index.control_characters import CONTROL_CHARACTER

_COMMON_STEMS = frozenset(
    ("about", "authors", "changelog", "changes", "contributing", "copying", "copyright", "faq")
).union(("history", "index", "install", "license", "news", "notes", "notice", "readme", "todo"))
STANDARD_INPUT = Path("-")

Reader: TypeAlias = Callable[["SourceFile"], Iterator[Record | LeftOut]]
"""Reads the records of one format.

Raises OSError, EOFError, zlib.error or UnreadableError where the rest of a file can't be read.
"""


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
        return "standard input" if self.path == STANDARD_INPUT else shown(self.path)

    @property
    def title(self) -> str:
        """A title where the document has none: the file's name without suffix and `.gz`.

        Names that are the same in many folders, such as README, stand after their folder's.
        """
        path = Path(self.name)
        stem = (path.with_suffix("") if path.suffix.lower() == ".gz" else path).stem
        is_common = stem.lower() in _COMMON_STEMS and path.parent.name
        return f"{path.parent.name} {stem}" if is_common else stem

    def records(self) -> Iterator[Record | LeftOut]:
        """Reads the file's records, in their order, with what is left out between them.

        Nothing that is wrong in a file raises: it is left out, and what comes after it is read
        where that makes sense.
        """
        num_read = 0
        try:
            for item in self.read(self):
                yield item
                num_read += 1
        except UnreadableError as error:
            left_out = self._rest(error.kind, error.reason, num_read, error.where)
            yield replace(left_out, is_fault=left_out.is_fault and error.is_fault)
        except (EOFError, zlib.error, BadGzipFile) as error:
            yield self._rest("damaged gzip files", f"gzip, but cut or damaged ({error})", num_read)
        except OSError as error:
            reason = f"it can't be read ({error.strerror or error})"
            yield self._rest("files that can't be read", reason, num_read)
        except Exception as error:
            # A fault of a reader, which must not end the run for all other files.
            reason = (
                f"its reader failed, which is a fault of twopass ({type(error).__name__}: {error})"
            )
            yield self._rest("files whose reader failed", reason, num_read)

    def _rest(self, kind: str, reason: str, num_read: int, where: str = "") -> LeftOut:
        """What comes after the first records and lines, left out: all where there were none."""
        if num_read:
            after = (
                "it"
                if where
                else f"the first {num_read:,} records"
                if num_read > 1
                else "one record"
            )
            reason = f"{reason}; what comes after {after} is left out"
        return LeftOut(
            where=where or self.where,
            kind=kind,
            reason=reason,
            num_records=0,
            is_fault=self.is_named or num_read > 0,
        )


def shown(path: Path) -> str:
    """A path as text: bytes that are not UTF-8 become escapes such as a backslash and xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def name_of(path: Path) -> str:
    """A path as the id of a document: as it is shown, control characters too as escapes."""
    return CONTROL_CHARACTER.sub(
        lambda found: f"\\x{ord(found[0]):02x}", shown(path).replace(os.sep, "/")
    )


def target_of(link: Path) -> str:
    """Where a link leads, for messages."""
    try:
        return shown(link.readlink())
    except OSError:
        return "nothing"
