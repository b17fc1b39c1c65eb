"""Compares many queries with all vectors of a flat index at once, as products of matrices.

A product reads each vector once for all its queries, where faiss compares them one by one. But the
order in which it adds a sum up, and so how it rounds, hangs on the shape of its matrices. So it
only finds: what it keeps is scored once more by the index, and is an answer where no vector that it
did not keep can be as near.

A score is off by at most `g |q| |v|`, in whatever order it was added up (`rounding.share_lost`). So
a score of the product and the index's differ by at most `e = 2 g |q| L`, `L` being the length of
the longest vector. Where the `k`-th of the index's scores is above the least that the product kept
by more than `e`, every vector that was not kept is farther than the `k`-th. Queries of which that
is not so, since rounding alone tells more vectors apart than are kept, are left to be searched one
by one.
"""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.stopping import EveryStop, Stop
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.exact_search import best_of, scores_at, vectors_of
from twopass.index.vectors.rounding import share_lost, with_spare
from twopass.index.vectors.search_threads import SearchThreads

_LOG = logging.getLogger("twopass.index")

FEWEST_QUERIES = 8
"""Fewer queries are compared one by one."""
FEWEST_VECTORS = 4_096
"""Fewer vectors are compared one by one in less time than searches are put together."""
MOST_NEIGHBOURS = 1_000
"""A search for more is compared alone: keeping so many would take longer than the product."""
LEAST_SHARE = 0.5
"""A filtered search among a lesser share of the vectors is compared with these alone in less time
than a product compares it with all."""
_MOST_QUERIES = 64
# Most vectors of a product, whose scores, 1 MB a thread, stay in the caches; and most components
# compared in it, between two looks at the stop, which takes some milliseconds of a core.
_BLOCK_VECTORS, _BLOCK_COMPONENTS = 4_096, 100_000_000
# Products below float32's smallest normal number may be lost, and squares of components below its
# root.
_LEAST_PRODUCT, _LEAST_COMPONENT = 2.0**-126, 2.0**-63

_Float64s: TypeAlias = NDArray[np.float64]
_Found: TypeAlias = tuple[Float32s, Int64s]
"""Scores and positions, `[num_queries, n]`."""


@dataclass(frozen=True, slots=True, eq=False)
class ProductSearch:
    """A query that is compared beside others.

    Attributes:
        query: float32 `[dimension]`.
        k: Vectors to find, at least 1 and at most as many as may be answered.
        answerable: Those that may.
    """

    query: Float32s
    k: int
    answerable: Answerable


class ProductFound(NamedTuple):
    """What was found for a query.

    Attributes:
        scores: The index's own, float32 `[k]`, best first.
        positions: int64 `[k]`; equal scores by position.
    """

    scores: Float32s
    positions: Int64s


