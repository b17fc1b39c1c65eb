"""Opening a file: bytes, unpacked where they are gzip's, of standard input too."""

import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from typing import Any, cast

from twopass.commands.sources.source_file import STANDARD_INPUT, SourceFile

_GZIP = b"\x1f\x8b"  # the first bytes of every gzip file (RFC 1952)
_BUFFER_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened file.

    Attributes:
        stream: Its bytes, unpacked.
        position: Tells how many bytes of the file, as it stands on the disk, have been read.
    """

    stream: io.BufferedReader
    position: Callable[[], int]


@contextmanager
def opened(file: SourceFile) -> Iterator[Opened]:
    """Opens a file for reading bytes; whether they are gzip's is told by them, not by its name.

    Raises:
        OSError: It can't be opened, or is no regular file any more.
    """
    if file.path == STANDARD_INPUT:
        given = sys.stdin.buffer
        if isinstance(given, io.BufferedReader):
            yield Opened(_unpacked(given), lambda: 0)
            return
        buffered = io.BufferedReader(cast("io.RawIOBase", given))
        try:
            yield Opened(_unpacked(buffered), lambda: 0)
        finally:
            buffered.detach()  # or it would close standard input
    elif file.is_stream:
        with file.path.open("rb") as pipe:
            yield Opened(_unpacked(pipe), lambda: 0)
    else:
        raw = io.FileIO(file.path, "rb", opener=_open_regular)
        with io.BufferedReader(raw, _BUFFER_BYTES) as stream:
            yield Opened(_unpacked(stream), stream.tell)


def _open_regular(path: str, flags: int) -> int:
    """Opens a file, and not what has taken its place: opening a pipe would wait for a writer."""
    descriptor = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("it is no regular file any more")
    return descriptor


def _unpacked(raw: "io.BufferedReader[Any]") -> io.BufferedReader:
    if raw.peek(len(_GZIP))[: len(_GZIP)] != _GZIP:
        return raw
    # gzip's reader is not declared as raw, but has its methods.
    unpacked = cast("io.RawIOBase", GzipFile(fileobj=raw))
    return io.BufferedReader(unpacked, _BUFFER_BYTES)
