"""Compares queries with all vectors that may be answered, piece after piece.

A search in faiss can't be interrupted, but a search in pieces can stop between two of them, and
several threads can each take some. How vectors are cut into pieces does not depend on the number
of threads, so neither does what is found.

Measured for one query among 1,000,000 vectors of 384 components, ms on one core of an AMD Zen 4
that others used too, best of five::

    may be answered           10   1,000   10,000   100,000   900,000
    by a bit for each        1.4     1.5      6.7        29        75
    by their positions      0.01    0.05      2.5        21       121
    copied, then compared   0.02    0.16      5.6       183     1,340
    copied, then BLAS       0.01    0.10      4.6        80       774

BLAS also rounds a sum differently beside other queries.
"""

from collections.abc import Iterator
from typing import Any

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bytes, Int64s
from twopass.index.stopping import EveryStop, Stop
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.search_threads import ALONE, SearchThreads

BLOCK_COMPONENTS = 32 * 1024 * 1024
"""Most components compared between two looks at the stop: 87,000 vectors of 384 with one query.

That takes 6 ms on one core.
"""
# A millisecond, which is worth handing to another thread.
_MIN_BLOCK_COMPONENTS = 4 * 1024 * 1024
# More than this many make no search shorter.
_MAX_PIECES = 64
# Of several queries all but the first find a block of so many in the processor's caches.
_MIN_BLOCK_VECTORS = 8_192
MIN_PIECE_PER_FOUND = 4
"""Fewest vectors of a piece for each of k: with fewer, sorting what was found takes longer."""
# Blocks begin at multiples of 8 vectors, so that their selection bits begin at a byte.
_BITS = 8
# Fewer than one in so many vectors are read by their positions: looking at every bit takes longer.
_SPARSE = 4
_SPARSE_CODES = 32
# Codes copied at once: no more than the processor's caches hold.
_MAX_COPIED = 2_048


def search_exactly(
    index: Any,
    queries: Float32s,
    k: int,
    answerable: Answerable,
    stop: Stop | EveryStop,
    threads: SearchThreads = ALONE,
) -> tuple[Float32s, Int64s]:
    """Finds the nearest of the vectors that may be answered.

    Scores are those of the index's own search, bit for bit. Of vectors with equal scores, another
    one may get the last place.

    Args:
        index: faiss's IndexFlat or IndexScalarQuantizer, not empty; nothing is added meanwhile.
        queries: float32 `[num_queries, dimension]`.
        k: Most vectors to find for each query, at least 1.
        answerable: The vectors that may be found.
        stop: Ends the search.
        threads: Who compares.

    Returns:
        Scores, float32, and positions, int64, both `[num_queries, k]`, unordered. Where fewer than
        k vectors may be found, the remaining positions are -1.

    Raises:
        StoppedError: The stop was set.
    """
    is_flat = isinstance(index, faiss.IndexFlat)
    sparse = _SPARSE if is_flat else _SPARSE_CODES
    if answerable.count * sparse < answerable.num_vectors:
        some = answerable.positions

        def compare(block: tuple[int, int]) -> tuple[Float32s, Int64s]:
            stop.check()
            by_position = _of_positions if is_flat else _of_copied
            return by_position(index, queries, k, some[slice(*block)])

        most = None if is_flat else _MAX_COPIED
        blocks = _blocks(len(some), index.d * len(queries), k, most)
    else:
        bits = answerable.bits

        def compare(block: tuple[int, int]) -> tuple[Float32s, Int64s]:
            stop.check()
            return _of_block(index, queries, k, bits, *block)

        blocks = _blocks(index.ntotal, index.d * len(queries), k)
    return best_of(k, threads.each(compare, list(blocks)), len(queries))


def vectors_of(index: Any) -> Float32s:
    """An IndexFlat's own memory, float32 `[num_vectors, dimension]`, until something is added."""
    vectors: Float32s = _codes(index).view(np.float32)
    return vectors


def scores_at(index: Any, queries: Float32s, positions: Int64s) -> Float32s:
    """The scores of some vectors of an IndexFlat, as its own search has them bit for bit.

    Args:
        index: The index.
        queries: float32 `[num_queries, dimension]`.
        positions: int64 `[num_queries, n]`; -1 for none.

    Returns:
        float32 `[num_queries, n]`; -inf for none.
    """
    # OpenMP keeps its thread count by calling thread, and a few thousand products want one.
    faiss.omp_set_num_threads(1)
    queries = np.ascontiguousarray(queries, np.float32)
    asked = np.where(positions >= 0, positions, 0)
    scores = np.empty(positions.shape, np.float32)
    index.compute_distance_subset(
        len(queries),
        faiss.swig_ptr(queries),
        positions.shape[1],
        faiss.swig_ptr(scores),
        faiss.swig_ptr(asked),
    )
    scores[positions < 0] = -np.inf
    return scores


