"""A collection's SQLite file: how it is made and opened, and what its errors mean."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import apsw

from twopass.index.collection_name import CollectionName
from twopass.index.errors import InvalidSchemaError, StoppedError, StorageError
from twopass.index.kinds import IndexKind
from twopass.index.rows.tables import create_tables
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken

FORMAT_VERSION = 5

_EPOCH = datetime.fromtimestamp(0, UTC)
# A row of a 384-component embedding, 128 tokens and a short text is 2.5 KB: 8 KiB pages hold three
# where SQLite's usual 4 KiB would hold one and waste the rest.
_PAGE_BYTES = 8_192
# Holds the pages of a group of writes: what SQLite has to spill, it has to read again.
_WRITER_CACHE_KIB = 8_192
# Only another process, such as a backup or a shell, can ever hold the write lock.
_BUSY_TIMEOUT_MS = 5_000

_REASONS: dict[type[apsw.Error], str] = {
    apsw.FullError: "the disk is full; free some space and try again",
    apsw.ReadOnlyError: "it is read-only; give the server write access to its data folder",
    apsw.IOError: "the disk failed to read or write; check it and the system's log",
    apsw.CorruptError: "it is damaged; restore it from a backup, or delete the collection",
    apsw.NotADBError: "it is no database; restore it from a backup, or delete the collection",
    apsw.CantOpenError: "it can't be opened; check that it exists, and that the server may "
    "write to it and to its folder",
    apsw.BusyError: "another process holds its write lock; end that process and try again",
    apsw.NoMemError: "there is not enough memory",
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a collection's file says of the collection.

    Attributes:
        schema: Its schema.
        create_time: When it was created, UTC.
        sequence: Its state after the last write.
        settings: What the server keeps with it; "" for nothing, as in files of before.
    """

    schema: CollectionSchema
    create_time: datetime
    sequence: SequenceToken
    settings: str = ""


@contextmanager
def storage_errors(path: Path, collection: CollectionName | None = None) -> Iterator[None]:
    """Translates SQLite's errors into `StorageError`, in words that say what to do.

    Args:
        path: The file that the block works on.
        collection: What callers know it by; None for a file that belongs to no collection yet.

    Raises:
        StorageError: The disk did not do its part.
        StoppedError: The statement was interrupted.
    """
    try:
        yield
    except apsw.InterruptError as error:
        raise StoppedError from error
    except apsw.Error as error:
        reason = _REASONS.get(type(error), f"SQLite answers: {error}")
        raise StorageError(f"{_subject(collection)}: {reason}", str(path)) from error


def _subject(collection: CollectionName | None) -> str:
    return "the new file" if collection is None else f"collection {collection!r}"


def create_database(path: Path, schema: CollectionSchema) -> None:
    """Writes an empty collection, and closes it.

    Raises:
        StorageError: The disk does not allow it.
    """
    meta = {
        "format_version": FORMAT_VERSION,
        "schema": schema.to_json(),
        "incarnation": uuid.uuid4().hex,
        "create_time_us": time.time_ns() // 1_000,
        "position": 0,
    }
    with storage_errors(path):
        connection = apsw.Connection(str(path))
        try:
            connection.pragma("page_size", _PAGE_BYTES)
            connection.pragma("journal_mode", "WAL")
            with connection:
                create_tables(connection, schema)
                connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        finally:
            connection.close()


def open_for_writing(path: Path) -> apsw.Connection:
    """Opens the one connection that writes; it checkpoints too.

    Raises:
        apsw.Error: It is missing, damaged or not to be written.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
        connection.pragma("synchronous", "FULL")  # every COMMIT waits for the disk
        connection.pragma("cache_size", -_WRITER_CACHE_KIB)
        connection.pragma("fullfsync", True)  # where fsync alone does not wait for it (macOS)
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> apsw.Connection:
    """Opens a connection that reads beside the writer.

    Raises:
        apsw.Error: It is missing or damaged.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(_BUSY_TIMEOUT_MS)
    return connection


def open_closed(path: Path) -> apsw.Connection:
    """Opens a connection that reads a file which nobody has open, and leaves nothing beside it.

    Raises:
        apsw.Error: It is missing or damaged.
    """
    if path.with_name(path.name + "-wal").exists():  # it was not closed: the log counts too
        return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    return apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=flags)


def write_settings(connection: apsw.Connection, settings: str) -> None:
    """Replaces a collection's settings, inside a transaction.

    Raises:
        apsw.Error: They can't be written.
    """
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('settings', ?)", (settings,))


def begin_new_life(path: Path) -> None:
    """Makes a copied file a collection of its own: sequences of the one it was are not of it.

    Raises:
        StorageError: The disk does not allow it.
    """
    with storage_errors(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.pragma("journal_mode", "WAL")
            connection.pragma("synchronous", "FULL")
            with connection:
                connection.executemany(
                    "UPDATE meta SET value = ? WHERE name = ?",
                    [
                        (uuid.uuid4().hex, "incarnation"),
                        (time.time_ns() // 1_000, "create_time_us"),
                    ],
                )
        finally:
            connection.close()


def read_identity(
    connection: apsw.Connection, path: Path, collection: CollectionName | None = None
) -> Identity:
    """Reads what the file says of the collection.

    Args:
        connection: A connection to the file.
        path: The file.
        collection: What callers know it by, as in `storage_errors`.

    Raises:
        StorageError: It is of a newer format, or damaged.
        apsw.Error: It can't be read.
    """
    subject = _subject(collection)
    meta: dict[str, Any] = dict(connection.execute("SELECT name, value FROM meta"))
    version = meta.get("format_version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise StorageError(
            f"{subject}: its format is {version}, this server reads up to "
            f"{FORMAT_VERSION}; upgrade the server",
            str(path),
        )
    try:
        schema = CollectionSchema.from_json(meta["schema"])
        IndexKind.parse(schema.index_kind)
        return Identity(
            schema,
            _EPOCH + timedelta(microseconds=meta["create_time_us"]),
            SequenceToken(meta["incarnation"], meta["position"]),
            str(meta.get("settings", "")),
        )
    except InvalidSchemaError as error:
        raise StorageError(
            f"{subject}: this server can't serve it: {error}; upgrade the server, or "
            "restore it from a backup",
            str(path),
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{subject}: what its file says of it is damaged ({error}); restore it from a "
            "backup, or delete the collection",
            str(path),
        ) from error
