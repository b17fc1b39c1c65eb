"""The SQLite file of feedback: clicks, judgements, and the sums of shadow comparisons.

One connection, used by one thread at a time. Every change is on the disk when its method returns.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from twopass.index.errors import StorageError
from twopass.index.feedback import (
    Feedback,
    FeedbackKind,
    FeedbackPage,
    FeedbackTally,
    Selection,
)
from twopass.server.feedback.sums import Seen, StoredSums

FILE_NAME = "feedback.sqlite"
FORMAT_VERSION = 1

_DAY_US = 24 * 3600 * 1_000_000
_BUSY_TIMEOUT_MS = 5_000
# Keys are few bytes: SQLite compares them row by row, so whole statements take them in pieces.
_KEYS_AT_ONCE = 500

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE feedback (
  collection TEXT NOT NULL, query_id TEXT NOT NULL, document_id TEXT NOT NULL,
  kind INTEGER NOT NULL, grade INTEGER NOT NULL, rank INTEGER NOT NULL, time_us INTEGER NOT NULL,
  PRIMARY KEY (collection, query_id, document_id, kind)
) WITHOUT ROWID;
CREATE INDEX feedback_by_time ON feedback (time_us);
CREATE TABLE query_texts (
  collection TEXT NOT NULL, query_id TEXT NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (collection, query_id)
) WITHOUT ROWID;
CREATE TABLE shadow_sums (
  shadow TEXT NOT NULL, collection TEXT NOT NULL, definition TEXT NOT NULL, sums TEXT NOT NULL,
  PRIMARY KEY (shadow, collection)
) WITHOUT ROWID;
CREATE TABLE shadow_seen (
  collection TEXT NOT NULL, query_id TEXT NOT NULL, shadow TEXT NOT NULL, kind INTEGER NOT NULL,
  PRIMARY KEY (collection, query_id, shadow, kind)
) WITHOUT ROWID;
"""

_COLUMNS = (
    "query_id, document_id, kind, grade, time_us, rank, "
    "coalesce((SELECT text FROM query_texts AS t WHERE t.collection = feedback.collection "
    "AND t.query_id = feedback.query_id), '')"
)


