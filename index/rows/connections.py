"""Connections that read a collection's file beside its writer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from twopass.index.collection_name import CollectionName
from twopass.index.errors import CollectionClosedError, StoppedError
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import open_for_reading, storage_errors
from twopass.index.stopping import NEVER, Stop

# Each takes two files, of which a server with many collections has not enough.
_MAX_IDLE = 4
# Of SQLite's virtual machine: some 10 ms of copying rows. Each look takes Python's GIL.
_INSTRUCTIONS_BETWEEN_LOOKS = 10_000


class _Reader:
    """A connection whose interruptions last until they are forgotten.

    SQLite forgets an interruption when no statement of the connection is under way, so one that
    came between two statements would be lost. A statement that is never finished prevents it; it
    reads no table, so it holds no snapshot.
    """

    def __init__(self, path: Path) -> None:
        self.connection = open_for_reading(path)
        self._unfinished: apsw.Cursor | None = None
        self.keep_interruptions()

    def keep_interruptions(self) -> None:
        """Lets interruptions last from now on."""
        self._unfinished = self.connection.cursor()
        next(self._unfinished.execute("VALUES (1), (2)"))

    def forget_interruptions(self) -> None:
        """Lets statements run again, and alone."""
        if self._unfinished is not None:
            self._unfinished.close()
            self._unfinished = None

    def close(self) -> None:
        """Closes the connection."""
        self.forget_interruptions()
        self.connection.close()


class ReadConnections:
    """A pool that grows with its borrowers, and keeps a few connections when they have gone."""

    def __init__(self, collection: CollectionName, path: Path, damage: Damage) -> None:
        self._collection = collection
        self._damage = damage
        self._path = path
        self._idle: list[_Reader] = []
        self._num_borrowed = 0
        self._closed = False
        self._discarding = Stop()
        self._changed = threading.Condition()

    @contextmanager
    def borrow(self, stop: Stop = NEVER) -> Iterator[apsw.Connection]:
        """A connection that nobody else uses meanwhile.

        Fetch all rows before giving it back: a statement left half read would hold its snapshot,
        and the next borrower would see the past.

        Args:
            stop: Interrupts the statement that runs, and every later one inside the block.

        Raises:
            CollectionClosedError: The pool is closed.
            StoppedError: The stop was set, inside the block too.
            StorageError: The disk did not do its part, inside the block too.
        """
        with self._reader(stop) as reader:
            try:
                interrupt = reader.connection.interrupt
                with stop.calling(interrupt), self._discarding.calling(interrupt):
                    yield reader.connection
            except apsw.SQLError as error:
                # What SQLite raises where it is interrupted while it prepares a statement with
                # json_each.
                if stop.is_set or self._discarding.is_set:
                    raise StoppedError from error
                raise
            finally:
                if stop.is_set or self._discarding.is_set:
                    reader.forget_interruptions()
                    reader.keep_interruptions()

    @contextmanager
    def borrow_for_one(self, stop: Stop = NEVER) -> Iterator[apsw.Connection]:
        """A connection for one statement that allows no other beside it, such as VACUUM.

        Args:
            stop: Interrupts the statement.

        Raises:
            As `borrow`.
        """
        with self._reader(stop) as reader:
            reader.forget_interruptions()
            # An interruption would be lost if it came just before the statement.
            reader.connection.set_progress_handler(
                lambda: stop.is_set or self._discarding.is_set, _INSTRUCTIONS_BETWEEN_LOOKS
            )
            try:
                yield reader.connection
            finally:
                reader.connection.set_progress_handler(None)
                reader.keep_interruptions()

    @contextmanager
    def _reader(self, stop: Stop) -> Iterator[_Reader]:
        stop.check()
        with self._changed:
            if self._closed:
                raise CollectionClosedError(str(self._collection))
            self._num_borrowed += 1
            reader = self._idle.pop() if self._idle else None
        try:
            with storage_errors(self._path, self._collection), self._damage.noted():
                reader = reader or _Reader(self._path)
                yield reader
        except StoppedError as error:
            if self._discarding.is_set and not stop.is_set:
                raise CollectionClosedError(str(self._collection)) from error
            raise
        finally:
            with self._changed:
                if reader is not None and len(self._idle) < _MAX_IDLE:
                    self._idle.append(reader)
                    reader = None
            if reader is not None:
                reader.close()
            with self._changed:
                self._num_borrowed -= 1
                self._changed.notify_all()

    def close(self, *, discard: bool = False) -> None:
        """Waits for the reads in progress, and lets no other begin. Idempotent.

        Args:
            discard: Ends the reads in progress by `CollectionClosedError`: all is to be deleted.
        """
        with self._changed:
            self._closed = True
        if discard:
            self._discarding.set()
        with self._changed:
            self._changed.wait_for(lambda: self._num_borrowed == 0)
            with storage_errors(self._path, self._collection):
                while self._idle:
                    self._idle.pop().close()