def empty_like(index: Any) -> Any:
    """An empty index without lists that compares as one of codes or lists compares."""
    if isinstance(index, (faiss.IndexScalarQuantizer, faiss.IndexIVFScalarQuantizer)):
        return faiss.IndexScalarQuantizer(index.d, index.sq.qtype, index.metric_type)
    return faiss.IndexFlat(index.d, index.metric_type)


def piece_components(components: int) -> int:
    """How many components to compare in one piece of a search that compares so many."""
    return min(max(components // _MAX_PIECES, _MIN_BLOCK_COMPONENTS), BLOCK_COMPONENTS)


def _blocks(
    num_vectors: int, components: int, k: int, most: int | None = None
) -> Iterator[tuple[int, int]]:
    """Cuts vectors into blocks of about one size, each beginning at a byte of the bits."""
    largest = max(1, piece_components(num_vectors * components) // components)
    if most is None:
        largest = max(largest, _MIN_BLOCK_VECTORS, MIN_PIECE_PER_FOUND * k)
    else:
        largest = min(largest, most)
    num_blocks = -(-num_vectors // largest)
    size = -(-num_vectors // max(1, num_blocks))
    size += -size % _BITS
    for start in range(0, num_vectors, max(1, size)):
        yield start, min(start + size, num_vectors)


def _of_positions(
    index: Any, queries: Float32s, k: int, positions: Int64s
) -> tuple[Float32s, Int64s]:
    """The nearest of a flat index's vectors at some positions."""
    chosen = faiss.SearchParameters(sel=faiss.IDSelectorArray(positions))
    found: tuple[Float32s, Int64s] = index.search(queries, k, params=chosen)
    return found


def _of_copied(index: Any, queries: Float32s, k: int, positions: Int64s) -> tuple[Float32s, Int64s]:
    """The nearest of a scalar quantizer's vectors at some positions, whose codes are copied."""
    codes = np.ascontiguousarray(_codes(index)[positions])
    scores, found = _viewed(index, codes).search(queries, k)
    return scores, np.where(found >= 0, positions[found], -1)


def _of_block(
    index: Any, queries: Float32s, k: int, bits: Bytes | None, start: int, end: int
) -> tuple[Float32s, Int64s]:
    """The nearest of the vectors from `start` to `end` whose bits are set."""
    selector = None
    if bits is not None:
        selector = faiss.IDSelectorBitmap(bits[start // _BITS : -(-end // _BITS)])
    parameters = faiss.SearchParameters(sel=selector)
    part = index
    if (start, end) != (0, index.ntotal):
        part = _viewed(index, _codes(index)[start:end])
    scores, positions = part.search(queries, k, params=parameters)
    positions[positions >= 0] += start
    return scores, positions


def _codes(index: Any) -> Bytes:
    """The index's own memory, uint8 `[num_vectors, bytes of a vector]`."""
    size = index.sa_code_size()
    codes: Bytes = faiss.rev_swig_ptr(index.codes.data(), index.ntotal * size)
    return codes.reshape(index.ntotal, size)


def _viewed(index: Any, codes: Bytes) -> Any:
    """Codes as an index of the same kind, which is of use as long as they are."""
    part = empty_like(index)
    part.codes = faiss.MaybeOwnedVectorUInt8.create_view(
        faiss.swig_ptr(codes.reshape(-1)), codes.size, index.codes.owner
    )
    part.ntotal = len(codes)
    return part


def best_of(
    k: int, found: list[tuple[Float32s, Int64s]], num_queries: int
) -> tuple[Float32s, Int64s]:
    """The `k` best of what several searches found: scores and positions `[num_queries, k]`.

    -1 stands where they found fewer together.
    """
    if len(found) == 1:
        return found[0]
    if not found:
        return (
            np.full((num_queries, k), -np.inf, np.float32),
            np.full((num_queries, k), -1, np.int64),
        )
    scores = np.concatenate([scores for scores, _ in found], axis=1)
    positions = np.concatenate([positions for _, positions in found], axis=1)
    # Empty places have the lowest possible score, so they are dropped first.
    kept = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return np.take_along_axis(scores, kept, 1), np.take_along_axis(positions, kept, 1)