class FeedbackDatabase:
    """The file, made when something is first written into it.

    Attributes:
        path: Where it is.
        num_rows: Clicks and judgements in it, as far as is known without opening it.
    """

    def __init__(self, folder: Path, *, max_rows: int, max_days: int) -> None:
        """Notes where the file is; neither makes nor opens it.

        Args:
            folder: The data folder.
            max_rows: Most clicks and judgements that are kept.
            max_days: Days after which they are deleted; 0 for never.
        """
        self.path = folder / FILE_NAME
        self.num_rows = 0
        self._max_rows = max_rows
        self._max_days = max_days
        self._connection: apsw.Connection | None = None

    def open(self) -> None:
        """Opens the file if it is there, and deletes what is too old. Idempotent.

        Raises:
            StorageError: It is damaged, of a newer format, or can't be written.
        """
        if self._connection is None and self.path.exists():
            with self._errors():
                self._connection = self._opened()
                self._delete_old()

    def record(
        self,
        collection: str,
        rows: Sequence[Feedback],
        texts: Mapping[str, str],
    ) -> None:
        """Writes clicks and judgements; of the same query, document and kind the last one stays.

        Args:
            collection: The collection's own name.
            rows: What to write; the text in them is not.
            texts: Texts of queries by their ids.

        Raises:
            StorageError: The disk does not allow it; nothing is written.
        """
        with self._errors(), self._writing() as connection:
            keys = {(collection, row.query_id, row.document_id, int(row.kind)) for row in rows}
            num_known = sum(_has(connection, key) for key in keys)
            connection.executemany(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                "grade = excluded.grade, rank = max(rank, excluded.rank), "
                "time_us = excluded.time_us",
                [
                    (collection, r.query_id, r.document_id, int(r.kind), r.grade, r.rank, r.time_us)
                    for r in rows
                ],
            )
            connection.executemany(
                "INSERT INTO query_texts VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET "
                "text = excluded.text",
                [(collection, query_id, text) for query_id, text in texts.items()],
            )
            self.num_rows += len(keys) - num_known
            self._delete_old()

    def page(
        self,
        collection: str,
        selection: Selection,
        after: tuple[str, str, int] | None,
        limit: int,
    ) -> FeedbackPage:
        """Reads a page of a collection's feedback.

        Args:
            collection: The collection's own name.
            selection: Which feedback.
            after: Query, document and kind of the last row of the page before; None for the first.
            limit: Most rows.

        Raises:
            StorageError: The file can't be read.
        """
        self.open()
        if self._connection is None:
            return FeedbackPage([], has_more=False)
        conditions, values = _conditions(collection, selection)
        if after is not None:
            conditions += " AND (query_id, document_id, kind) > (?, ?, ?)"
            values += after
        with self._errors():
            # The conditions are constants; what callers gave is in the values.
            asked = (
                f"SELECT {_COLUMNS} FROM feedback WHERE {conditions} "  # noqa: S608
                "ORDER BY query_id, document_id, kind LIMIT ?"
            )
            found = list(self._connection.execute(asked, (*values, limit + 1)))
        rows = [
            Feedback(
                query_id=query_id,
                document_id=document_id,
                kind=FeedbackKind(kind),
                grade=grade,
                time_us=time_us,
                rank=rank,
                query=text,
            )
            for query_id, document_id, kind, grade, time_us, rank, text in found[:limit]
        ]
        return FeedbackPage(rows, has_more=len(found) > limit)

    def tally(self, collection: str, selection: Selection) -> FeedbackTally:
        """Counts a collection's feedback.

        Args:
            collection: The collection's own name.
            selection: Which feedback.

        Raises:
            StorageError: The file can't be read.
        """
        self.open()
        if self._connection is None:
            return FeedbackTally()
        conditions, values = _conditions(collection, selection)
        with self._errors():
            asked = (
                "SELECT kind, count(*), count(DISTINCT query_id), "  # noqa: S608  # constants
                "sum(rank > 0), sum(rank = 1), total(iif(rank > 0, 1.0 / rank, 0)), sum(grade > 0) "
                f"FROM feedback WHERE {conditions} GROUP BY kind"
            )
            found = {row[0]: row[1:] for row in self._connection.execute(asked, values)}
        nothing = (0,) * 6
        clicks = found.get(int(FeedbackKind.CLICK), nothing)
        judgements = found.get(int(FeedbackKind.JUDGEMENT), nothing)
        return FeedbackTally(
            num_clicks=clicks[0],
            num_clicked_queries=clicks[1],
            num_ranked_clicks=clicks[2],
            num_first_clicks=clicks[3],
            sum_reciprocal_ranks=clicks[4],
            num_judgements=judgements[0],
            num_judged_queries=judgements[1],
            num_relevant=judgements[5],
        )

    def delete(self, collection: str, selection: Selection) -> int:
        """Deletes feedback for good, with all that names its queries; returns how many rows.

        Raises:
            StorageError: The disk does not allow it.
        """
        self.open()
        if self._connection is None:
            return 0
        num_deleted = 0
        with self._errors(), self._writing() as connection:
            for some in _in_pieces(selection):
                conditions, values = _conditions(collection, some)
                named = list(
                    connection.execute(
                        f"SELECT DISTINCT query_id FROM feedback WHERE {conditions}",  # noqa: S608
                        values,
                    )
                )
                connection.execute(f"DELETE FROM feedback WHERE {conditions}", values)  # noqa: S608
                num_deleted += connection.changes()
                asked = [(query_id,) for query_id in some.query_ids]
                self._forget_queries(connection, collection, [*named, *asked])
            self._count(connection)
        self._checkpoint()
        return num_deleted

    def delete_collection(self, collection: str) -> None:
        """Deletes all that is kept for a collection, sums of comparisons included."""
        self.open()
        if self._connection is None:
            return
        with self._errors(), self._writing() as connection:
            for table in ("feedback", "query_texts", "shadow_sums", "shadow_seen"):
                connection.execute(f"DELETE FROM {table} WHERE collection = ?", (collection,))  # noqa: S608
            self._count(connection)
        self._checkpoint()

    def rename_collection(self, name: str, new_name: str) -> None:
        """Moves all that is kept for a collection to its new name."""
        self.open()
        if self._connection is None:
            return
        with self._errors(), self._writing() as connection:
            for table in ("feedback", "query_texts", "shadow_sums", "shadow_seen"):
                connection.execute(
                    f"UPDATE OR REPLACE {table} SET collection = ? WHERE collection = ?",  # noqa: S608
                    (new_name, name),
                )

    def read_sums(self) -> StoredSums:
        """The sums of comparisons, by shadow and collection: what was compared, and the sums."""
        self.open()
        if self._connection is None:
            return {}
        with self._errors():
            return {
                (shadow, collection): (definition, sums)
                for shadow, collection, definition, sums in self._connection.execute(
                    "SELECT shadow, collection, definition, sums FROM shadow_sums"
                )
            }

    def not_seen(self, wanted: Sequence[Seen]) -> list[Seen]:
        """Those of `wanted` that were not compared before."""
        self.open()
        if self._connection is None:
            return list(wanted)
        with self._errors():
            return [
                each
                for each in wanted
                if not list(
                    self._connection.execute(
                        "SELECT 1 FROM shadow_seen WHERE (collection, query_id, shadow, kind) "
                        "= (?, ?, ?, ?)",
                        each,
                    )
                )
            ]

    def write_sums(
        self,
        sums: Mapping[tuple[str, str], tuple[str, str]],
        seen: Sequence[Seen],
        *,
        restarted: Sequence[str] = (),
    ) -> None:
        """Writes the sums of comparisons, and what is in them.

        Args:
            sums: As `read_sums` returns them.
            seen: What they hold since the last time.
            restarted: Shadows that are not what they were: what they had seen is forgotten first.
        """
        with self._errors(), self._writing() as connection:
            for shadow in restarted:
                connection.execute("DELETE FROM shadow_seen WHERE shadow = ?", (shadow,))
                connection.execute("DELETE FROM shadow_sums WHERE shadow = ?", (shadow,))
            connection.executemany(
                "INSERT OR REPLACE INTO shadow_sums VALUES (?, ?, ?, ?)",
                [(*key, *value) for key, value in sums.items()],
            )
            connection.executemany("INSERT OR IGNORE INTO shadow_seen VALUES (?, ?, ?, ?)", seen)

    def close(self) -> None:
        """Closes the file; the log beside it is gone then. Idempotent."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _opened(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        try:
            connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
            connection.pragma("journal_mode", "WAL")
            connection.pragma("synchronous", "FULL")  # every COMMIT waits for the disk
            connection.pragma("fullfsync", True)
            connection.pragma("secure_delete", True)  # what is deleted is overwritten
            if not list(connection.execute("SELECT 1 FROM sqlite_schema")):
                with connection:
                    connection.execute(_TABLES)
                    connection.execute(
                        "INSERT INTO meta VALUES ('format_version', ?)", (FORMAT_VERSION,)
                    )
            ((version,),) = connection.execute(
                "SELECT value FROM meta WHERE name = 'format_version'"
            )
            if version > FORMAT_VERSION:
                raise StorageError(
                    f"feedback: its format is {version}, this server reads up to {FORMAT_VERSION}; "
                    "upgrade the server",
                    str(self.path),
                )
            self._count(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _writing(self) -> Iterator[apsw.Connection]:
        """A transaction on the file, which is made where it is missing."""
        if self._connection is None:
            self._connection = self._opened()
        with self._connection:
            yield self._connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except apsw.FullError as error:
            raise StorageError(
                "feedback: the disk is full; free some space and try again", str(self.path)
            ) from error
        except apsw.Error as error:
            raise StorageError(
                f"feedback: its file can't be used ({error}); check the disk, or move the file "
                "away to begin anew",
                str(self.path),
            ) from error

    def _count(self, connection: apsw.Connection) -> None:
        ((self.num_rows,),) = connection.execute("SELECT count(*) FROM feedback")

    def _delete_old(self) -> None:
        """Deletes what is too old, and the oldest of what is too much."""
        assert self._connection is not None
        ends = []
        if self._max_days:
            ends.append(time.time_ns() // 1_000 - self._max_days * _DAY_US)
        if self.num_rows > self._max_rows:
            # A tenth less than may be, so that not every write deletes.
            num_over = self.num_rows - self._max_rows + self._max_rows // 10
            ((end,),) = self._connection.execute(
                "SELECT max(time_us) FROM (SELECT time_us FROM feedback ORDER BY time_us LIMIT ?)",
                (num_over,),
            )
            ends.append(end + 1)
        if not ends:
            return
        with self._connection as connection:
            gone = list(
                connection.execute(
                    "SELECT DISTINCT collection, query_id FROM feedback WHERE time_us < ?",
                    (max(ends),),
                )
            )
            if not gone:
                return
            connection.execute("DELETE FROM feedback WHERE time_us < ?", (max(ends),))
            for collection, query_id in gone:
                self._forget_queries(connection, collection, [(query_id,)])
            self._count(connection)

    @staticmethod
    def _forget_queries(
        connection: apsw.Connection, collection: str, query_ids: Sequence[tuple[Any, ...]]
    ) -> None:
        """Deletes the texts and traces of queries that have no feedback any more."""
        for table in ("query_texts", "shadow_seen"):
            connection.executemany(
                f"DELETE FROM {table} WHERE collection = ?1 AND query_id = ?2 AND NOT EXISTS "  # noqa: S608
                "(SELECT 1 FROM feedback WHERE collection = ?1 AND query_id = ?2)",
                [(collection, query_id) for (query_id,) in query_ids],
            )

    def _checkpoint(self) -> None:
        """Moves the log into the file and empties it: what was deleted is in neither then."""
        assert self._connection is not None
        with self._errors():
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


def _has(connection: apsw.Connection, key: tuple[str, str, str, int]) -> bool:
    """Whether there is feedback of a collection, query, document and kind."""
    asked = "SELECT 1 FROM feedback WHERE (collection, query_id, document_id, kind) = (?, ?, ?, ?)"
    return bool(list(connection.execute(asked, key)))


def _conditions(collection: str, selection: Selection) -> tuple[str, tuple[Any, ...]]:
    """A condition of SQL that selects feedback, and its values."""
    conditions, values = ["collection = ?"], [collection]  # type: list[str], list[Any]
    if selection.query_ids:
        conditions.append(f"query_id IN ({', '.join('?' * len(selection.query_ids))})")
        values += selection.query_ids
    if selection.kind is not None:
        conditions.append("kind = ?")
        values.append(int(selection.kind))
    if selection.start_us is not None:
        conditions.append("time_us >= ?")
        values.append(selection.start_us)
    if selection.end_us is not None:
        conditions.append("time_us < ?")
        values.append(selection.end_us)
    return " AND ".join(conditions), tuple(values)


def _in_pieces(selection: Selection) -> Iterator[Selection]:
    """The selection, by so many queries at a time as one statement takes."""
    if not selection.query_ids:
        yield selection
    for start in range(0, len(selection.query_ids), _KEYS_AT_ONCE):
        yield Selection(
            query_ids=selection.query_ids[start : start + _KEYS_AT_ONCE],
            kind=selection.kind,
            start_us=selection.start_us,
            end_us=selection.end_us,
        )
