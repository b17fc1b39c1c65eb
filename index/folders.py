"""Folders on a disk that may fail or lose power."""

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twopass.index.errors import FolderInUseError, StorageError

_LOG = logging.getLogger("twopass.index")

_MAY_NOT_WRITE = "give the server write access to its data folder"
_TOO_MANY_FILES = "let the server open more files, or hold fewer collections open"
_WAYS_OUT = {
    errno.ENOSPC: "free some space and try again",
    errno.EDQUOT: "free some space and try again",
    errno.EACCES: _MAY_NOT_WRITE,
    errno.EPERM: _MAY_NOT_WRITE,
    errno.EROFS: _MAY_NOT_WRITE,
    errno.EMFILE: _TOO_MANY_FILES,
    errno.ENFILE: _TOO_MANY_FILES,
    errno.EIO: "check the disk and the system's log",
}


def lock_folder(folder: Path) -> int:
    """Locks a folder for as long as the returned descriptor, or the process, lives.

    Raises:
        FolderInUseError: Another server holds it.
        OSError: The disk does not allow it.
    """
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise FolderInUseError(
            f"{folder}: another server holds this data folder; stop it, or choose another one"
        ) from error
    return descriptor


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: a rename is on disk only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(file: Path, content: Mapping[str, object]) -> None:
    """Writes a file whose content is on disk after this; its name is after `sync_folder` alone."""
    with file.open("w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def os_errors(subject: str) -> Iterator[None]:
    """Translates the system's errors into `StorageError`; the log alone says which file it was.

    Args:
        subject: What the block works on, as a caller knows it: "collection 'notes'".

    Raises:
        StorageError: Names the subject, what is wrong, and the way out.
    """
    try:
        yield
    except OSError as error:
        _LOG.error("%s: %s", subject, error.strerror, extra={"path": str(error.filename or "")})
        way_out = _WAYS_OUT.get(error.errno or 0, "the server's log says where")
        raise StorageError(f"{subject}: {error.strerror}; {way_out}") from error
