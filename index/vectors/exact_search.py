"""Compares queries with all vectors of a flat index, block after block.

A search in faiss can't be interrupted, but a search in blocks can stop between two of them. Blocks
cost nothing: a block is some ten milliseconds of work for one query, and of several queries all but
the first find the block in the processor's caches, which halves their time.
"""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from twopass.engines.base import Float32s
from twopass.index.arrays import Bytes, Int64s
from twopass.index.stopping import EveryStop, Stop

BLOCK_COMPONENTS = 64 * 1024 * 1024
"""Components compared between two looks at the stop: 170,000 vectors of 384 with one query.

That takes 12 ms on one core.
"""
_MIN_BLOCK_VECTORS = 8_192
_MIN_BLOCK_PER_FOUND = 4
# Blocks begin at multiples of 8 vectors, so that their selection bits begin at a byte.
_BITS = 8


def search_in_blocks(
    index: Any, queries: Float32s, k: int, bits: Bytes | None, stop: Stop | EveryStop
) -> tuple[Float32s, Int64s]:
    """Finds the nearest vectors of each query.

    Scores are those of the index's own search, bit for bit. Of vectors with equal scores, another
    one may get the last place.

    Args:
        index: faiss's IndexFlat or IndexScalarQuantizer, not empty; nothing is added meanwhile.
        queries: float32 `[num_queries, dimension]`.
        k: Most vectors to find for each query, at least 1.
        bits: Which vectors may be found, a bit each, the lowest of a byte first; None for all.
        stop: Ends the search.

    Returns:
        Scores, float32, and positions, int64, both `[num_queries, k]`, unordered. Where fewer than
        k vectors may be found, the remaining positions are -1.

    Raises:
        StoppedError: The stop was set.
    """
    found: tuple[Float32s, Int64s] | None = None
    for start, end in _blocks(index.ntotal, index.d * len(queries), k):
        stop.check()
        selector = None
        if bits is not None:
            selector = faiss.IDSelectorBitmap(bits[start // _BITS : -(-end // _BITS)])
        parameters = faiss.SearchParameters(sel=selector)
        scores, positions = _part(index, start, end).search(queries, k, params=parameters)
        positions[positions >= 0] += start
        found = best_of(k, found, (scores, positions))
    assert found is not None, "no vectors"
    return found


def _blocks(num_vectors: int, components: int, k: int) -> Iterator[tuple[int, int]]:
    """Cuts vectors into blocks of about one size, each beginning at a byte of the bits."""
    # With blocks of less than a few times k, sorting what each found takes longer than finding it.
    largest = max(_MIN_BLOCK_VECTORS, BLOCK_COMPONENTS // components, _MIN_BLOCK_PER_FOUND * k)
    num_blocks = -(-num_vectors // largest)
    size = -(-num_vectors // max(1, num_blocks))
    size += -size % _BITS
    for start in range(0, num_vectors, max(1, size)):
        yield start, min(start + size, num_vectors)


def _part(index: Any, start: int, end: int) -> Any:
    """A part of an index's vectors, as an index that shares its memory."""
    if start == 0 and end == index.ntotal:
        return index
    if isinstance(index, faiss.IndexFlat):
        part = faiss.IndexFlat(index.d, index.metric_type)
    else:
        part = faiss.IndexScalarQuantizer(index.d, index.sq.qtype, index.metric_type)
    size = index.sa_code_size()
    codes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * size)
    part.codes = faiss.MaybeOwnedVectorUInt8.create_view(
        faiss.swig_ptr(codes[start * size : end * size]), (end - start) * size, index.codes.owner
    )
    part.ntotal = end - start
    return part


def best_of(
    k: int, found: tuple[Float32s, Int64s] | None, others: tuple[Float32s, Int64s]
) -> tuple[Float32s, Int64s]:
    """The `k` best of what was found so far, if anything, and of others: scores and positions."""
    if found is None:
        return others
    scores = np.concatenate([found[0], others[0]], axis=1)
    positions = np.concatenate([found[1], others[1]], axis=1)
    # Empty places have the lowest possible score, so they are dropped first.
    kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return np.take_along_axis(scores, kept, 1), np.take_along_axis(positions, kept, 1)
