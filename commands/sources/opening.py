"""Opening a file: bytes, unpacked where they are gzip's."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from twopass.commands.sources.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened file.

    Attributes:
        stream: Its bytes, unpacked.
        position: Tells how many bytes of the file, as it stands on the disk, have been read.
    """

    stream: BinaryIO
    position: Callable[[], int]


@contextmanager
def opened(file: SourceFile) -> Iterator[Opened]:
    """Opens a file for reading bytes.

    Raises:
        OSError: It can't be opened.
    """
    with file.path.open("rb") as raw:
        if file.path.suffix == ".gz":
            # gzip's reader is not declared as a BinaryIO, but has its methods.
            yield Opened(gzip.GzipFile(fileobj=raw), raw.tell)  # type: ignore[arg-type]
        else:
            yield Opened(raw, raw.tell)
