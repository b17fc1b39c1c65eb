"""Finds the documents nearest to a query, some of them by their windows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import apsw
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.key_sets import union
from twopass.index.ranked_list import RankedList
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.keys import ALL_KEYS, read_keys
from twopass.index.stopping import NEVER, Stop
from twopass.index.vectors.vector_index import Neighbours

_KEYS_OF_DOCUMENTS = (
    f"SELECT {ALL_KEYS}, count(DISTINCT document) FROM windows WHERE document IN carray(?)"
)
# Vectors to look for at first beyond one for each document wanted, for each of these that may be
# split: neighbours are often of one document.
_MORE_WINDOWS = 3


@dataclass(frozen=True, slots=True, eq=False)
class NearestDocuments:
    """The documents nearest to a query, each by its best window.

    Attributes:
        ranked: The documents, with the scores of their vectors or best windows.
        windows: The best window of each document that is split, by the document's key: its first
            token in the passage and one past its last.
        exact: Whether the query was compared with every vector that could be found.
    """

    ranked: RankedList
    windows: Mapping[int, tuple[int, int]]
    exact: bool = True


class WindowIndex:
    """Finds documents by their windows. Safe to call from several threads; blocks for the disk."""

    def __init__(self, connections: ReadConnections) -> None:
        self._connections = connections

    def of_documents(self, documents: Int64s, stop: Stop = NEVER) -> tuple[Int64s, int]:
        """Keys of the windows of documents, int64, ascending, and how many of these are split."""
        if not len(documents):
            return documents, 0
        with self._connections.borrow(stop) as connection:
            found: list[Any] = connection.execute(
                _KEYS_OF_DOCUMENTS, (apsw.carray(documents),)
            ).fetchall()
        ((keys, num_split),) = found
        return read_keys(keys, stop), num_split

    def vectors_of(self, documents: Int64s, stop: Stop = NEVER) -> Int64s:
        """Keys of the vectors of documents, of windows or their own, int64, ascending."""
        # A split document's key is its last window's; a document of an older format that is split
        # has a key that no vector has.
        return union(documents, self.of_documents(documents, stop)[0])

    def nearest(
        self, search: Callable[[int], Neighbours], k: int, num_split: int, stop: Stop = NEVER
    ) -> NearestDocuments:
        """Finds `k` documents by asking for more and more vectors, until they cover `k` documents.

        Args:
            search: Finds the given number of vectors nearest to the query, or all if fewer exist.
            k: Most documents to find.
            num_split: How many documents are split: none, and no vector more than `k` is needed.
            stop: Ends the search.
        """
        num_wanted = k + _MORE_WINDOWS * min(k, num_split)
        while True:
            found = search(num_wanted)
            keys, scores = found.keys[0], found.scores[0]
            nearest = self._documents(keys, scores, k, stop)
            if len(nearest.ranked.keys) == k or len(keys) < num_wanted:
                return replace(nearest, exact=bool(found.exact[0]))
            num_wanted *= 4

    def _documents(self, keys: Int64s, scores: Float32s, k: int, stop: Stop) -> NearestDocuments:
        """The documents of vectors, each where its best vector stands."""
        found = self._windows_of(keys, stop)
        # The key of a window that has gone since is taken for a document's, which has gone too.
        best: dict[int, float] = {}
        windows: dict[int, tuple[int, int]] = {}
        for key, score in zip(keys.tolist(), scores.tolist(), strict=True):
            stop.check()
            document, window = found.get(key, (key, None))
            if document in best:
                continue
            if len(best) == k:
                break
            best[document] = score
            if window is not None:
                windows[document] = window
        ranked = RankedList(
            np.fromiter(best, np.int64, len(best)),
            np.fromiter(best.values(), np.float32, len(best)),
        )
        return NearestDocuments(ranked, windows)

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
