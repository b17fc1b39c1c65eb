"""Rows of the documents' table, and the checksum by which a damaged one is told."""

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

_DOCUMENTS = (
    "SELECT key, id, token_ids, embedding, CAST(title AS BLOB), CAST(text AS BLOB), "
    "CAST(metadata AS BLOB), checksum FROM documents "
)
_WINDOWS = "SELECT key, embedding, checksum FROM windows "


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is on disk; a damaged one may hold anything.

    Attributes:
        key: Of this version of the document.
        id: The document's.
        token_ids: Little-endian int32.
        embedding: Little-endian float32.
        title: UTF-8.
        text: UTF-8.
        metadata: A JSON object in UTF-8.
        checksum: What `checksum_of` said of the others, but for the key, when it was written.
    """

    key: int
    id: str
    token_ids: bytes
    embedding: bytes
    title: bytes
    text: bytes
    metadata: bytes
    checksum: int

    @property
    def is_sound(self) -> bool:
        """Whether it is what was written."""
        try:
            return self.checksum == checksum_of(
                self.id, self.token_ids, self.embedding, self.title, self.text, self.metadata
            )
        except (TypeError, AttributeError):  # not even the columns' types are left
            return False


def checksum_of(
    document_id: str,
    token_ids: bytes,
    embedding: bytes,
    title: bytes,
    text: bytes,
    metadata: bytes,
) -> int:
    """CRC-32 of a document's columns."""
    checksum = zlib.crc32(document_id.encode())
    for column in (token_ids, embedding, title, text, metadata):
        checksum = zlib.crc32(column, checksum)
    return checksum


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A window's row as it is on disk; a damaged one may hold anything.

    Attributes:
        key: The window's.
        embedding: Little-endian float32.
        checksum: CRC-32 of the embedding when it was written.
    """

    key: int
    embedding: bytes
    checksum: int

    @property
    def is_sound(self) -> bool:
        """Whether it is what was written."""
        return isinstance(self.embedding, bytes) and self.checksum == zlib.crc32(self.embedding)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a document is.

    Attributes:
        key: The document's.
        id: The document's.
        num_bytes: Of some of its columns, as they are stored.
    """

    key: int
    id: str
    num_bytes: int


def read_rows(connection: apsw.Connection, keys: Sequence[int]) -> Iterator[Row | int]:
    """Reads documents' rows by key; those that are gone are left out.

    Yields:
        A row, which may be unsound, or the key of one that SQLite can't read at all.

    Raises:
        apsw.Error: Other than one row's.
    """
    for found in _read(connection, _DOCUMENTS, keys):
        yield found if isinstance(found, int) else Row(*found)


def read_window_rows(connection: apsw.Connection, keys: Sequence[int]) -> Iterator[WindowRow | int]:
    """Reads windows' rows by key, as `read_rows` does documents'."""
    for found in _read(connection, _WINDOWS, keys):
        yield found if isinstance(found, int) else WindowRow(*found)


def read_sizes(
    connection: apsw.Connection, keys: Sequence[int], columns: Sequence[str]
) -> Iterator[Size]:
    """Reads how large documents are, by key, in no order; SQLite reads no texts for it.

    What is gone, or can't be read at all, is left out.
    """
    num_bytes = " + ".join(f"octet_length({column})" for column in columns)
    for found in _read(connection, f"SELECT key, id, {num_bytes} FROM documents ", keys):
        if not isinstance(found, int):
            yield Size(*found)


def _read(
    connection: apsw.Connection, select: str, keys: Sequence[int]
) -> Iterator[tuple[Any, ...] | int]:
    try:
        rows: list[Any] = connection.execute(
            select + "WHERE key IN (SELECT value FROM json_each(?))", (json.dumps(list(keys)),)
        ).fetchall()
    except (apsw.CorruptError, UnicodeDecodeError):
        pass
    else:
        yield from rows
        return
    for key in keys:  # one by one, so that only the damaged ones are missed
        try:
            rows = connection.execute(select + "WHERE key = ?", (key,)).fetchall()
        except (apsw.CorruptError, UnicodeDecodeError):
            rows = [key]
        yield from rows


def add_checksums(connection: apsw.Connection) -> None:
    """Adds the checksums' columns to a file that has none, and fills them, in a transaction."""
    functions: dict[str, Callable[..., Any]] = {"checksum_of": checksum_of, "crc32": zlib.crc32}
    for name, function in functions.items():
        connection.create_scalar_function(name, function)
    add = "ALTER TABLE {} ADD COLUMN checksum INTEGER NOT NULL DEFAULT 0"
    connection.execute(add.format("documents"))
    connection.execute(
        "UPDATE documents SET checksum = checksum_of(id, token_ids, embedding, "
        "CAST(title AS BLOB), CAST(text AS BLOB), CAST(metadata AS BLOB))"
    )
    if has_windows(connection):
        connection.execute(add.format("windows"))
        connection.execute("UPDATE windows SET checksum = crc32(embedding)")


def has_windows(connection: apsw.Connection) -> bool:
    """Whether the collection splits its documents."""
    return connection.table_exists(None, "windows")


def read_ids(connection: apsw.Connection) -> dict[int, str]:
    """Every document's id by its key, from the index of ids: damaged rows do not hide them."""
    return dict(
        connection.execute("SELECT key, id FROM documents INDEXED BY sqlite_autoindex_documents_1")
    )


def read_window_documents(connection: apsw.Connection) -> dict[int, int]:
    """The key of each window's document by the window's, from the index of documents."""
    return dict(
        connection.execute("SELECT key, document FROM windows INDEXED BY windows_of_document")
    )
