"""Searches the lists of an IVF index: those nearest to a query, or all.

How many lists are searched is counted in vectors that may be answered: with a filter, a query goes
on to further lists until it has seen as many as it would have seen without one, and to more where
these lists are far off. So every query finds `k` vectors wherever there are so many.
"""

from typing import Any

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.stopping import EveryStop, Stop
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.exact_search import (
    MIN_PIECE_PER_FOUND,
    best_of,
    empty_like,
    piece_components,
    search_exactly,
)
from twopass.index.vectors.search_threads import ALONE, SearchThreads

# So few are read one by one: looking at the bits of every list takes longer.
_SPARSE = 500
_MOST_READ = 2_000
# Lists ranked at first, for each that would do if the answerable vectors lay anywhere.
_RANKED = 2
# Where so many times as many vectors lie nearer than the last list searched as would if those that
# may be answered lay anywhere, they lie far from the query. How near the middle of a list is tells
# little then of what is in it, so that more lists are searched.
_DEEPER = 1.1
_WIDER = 4
_LEAST = 1e-9  # no share is divided by


class Lists:
    """The lists of an IVF index to which nothing is added meanwhile."""

    def __init__(self, index: Any) -> None:
        """Reads how long each list is.

        Args:
            index: faiss's IndexIVF, with a direct map.
        """
        self._index = index
        self._lengths = np.array(
            [index.invlists.list_size(number) for number in range(index.nlist)], np.int64
        )
        self._counted: tuple[Answerable, Int64s] | None = None  # the last that were counted

    def search_exactly(
        self,
        queries: Float32s,
        k: int,
        answerable: Answerable,
        stop: Stop | EveryStop,
        threads: SearchThreads = ALONE,
    ) -> tuple[Float32s, Int64s]:
        """Compares queries with every vector that may be answered; see `exact_search`."""
        index = self._index
        if answerable.count <= min(_MOST_READ, answerable.num_vectors // _SPARSE):
            few = empty_like(index)
            few.add(index.reconstruct_batch(answerable.positions))
            scores, found = search_exactly(few, queries, k, Answerable(answerable.count), stop)
            return scores, np.where(found >= 0, answerable.positions[found], -1)
        numbers = np.flatnonzero(self._num_answerable(answerable))
        lists = np.broadcast_to(numbers, (len(queries), len(numbers)))
        return self._search(queries, k, lists, answerable, stop, threads)

    def search_nearest(
        self,
        queries: Float32s,
        k: int,
        num_seen: int,
        answerable: Answerable,
        stop: Stop | EveryStop,
        threads: SearchThreads = ALONE,
    ) -> tuple[Float32s, Int64s, Bools]:
        """Searches the nearest lists that hold enough vectors that may be answered.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: At least 1.
            num_seen: With how many vectors that may be answered each query is compared at least,
                or with all of them.
            answerable: The vectors that may be found.
            stop: Ends the search.
            threads: Who searches.

        Returns:
            Scores, float32, and positions, int64, both `[num_queries, k]`, in no order; -1 where
            there are fewer. Which queries were compared with all, bool `[num_queries]`.

        Raises:
            StoppedError: The stop was set.
        """
        num_seen = min(max(num_seen, k), answerable.count)
        lists, num_passed = self._nearest(queries, num_seen, answerable, stop)
        scores, positions = self._search(queries, k, lists, answerable, stop, threads)
        exact = self._holds_all(lists, answerable)
        doubtful = np.flatnonzero(num_passed > _DEEPER * num_seen / max(answerable.share, _LEAST))
        if len(doubtful):
            some, wider = queries[doubtful], _WIDER * num_seen
            if wider < answerable.count / 2:
                lists, _ = self._nearest(some, wider, answerable, stop)
                found = self._search(some, k, lists, answerable, stop, threads)
                exact[doubtful] = self._holds_all(lists, answerable)
            else:
                found = self.search_exactly(some, k, answerable, stop, threads)
                exact[doubtful] = True
            scores[doubtful], positions[doubtful] = found
        return scores, positions, exact

    def _nearest(
        self, queries: Float32s, num_seen: int, answerable: Answerable, stop: Stop | EveryStop
    ) -> tuple[Int64s, Int64s]:
        """The nearest lists of each query that together hold enough vectors that may be answered.

        Returns:
            The lists, int64 `[num_queries, n]`, -1 at the end of rows that need fewer. How many
            vectors all lists hold that are nearer than the last of these, int64 `[num_queries]`.
        """
        held, num_lists = self._num_answerable(answerable), self._index.nlist
        num_ranked = min(num_lists, 1 + _RANKED * num_lists * num_seen // max(1, answerable.count))
        while True:
            stop.check()
            _, lists = self._index.quantizer.search(queries, num_ranked)
            seen_before = np.cumsum(held[lists], axis=1) - held[lists]
            enough = seen_before[:, -1] + held[lists[:, -1]] >= num_seen
            if enough.all() or num_ranked == num_lists:
                break
            num_ranked = min(num_lists, 4 * num_ranked)
        wanted = (seen_before < num_seen) & (held[lists] > 0)
        passed_before = np.cumsum(self._lengths[lists], axis=1) - self._lengths[lists]
        num_passed = np.where(wanted, passed_before, 0).max(axis=1)
        return _to_the_left(np.where(wanted, lists, -1)), num_passed

    def _holds_all(self, lists: Int64s, answerable: Answerable) -> Bools:
        """Whether some lists, -1 for none, hold every vector that may be answered, for each row."""
        held = self._num_answerable(answerable)
        whole: Bools = np.where(lists >= 0, held[lists], 0).sum(axis=1) == answerable.count
        return whole

    def _num_answerable(self, answerable: Answerable) -> Int64s:
        """How many vectors that may be answered each list holds, int64 `[num_lists]`."""
        if answerable.is_everything:
            return self._lengths
        if self._counted is not None and self._counted[0] is answerable:
            return self._counted[1]
        places = faiss.rev_swig_ptr(self._index.direct_map.array.data(), self._index.ntotal)
        lists = places[answerable.mask] >> 32  # faiss's lo_listno
        counts = np.bincount(lists, minlength=self._index.nlist)
        self._counted = answerable, counts
        return counts

    def _search(
        self,
        queries: Float32s,
        k: int,
        lists: Int64s,
        answerable: Answerable,
        stop: Stop | EveryStop,
        threads: SearchThreads,
    ) -> tuple[Float32s, Int64s]:
        """Searches some lists for each query, int64 `[num_queries, n]`, -1 for none."""
        queries = np.ascontiguousarray(queries, np.float32)
        bits = answerable.bits
        selector = None if bits is None else faiss.IDSelectorBitmap(bits)

        def search(some: tuple[int, int]) -> tuple[Float32s, Int64s]:
            stop.check()
            part = np.ascontiguousarray(lists[:, slice(*some)])
            scores = np.empty((len(queries), k), np.float32)
            positions = np.empty((len(queries), k), np.int64)
            self._index.search_preassigned_c(
                len(queries),
                faiss.swig_ptr(queries),
                k,
                faiss.swig_ptr(part),
                faiss.swig_ptr(np.zeros(part.shape, np.float32)),
                faiss.swig_ptr(scores),
                faiss.swig_ptr(positions),
                False,
                faiss.SearchParametersIVF(sel=selector, nprobe=part.shape[1]),
            )
            return scores, positions

        return best_of(k, threads.each(search, self._pieces(lists, k)), len(queries))

    def _pieces(self, lists: Int64s, k: int) -> list[tuple[int, int]]:
        """Cuts lists, `[num_queries, n]`, into columns of some milliseconds for one thread."""
        # As many vectors as all lists before the end of each column hold.
        before = np.cumsum(np.where(lists >= 0, self._lengths[lists], 0).sum(axis=0))
        if not len(before):
            return []
        size = piece_components(int(before[-1]) * self._index.d) // self._index.d
        size = max(1, size, MIN_PIECE_PER_FOUND * k * len(lists))
        cuts = np.searchsorted(before, np.arange(size, before[-1], size)) + 1
        ends = np.unique(np.append(cuts, len(before))).tolist()
        return list(zip([0, *ends[:-1]], ends, strict=True))


def _to_the_left(lists: Int64s) -> Int64s:
    """Moves the lists of each row to its beginning, and cuts off columns that hold -1 alone."""
    order = np.argsort(lists < 0, axis=1, kind="stable")[:, : (lists >= 0).sum(axis=1).max()]
    return np.take_along_axis(lists, order, 1)
