"""Walks an HNSW graph to the nearest vectors that may be answered.

faiss's own search with a selector keeps what may be answered of all that a walk comes by. That is
right where such vectors lie everywhere. Where they lie far from the query, or what lies near it was
deleted, the walk ends before it has come to them, and finds few, or none, or the wrong ones. So a
walk here finds the nearest of all vectors, as many as hold enough of those that may be answered if
these lie anywhere; `belief` tells whether they can be believed.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.stopping import EveryStop, Stop
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.belief import is_believed, num_holding
from twopass.index.vectors.search_threads import ALONE, SearchThreads

# A walk that found too little is followed by one that is so many times as wide.
_WIDER = 4

_Walked: TypeAlias = tuple[Float32s, Int64s, Bools]
"""Scores and positions, `[num_queries, k]`, and which queries found what can be believed."""


def walk(
    index: Any,
    queries: Float32s,
    k: int,
    ef_search: int,
    answerable: Answerable,
    *,
    may_widen: Callable[[int], bool],
    per_call: Callable[[int], int],
    stop: Stop | EveryStop,
    threads: SearchThreads = ALONE,
) -> _Walked:
    """Finds the nearest of the vectors that may be answered, where that is sure.

    Args:
        index: faiss's IndexHNSW.
        queries: float32 `[num_queries, dimension]`.
        k: Most vectors to find for each query, at least 1, at most as many as may be answered.
        ef_search: How wide a walk is where every vector may be answered.
        answerable: The vectors that may be found.
        may_widen: Whether a second walk, of the given width, is better than comparing with all.
        per_call: How many queries may walk between two looks at the stop, by the width.
        stop: Ends the search.
        threads: Who walks.

    Returns:
        Scores, float32, and positions, int64, both `[num_queries, k]`, unordered. Which queries
        found what can be believed, bool `[num_queries]`; the rows of others mean nothing.

    Raises:
        StoppedError: The stop was set.
    """
    scores = np.full((len(queries), k), -np.inf, np.float32)
    positions = np.full((len(queries), k), -1, np.int64)
    believed = np.zeros(len(queries), np.bool_)
    width = width_of(ef_search, k, answerable.share)
    while True:
        left = np.flatnonzero(~believed)
        size = min(per_call(width), -(-len(left) // threads.count))
        pieces = np.split(left, range(size, len(left), size))

        def walk_some(rows: Int64s, width: int = width) -> _Walked:
            stop.check()
            return _walk_once(index, queries[rows], k, width, answerable)

        # Not by OpenMP, whose threads wait for each other at the end of each call.
        for rows, found in zip(pieces, threads.each(walk_some, pieces), strict=True):
            scores[rows], positions[rows], believed[rows] = found
        width *= _WIDER
        if believed.all() or answerable.is_everything or not may_widen(width):
            return scores, positions, believed


def width_of(ef_search: int, k: int, share: float) -> int:
    """How wide the first walk is, for `k` of vectors of which a share may be answered."""
    if share == 1:
        return max(ef_search, k)
    return num_holding(k, share, at_least=ef_search)


def _walk_once(
    index: Any, queries: Float32s, k: int, width: int, answerable: Answerable
) -> _Walked:
    parameters = faiss.SearchParametersHNSW(efSearch=width)
    if answerable.is_everything:
        scores, positions = index.search(queries, k, params=parameters)
        return scores, positions, (positions >= 0).all(axis=1)
    scores, positions = index.search(queries, min(width, index.ntotal), params=parameters)
    kept = (positions >= 0) & answerable.mask[positions]
    # A stable sort of booleans puts what is kept first, in its order: best first.
    first = np.argsort(~kept, axis=1, kind="stable")[:, :k]
    depth = first[:, -1] + 1
    num_found = (positions >= 0).sum(axis=1)
    believed = (kept.sum(axis=1) >= k) & is_believed(depth, num_found, k, answerable.share)
    return np.take_along_axis(scores, first, 1), np.take_along_axis(positions, first, 1), believed
