"""Folders on a disk that may fail or lose power."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from twopass.index.errors import FolderInUseError, StorageError


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
def os_errors(path: Path) -> Iterator[None]:
    """Raises the system's errors as `StorageError`, which names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or path}: {error.strerror}") from error
