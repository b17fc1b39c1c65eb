"""Which vectors a document has: its own, or one for each of its windows."""

import zlib
from collections.abc import Sequence
from typing import Protocol

import apsw

from twopass.index.schema import CollectionSchema


class VectorRows(Protocol):
    """Which vectors a document has, for the writer; every method runs inside a transaction."""

    def add(
        self,
        connection: apsw.Connection,
        document: int,
        windows: Sequence[tuple[int, int, bytes]],
    ) -> list[int]:
        """Writes a new document's windows; returns the keys of its vectors, in order."""

    def remove(self, connection: apsw.Connection, documents: Sequence[int]) -> list[int]:
        """Deletes the windows of documents by key; returns the keys of their vectors."""


class WholeDocuments:
    """A document has one vector, in its own row and under its own key."""

    def add(
        self,
        connection: apsw.Connection,  # noqa: ARG002
        document: int,
        windows: Sequence[tuple[int, int, bytes]],  # noqa: ARG002
    ) -> list[int]:
        """As `VectorRows` says."""
        return [document]

    def remove(
        self,
        connection: apsw.Connection,  # noqa: ARG002
        documents: Sequence[int],
    ) -> list[int]:
        """As `VectorRows` says."""
        return list(documents)


class DocumentsInWindows:
    """A document has a vector for each of its windows."""

    def add(
        self,
        connection: apsw.Connection,
        document: int,
        windows: Sequence[tuple[int, int, bytes]],
    ) -> list[int]:
        """As `VectorRows` says."""
        added = []
        for window in windows:
            connection.execute(
                "INSERT INTO windows (document, first_token, end_token, embedding, checksum) "
                "VALUES (?, ?, ?, ?, ?)",
                (document, *window, zlib.crc32(window[2])),
            )
            added.append(connection.last_insert_rowid())
        return added

    def remove(self, connection: apsw.Connection, documents: Sequence[int]) -> list[int]:
        """As `VectorRows` says."""
        removed: list[int] = []
        for document in documents:
            removed += (
                key
                for (key,) in connection.execute(
                    "DELETE FROM windows WHERE document = ? RETURNING key", (document,)
                )
            )
        return removed


def vector_rows(schema: CollectionSchema) -> VectorRows:
    """How the documents of a collection have vectors."""
    return DocumentsInWindows() if schema.chunking else WholeDocuments()
