"""Windows of split documents: their rows, and the way from the nearest windows to documents."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw
import numpy as np

from twopass.engines.base import Float32s, Int32s
from twopass.index.connections import ReadConnections
from twopass.index.ranked_list import RankedList
from twopass.index.schema import CollectionSchema
from twopass.index.segments import Int64s
from twopass.index.vectors import Neighbours

# As many windows for each document wanted, at first: neighbours are often of one document.
_WINDOWS_PER_DOCUMENT = 4


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


@dataclass(frozen=True, slots=True, eq=False)
class NearestDocuments:
    """The documents nearest to a query, each by its best window.

    Attributes:
        ranked: The documents, with their best windows' scores.
        windows: The best window of each: first token in its passage, one past the last, int32
            `[num_documents, 2]`.
    """

    ranked: RankedList
    windows: Int32s


class WindowIndex:
    """Finds documents by their windows. Safe to call from several threads; blocks for the disk."""

    def __init__(self, connections: ReadConnections) -> None:
        self._connections = connections

    def of_documents(self, documents: Int64s) -> Int64s:
        """Keys of the windows of documents, int64 `[num_windows]`, ascending."""
        if not len(documents):
            return documents
        with self._connections.borrow() as connection:
            found: list[Any] = connection.execute(
                "SELECT coalesce(group_concat(key), '') FROM windows WHERE document IN carray(?)",
                (apsw.carray(documents),),
            ).fetchall()
        ((keys,),) = found
        return np.sort(np.fromstring(keys, np.int64, sep=","))

    def nearest(self, search: Callable[[int], Neighbours], k: int) -> NearestDocuments:
        """Finds `k` documents by asking for more and more windows until they are of so many.

        Args:
            search: Finds the nearest windows of the query, as many as it is told, or all there are.
            k: Most documents to find.
        """
        num_wanted = k * _WINDOWS_PER_DOCUMENT
        while True:
            found = search(num_wanted)
            keys, scores = found.keys[0], found.scores[0]
            nearest = self._documents(keys, scores, k)
            if len(nearest.ranked.keys) == k or len(keys) < num_wanted:
                return nearest
            num_wanted *= 4

    def _documents(self, keys: Int64s, scores: Float32s, k: int) -> NearestDocuments:
        """The documents of windows, each where its best window stands."""
        place = self._places(keys)
        best: dict[int, tuple[float, tuple[int, int]]] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            if key in place:  # it may have gone since
                document, window = place[key]
                best.setdefault(document, (score, window))
        chosen = list(best.items())[:k]
        return NearestDocuments(
            RankedList(
                np.array([document for document, _ in chosen], np.int64),
                np.array([score for _, (score, _) in chosen], np.float32),
            ),
            np.array([window for _, (_, window) in chosen], np.int32).reshape(-1, 2),
        )

    def _places(self, keys: Int64s) -> dict[int, tuple[int, tuple[int, int]]]:
        """Each window's document, and where it stands in it, by the window's key."""
        if not len(keys):
            return {}
        with self._connections.borrow() as connection:
            rows: list[Any] = connection.execute(
                "SELECT key, document, first_token, end_token FROM windows WHERE key IN carray(?)",
                (apsw.carray(keys),),
            ).fetchall()
        return {key: (document, (first, end)) for key, document, first, end in rows}
