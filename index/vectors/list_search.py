"""Searches the lists of an IVF index a few at a time, so that a search through many can be left."""

from typing import Any

import faiss
import numpy as np

from twopass.engines.base import Float32s
from twopass.index.arrays import Bytes, Int64s
from twopass.index.stopping import EveryStop, Stop
from twopass.index.vectors.exact_search import best_of


def search_lists(
    index: Any,
    queries: Float32s,
    k: int,
    nprobe: int,
    bits: Bytes | None,
    stop: Stop | EveryStop,
    *,
    lists_per_call: int,
) -> tuple[Float32s, Int64s]:
    """Finds the nearest vectors of each query in its `nprobe` nearest lists.

    Scores are those of the index's own search, bit for bit. faiss uses one thread, where its own
    search would give each query one.

    Args:
        index: faiss's IndexIVF.
        queries: float32 `[num_queries, dimension]`.
        k: At least 1.
        nprobe: At most as many as the index has lists.
        bits: Which vectors may be found, a bit each, the lowest of a byte first; None for all.
        stop: Ends the search.
        lists_per_call: How many lists of each query are searched between two looks at the stop.

    Returns:
        Scores, float32, and positions, int64, both `[num_queries, k]`, in no order; -1 where there
        are fewer.

    Raises:
        StoppedError: The stop was set.
    """
    queries = np.ascontiguousarray(queries, np.float32)
    nearness, lists = index.quantizer.search(queries, nprobe)
    selector = None if bits is None else faiss.IDSelectorBitmap(bits)
    found: tuple[Float32s, Int64s] | None = None
    for start in range(0, nprobe, lists_per_call):
        stop.check()
        some = slice(start, start + lists_per_call)
        some_lists = np.ascontiguousarray(lists[:, some])
        some_nearness = np.ascontiguousarray(nearness[:, some])
        scores = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        index.search_preassigned_c(
            len(queries),
            faiss.swig_ptr(queries),
            k,
            faiss.swig_ptr(some_lists),
            faiss.swig_ptr(some_nearness),
            faiss.swig_ptr(scores),
            faiss.swig_ptr(positions),
            False,
            faiss.SearchParametersIVF(sel=selector, nprobe=some_lists.shape[1]),
        )
        found = best_of(k, found, (scores, positions))
    assert found is not None, "no lists"
    return found
