"""Folders on a disk that may fail or lose power."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twopass.index.errors import StorageError


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable: a rename is on disk only after this."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def os_errors(path: Path) -> Iterator[None]:
    """Raises the system's errors as `StorageError`, which names the file."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{error.filename or path}: {error.strerror}") from error
