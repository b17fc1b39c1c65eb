"""Connections that read a collection's file beside its writer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from twopass.index.errors import CollectionClosedError
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import open_for_reading, storage_errors
from twopass.index.stopping import NEVER, Stop


class ReadConnections:
    """A pool that grows with its borrowers: as many connections as ever read at once."""

    def __init__(self, collection: str, path: Path, damage: Damage) -> None:
        self._collection = collection
        self._damage = damage
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._num_borrowed = 0
        self._closed = False
        self._changed = threading.Condition()

    @contextmanager
    def borrow(self, stop: Stop = NEVER) -> Iterator[apsw.Connection]:
        """A connection that nobody else uses meanwhile.

        Fetch all rows before giving it back: a statement left half read would hold its snapshot,
        and the next borrower would see the past.

        Args:
            stop: Interrupts the statement that runs.

        Raises:
            CollectionClosedError: The pool is closed.
            StoppedError: The stop was set, inside the block too.
            StorageError: The disk did not do its part, inside the block too.
        """
        stop.check()
        with self._changed:
            if self._closed:
                raise CollectionClosedError(self._collection)
            self._num_borrowed += 1
            connection = self._idle.pop() if self._idle else None
        try:
            with storage_errors(self._path), self._damage.noted():
                connection = connection or open_for_reading(self._path)
                with stop.calling(connection.interrupt):
                    yield connection
        finally:
            with self._changed:
                self._num_borrowed -= 1
                if connection is not None:
                    self._idle.append(connection)
                self._changed.notify_all()

    def close(self) -> None:
        """Waits for the reads in progress, and lets no other begin. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._num_borrowed == 0)
            with storage_errors(self._path):
                while self._idle:
                    self._idle.pop().close()
