"""What is known of a collection's damage: which documents, and that it must not be written to."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import apsw

from twopass.index.collection_name import CollectionName
from twopass.index.errors import CollectionDamagedError
from twopass.index.lanes import Lane
from twopass.index.rows.database import open_for_reading
from twopass.index.rows.rows import (
    Row,
    WindowRow,
    has_windows,
    read_ids,
    read_rows,
    read_window_documents,
    read_window_rows,
)

_LOG = logging.getLogger("twopass.index")

_MAX_NAMED = 10
_BLOCK_ROWS = 512


class Damage:
    """The damaged documents of a collection. Safe for threads.

    The first one that is met makes the collection read-only, since a write to a damaged file may
    spoil what is sound; then all rows are looked at, in a lane, so that every one can be named.
    """

    def __init__(self, collection: CollectionName, path: Path, lane: Lane) -> None:
        """Begins with no damage.

        Args:
            collection: The collection's name.
            path: Its SQLite file.
            lane: Where all rows are looked at, if need be.
        """
        self._collection = collection
        self._path = path
        self._ids: set[str] = set()
        self._error = ""
        self._lane = lane
        self._check: Future[None] | None = None  # its turn in the lane, once any damage was met
        self._is_checked = threading.Event()
        self._closing = threading.Event()
        self._changing = threading.Lock()
        self._waiting = threading.Lock()

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the damaged documents that are known, sorted."""
        with self._changing:
            return tuple(sorted(self._ids))

    @property
    def reason(self) -> str:
        """Why the collection is read-only, and the way out; empty where it is not."""
        if self._check is None:
            return ""
        ids = self.ids
        named = ", ".join(map(repr, ids[:_MAX_NAMED])) + (", …" if len(ids) > _MAX_NAMED else "")
        damage = f"{len(ids):,} documents are damaged on disk ({named})" if ids else self._error
        return (
            f"collection {self._collection!r} is read-only: {damage}"
            f"{'' if self._is_checked.is_set() else ', others are still looked for'}; the rest is "
            "served: restore a snapshot, or export the rest into a new collection"
        )

    def error_of(self, document_id: str) -> CollectionDamagedError:
        """What a reader of one damaged document is told."""
        return CollectionDamagedError(f"document {document_id!r} is damaged; {self.reason}")

    def check_writable(self) -> None:
        """Makes sure that nothing is known to be damaged.

        Raises:
            CollectionDamagedError: Something is.
        """
        if reason := self.reason:
            raise CollectionDamagedError(reason)

    def note_document(self, document_id: str) -> None:
        """Notes that a document can't be read, or is not what was written."""
        with self._changing:
            is_new = document_id not in self._ids
            self._ids.add(document_id)
        if is_new:
            _LOG.error(
                "document damaged on disk",
                extra={"collection": str(self._collection), "document": document_id},
            )
        self._begin_check()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes damage that SQLite meets inside the block, outside of a known document."""
        try:
            yield
        except apsw.CorruptError as error:
            self._error = str(error)
            self._begin_check()
            raise

    def wait_until_checked(self) -> None:
        """Waits until every row has been looked at, if any damage was met."""
        if self._check is None:
            return
        with self._waiting:
            # Where it has not begun, it is done here: the lane may be full of those that wait.
            if self._check.cancel() and not self._is_checked.is_set():
                self._check_all()
        self._is_checked.wait()

    def close(self) -> None:
        """Ends the look at every row."""
        self._closing.set()
        self.wait_until_checked()

    def _begin_check(self) -> None:
        with self._changing:
            if self._check is None:
                self._check = self._lane.submit(self._check_all)

    def _check_all(self) -> None:
        try:
            self._check_every_row()
        except apsw.Error as error:
            self._error = str(error)
        finally:
            self._is_checked.set()
        _LOG.error(
            self.reason, extra={"collection": str(self._collection), "path": str(self._path)}
        )

    def _check_every_row(self) -> None:
        connection = open_for_reading(self._path)
        try:
            ids = read_ids(connection)
            self._check_rows(connection, read_rows, {key: key for key in ids}, ids)
            if has_windows(connection):
                documents = read_window_documents(connection)
                self._check_rows(connection, read_window_rows, documents, ids)
        finally:
            connection.close()

    def _check_rows(
        self,
        connection: apsw.Connection,
        read: Callable[[apsw.Connection, Sequence[int]], Iterator[Row | WindowRow | int]],
        documents: Mapping[int, int],
        ids: Mapping[int, str],
    ) -> None:
        """Looks at all rows of a table, given each one's document by its key."""
        keys = sorted(documents)
        for start in range(0, len(keys), _BLOCK_ROWS):
            if self._closing.is_set():
                return
            for row in read(connection, keys[start : start + _BLOCK_ROWS]):
                if isinstance(row, int) or not row.is_sound:
                    document = documents[row if isinstance(row, int) else row.key]
                    self.note_document(ids.get(document, str(document)))
