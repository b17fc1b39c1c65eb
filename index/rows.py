"""Rows of the documents' table, and the checksum by which a damaged one is told."""

import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

_COLUMNS = (
    "key, id, token_ids, embedding, CAST(title AS BLOB), CAST(text AS BLOB), "
    "CAST(metadata AS BLOB), checksum"
)


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


def read_rows(connection: apsw.Connection, keys: Sequence[int]) -> Iterator[Row | int]:
    """Reads rows by key; those that are gone are left out.

    Yields:
        A row, which may be unsound, or the key of one that SQLite can't read at all.

    Raises:
        apsw.Error: Other than one row's.
    """
    try:
        rows: list[Any] = connection.execute(
            f"SELECT {_COLUMNS} FROM documents WHERE key IN (SELECT value FROM json_each(?))",  # noqa: S608
            (json.dumps(list(keys)),),
        ).fetchall()
    except (apsw.CorruptError, UnicodeDecodeError):
        yield from _read_one_by_one(connection, keys)
        return
    for row in rows:
        yield Row(*row)


def _read_one_by_one(connection: apsw.Connection, keys: Sequence[int]) -> Iterator[Row | int]:
    for key in keys:
        try:
            rows: list[Any] = connection.execute(
                f"SELECT {_COLUMNS} FROM documents WHERE key = ?",  # noqa: S608
                (key,),
            ).fetchall()
        except (apsw.CorruptError, UnicodeDecodeError):
            yield key
            continue
        for row in rows:
            yield Row(*row)


def read_ids(connection: apsw.Connection) -> dict[int, str]:
    """Every document's id by its key, from the index of ids: damaged rows do not hide them."""
    return dict(
        connection.execute("SELECT key, id FROM documents INDEXED BY sqlite_autoindex_documents_1")
    )