class Products:
    """Compares queries with the vectors of an index. One thread at a time may use it."""

    def __init__(self, index: Any) -> None:
        """Views an index.

        Args:
            index: faiss's IndexFlat of inner products, not empty, to which nothing is added.
        """
        self._index = index
        self._vectors = vectors_of(index)
        self._longest: float | None = None  # read when it is first needed
        self._is_believed = True

    def search(
        self, searches: Sequence[ProductSearch], stop: Stop | EveryStop, threads: SearchThreads
    ) -> list[ProductFound | None]:
        """Finds the nearest vectors that each query may be answered with.

        Args:
            searches: The queries.
            stop: Ends all of them.
            threads: Who compares.

        Returns:
            What was found for each; None for those that have to be searched one by one.

        Raises:
            StoppedError: The stop was set.
        """
        found: list[ProductFound | None] = []
        for start in range(0, len(searches), _MOST_QUERIES):
            some = searches[start : start + _MOST_QUERIES]
            found += self._search(some, stop, threads) if self._is_believed else [None] * len(some)
        return found

    def _search(
        self, searches: Sequence[ProductSearch], stop: Stop | EveryStop, threads: SearchThreads
    ) -> list[ProductFound | None]:
        """Searches by one product."""
        queries = np.stack([search.query for search in searches])
        most = max(search.k for search in searches)
        width = min(len(self._vectors), with_spare(most))
        error = self._error(queries, stop, threads)
        products, positions = self._kept(queries, searches, width, stop, threads)
        scores = scores_at(self._index, queries, positions)
        if not self._agree(scores, products, positions, error):
            return [None] * len(searches)
        order = np.lexsort((positions, -scores))
        scores = np.take_along_axis(scores, order, 1)
        positions = np.take_along_axis(positions, order, 1)
        # Nothing that was not kept has a score above this one.
        bound = products.min(axis=1) + error
        return [
            ProductFound(scores[row, : search.k], positions[row, : search.k])
            if search.answerable.count <= width or scores[row, search.k - 1] > bound[row]
            else None
            for row, search in enumerate(searches)
        ]

    def _error(
        self, queries: Float32s, stop: Stop | EveryStop, threads: SearchThreads
    ) -> _Float64s:
        """By how much a score of a product may differ from the index's, `[num_queries]`."""
        dimension = queries.shape[1]
        share = share_lost(dimension)
        if self._longest is None:

            def longest(block: tuple[int, int]) -> float:
                stop.check()
                some = self._vectors[slice(*block)]
                return float(np.einsum("ij,ij->i", some, some).max())

            squares = threads.each(longest, list(_blocks(0, len(self._vectors), dimension)))
            # They are sums in float32 themselves.
            length = math.sqrt(np.max(squares) * (1 + 2 * share))
            self._longest = length + _LEAST_COMPONENT * math.sqrt(dimension)
        lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
        error: _Float64s = 2 * (share * self._longest * lengths + dimension * _LEAST_PRODUCT)
        return error

    def _kept(
        self,
        queries: Float32s,
        searches: Sequence[ProductSearch],
        width: int,
        stop: Stop | EveryStop,
        threads: SearchThreads,
    ) -> _Found:
        """The best of each query by products, unordered; -inf and -1 where there are fewer."""
        num_vectors, dimension = self._vectors.shape
        # faiss's product, whose threads are those of OpenMP: each of ours has one.
        product = faiss.LinearTransform(dimension, len(queries), False)
        faiss.copy_array_to_vector(queries.reshape(-1), product.A)
        product.is_trained = True
        filtered: dict[Answerable, list[int]] = {}
        for row, search in enumerate(searches):
            if not search.answerable.is_everything:
                filtered.setdefault(search.answerable, []).append(row)

        def compare(part: tuple[int, int]) -> _Found:
            kept = _nothing(len(queries), width)
            for start, end in _blocks(*part, dimension * len(queries)):
                stop.check()
                block = slice(start, end)
                scores = np.empty((end - start, len(queries)), np.float32)
                product.apply_noalloc(
                    len(scores), faiss.swig_ptr(self._vectors[block]), faiss.swig_ptr(scores)
                )
                for answerable, rows in filtered.items():
                    left_out = np.flatnonzero(~answerable.mask[block])
                    scores[left_out[:, None], rows] = -np.inf
                kept = _with_better(kept, scores, start)
            return kept

        count = -(-num_vectors // threads.count)
        parts = [(start, min(start + count, num_vectors)) for start in range(0, num_vectors, count)]
        return best_of(width, threads.each(compare, parts), len(queries))

    def _agree(
        self, scores: Float32s, products: Float32s, positions: Int64s, error: _Float64s
    ) -> bool:
        """Whether the product is as near to the index as float32 can be.

        Where it is not, as where a library computes in TensorFloat-32, no proof holds, and every
        search is compared one by one from now on.
        """
        rows, columns = np.nonzero(positions >= 0)
        own, other = (each[rows, columns].astype(np.float64) for each in (scores, products))
        if (np.abs(own - other) <= error[rows]).all():
            return True
        self._is_believed = False
        _LOG.warning("vectors are compared one by one: products of matrices are not of float32")
        return False


def _nothing(num_queries: int, width: int) -> _Found:
    return (
        np.full((num_queries, width), -np.inf, np.float32),
        np.full((num_queries, width), -1, np.int64),
    )


def _with_better(kept: _Found, scores: Float32s, start: int) -> _Found:
    """Keeps what is better than the worst that was kept: after the first blocks hardly anything.

    Args:
        kept: Scores and positions, `[num_queries, width]`.
        scores: Those of a block of vectors, `[num_vectors, num_queries]`.
        start: The position of its first vector.
    """
    num_queries, width = kept[0].shape
    is_better = scores > kept[0].min(axis=1)
    counts = np.count_nonzero(is_better, axis=0)
    most = int(counts.max())
    if not most:
        return kept
    found, positions = _nothing(num_queries, most if most <= width else width)
    if most <= width:
        vectors, queries = np.divmod(np.flatnonzero(is_better), num_queries)
        order = np.argsort(queries, kind="stable")
        vectors, queries = vectors[order], queries[order]
        places = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        found[queries, places] = scores[vectors, queries]
        positions[queries, places] = vectors + start
    else:
        best = np.argpartition(scores, len(scores) - width, axis=0)[-width:]
        found = np.take_along_axis(scores, best, 0).T
        positions = np.where(found > -np.inf, best.T + start, -1)
    return best_of(width, [kept, (found, positions)], num_queries)


def _blocks(start: int, end: int, components: int) -> Iterator[tuple[int, int]]:
    """Cuts vectors, of each of which so many components are compared, into blocks."""
    size = max(1, min(_BLOCK_VECTORS, _BLOCK_COMPONENTS // components))
    for first in range(start, end, size):
        yield first, min(first + size, end)
