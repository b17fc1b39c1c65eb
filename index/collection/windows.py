"""Finds the documents nearest to a query by their windows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np

from twopass.engines.base import Float32s, Int32s
from twopass.index.arrays import Int64s
from twopass.index.ranked_list import RankedList
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.keys import ALL_KEYS, read_keys
from twopass.index.stopping import NEVER, Stop
from twopass.index.vectors.vector_index import Neighbours

_KEYS_OF_DOCUMENTS = f"SELECT {ALL_KEYS} FROM windows WHERE document IN carray(?)"
# Windows to look for at first, for each document wanted: neighbours are often of one document.
_WINDOWS_PER_DOCUMENT = 4


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

    def of_documents(self, documents: Int64s, stop: Stop = NEVER) -> Int64s:
        """Keys of the windows of documents, int64 `[num_windows]`, ascending."""
        if not len(documents):
            return documents
        with self._connections.borrow(stop) as connection:
            found: list[Any] = connection.execute(
                _KEYS_OF_DOCUMENTS, (apsw.carray(documents),)
            ).fetchall()
        ((keys,),) = found
        return read_keys(keys, stop)

    def nearest(
        self, search: Callable[[int], Neighbours], k: int, stop: Stop = NEVER
    ) -> NearestDocuments:
        """Finds `k` documents by asking for more and more windows, until they cover `k` documents.

        Args:
            search: Finds the given number of windows nearest to the query, or all if fewer exist.
            k: Most documents to find.
            stop: Ends the search.
        """
        num_wanted = k * _WINDOWS_PER_DOCUMENT
        while True:
            found = search(num_wanted)
            keys, scores = found.keys[0], found.scores[0]
            nearest = self._documents(keys, scores, k, stop)
            if len(nearest.ranked.keys) == k or len(keys) < num_wanted:
                return nearest
            num_wanted *= 4

    def _documents(self, keys: Int64s, scores: Float32s, k: int, stop: Stop) -> NearestDocuments:
        """The documents of windows, each where its best window stands."""
        windows = self._windows_of(keys, stop)
        best: dict[int, tuple[float, tuple[int, int]]] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            stop.check()
            if key in windows:  # it may have gone since
                document, window = windows[key]
                best.setdefault(document, (score, window))
        chosen = list(best.items())[:k]
        return NearestDocuments(
            RankedList(
                np.array([document for document, _ in chosen], np.int64),
                np.array([score for _, (score, _) in chosen], np.float32),
            ),
            np.array([window for _, (_, window) in chosen], np.int32).reshape(-1, 2),
        )

    def _windows_of(self, keys: Int64s, stop: Stop) -> dict[int, tuple[int, tuple[int, int]]]:
        """Each window's document, its first token there and one past its last, by its key."""
        if not len(keys):
            return {}
        with self._connections.borrow(stop) as connection:
            rows: list[Any] = connection.execute(
                "SELECT key, document, first_token, end_token FROM windows WHERE key IN carray(?)",
                (apsw.carray(keys),),
            ).fetchall()
        return {key: (document, (first, end)) for key, document, first, end in rows}
