"""A part of a collection's vectors, in one faiss index."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.key_sets import union
from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.stopping import NEVER, EveryStop, Stop
from twopass.index.vectors.answerable import Answerable, positions_of
from twopass.index.vectors.device_search import DeviceSearch, GpuReplica
from twopass.index.vectors.effort import Effort
from twopass.index.vectors.exact_search import BLOCK_COMPONENTS, search_exactly
from twopass.index.vectors.gpu_device import Form, GpuDevice
from twopass.index.vectors.graph_search import walk
from twopass.index.vectors.list_search import Lists
from twopass.index.vectors.product_search import (
    FEWEST_QUERIES,
    FEWEST_VECTORS,
    LEAST_SHARE,
    MOST_NEIGHBOURS,
    ProductFound,
    Products,
    ProductSearch,
)
from twopass.index.vectors.search_threads import ALONE, SearchThreads

# Older faiss hands 20 or more queries to BLAS, whose sums round differently: with fewer queries a
# score never depends on the queries searched beside it.
QUERIES_PER_CALL = 16
# What a wider walk may cost, which can't be left: some 20 ms.
_LONGEST_WALK = 4 * BLOCK_COMPONENTS
# Components compared with one query in the lists of an IVF index that take a tenth of a second.
_LONG_CALL = 16 * BLOCK_COMPONENTS
# So few components are compared on the CPU in less time than a GPU is asked: 2,600 vectors of 384.
_CHEAPER_THAN_A_CALL = 1_000_000


class Found(NamedTuple):
    """What a search of a segment found, in no order.

    Attributes:
        keys: int64 `[num_queries, n]`; n is k, or how many vectors could be found at all.
        scores: Inner products, float32, shaped as `keys`.
        exact: Which queries were compared with every vector that could be found, bool
            `[num_queries]`.
    """

    keys: Int64s
    scores: Float32s
    exact: Bools


_Searched: TypeAlias = tuple[Float32s, Int64s, Bools]
"""Scores and positions, `[num_queries, k]`, and which queries were compared with all."""


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """A search of a segment.

    Attributes:
        queries: float32 `[num_queries, dimension]`.
        k: At least 1.
        members: Keys of the only vectors to find, ascending, int64 `[num_keys]`; None for all.
        breadth: How far an approximate kind searches.
    """

    queries: Float32s
    k: int
    members: Int64s | None
    breadth: Breadth


@dataclass(frozen=True, slots=True, eq=False)
class _How:
    """How a segment is searched: the arguments of `Segment.search`, looked up."""

    k: int
    answerable: Answerable
    breadth: Breadth
    is_filtered: bool
    threads: SearchThreads
    stop: Stop | EveryStop


class Segment:
    """Vectors under ascending keys. A removed vector keeps its place, but no search finds it.

    Not thread-safe: one thread searches and changes it. Others may read `index` and `keys` of a
    segment to which nothing is added.

    Attributes:
        kind: Index kind of `index`.
        index: The faiss index; its ids are positions in `keys`.
    """

    def __init__(self, kind: IndexKind, index: Any, keys: Int64s, hidden: Bools) -> None:
        """Takes over an index.

        Args:
            kind: Index kind of `index`.
            index: A faiss index with a vector for each key.
            keys: Keys of the vectors, ascending, int64 `[num_vectors]`.
            hidden: Which vectors are hidden, bool `[num_vectors]`.
        """
        self.kind = kind
        self.index = index
        self._keys = keys
        self._hidden = hidden
        self._size = len(keys)
        self._num_hidden = int(np.count_nonzero(hidden))
        self._visible: Answerable | None = None
        self._known_lists: Lists | None = None
        self._replica: GpuReplica | None = None
        self._products: Products | None = None

    @classmethod
    def empty(cls, dimension: int) -> "Segment":
        """A flat segment without vectors, to be added to."""
        return cls(FLAT, FLAT.create(dimension), np.empty(0, np.int64), np.empty(0, np.bool_))

    @property
    def keys(self) -> Int64s:
        """All keys, those of hidden vectors too, ascending, int64 `[num_vectors]`."""
        return self._keys[: self._size]

    @property
    def hidden(self) -> Bools:
        """Which of `keys` are hidden, bool `[num_vectors]`."""
        return self._hidden[: self._size]

    @property
    def num_hidden(self) -> int:
        """How many vectors are hidden."""
        return self._num_hidden

    @property
    def num_visible(self) -> int:
        """How many vectors a search can find."""
        return self._size - self._num_hidden

    def __len__(self) -> int:
        """How many vectors there are, including hidden ones."""
        return self._size

    def add(self, keys: Int64s, vectors: Float32s) -> None:
        """Adds vectors, float32 `[num_added, dimension]`, under keys above all present ones."""
        assert self._size == 0 or len(keys) == 0 or keys[0] > self._keys[self._size - 1]
        assert self._replica is None, "a copy would not have what is added"
        self.index.add(vectors)
        end = self._size + len(keys)
        if end > len(self._keys):
            # Doubled, so that many small additions copy each key only about once.
            capacity = max(end, 2 * self._size)
            self._keys = _grown(self._keys, capacity)
            self._hidden = _grown(self._hidden, capacity)
        self._keys[self._size : end] = keys
        self._hidden[self._size : end] = False
        self._size = end
        self._visible = None
        self._known_lists = None
        self._products = None

    def replicate(self, device: GpuDevice, *, is_again: bool = False) -> None:
        """Lets a copy on a GPU answer searches it can; nothing may be added from now on.

        Takes as long as copying does, and may be called from another thread than searches are.

        Args:
            device: Copies the index.
            is_again: Whether that has failed before, and was told.
        """
        if self._size:
            self._replica = GpuReplica(self.index, self.kind, device, is_again=is_again)

    @property
    def is_on_device(self) -> bool:
        """Whether a copy on a GPU answers searches."""
        return self._replica is not None and self._replica.is_on_gpu

    def leave_device(self) -> None:
        """Gives the memory of a copy on a GPU back. Idempotent."""
        if self._replica is not None:
            self._replica.close()

    def search_together(
        self,
        searches: Sequence[Wanted],
        *,
        threads: SearchThreads = ALONE,
        stop: Stop | EveryStop = NEVER,
    ) -> "list[Found | None]":
        """Answers what is answered better together, each with its own k, members and breadth.

        A copy on a GPU answers, where there is one; else products of matrices do, where they pay.

        Args:
            searches: The searches.
            threads: Who searches.
            stop: Ends the search between two products; a call of a GPU goes to its end.

        Returns:
            What was found for each, best first; None for those that are left to `search`.

        Raises:
            StoppedError: The stop was set.
        """
        replica = self._replica  # another thread may put a new one in its place
        if replica is not None and replica.is_on_gpu:
            return self._by_device(replica, searches, threads)
        return self._by_products(searches, threads, stop)

    def hide(self, keys: Int64s) -> None:
        """Hides vectors from every later search; unknown keys are ignored."""
        positions = positions_of(union(keys), self.keys)
        if len(positions):
            self._hidden[positions] = True
            self._num_hidden = int(np.count_nonzero(self.hidden))
            self._visible = None

    def search(
        self,
        queries: Float32s,
        k: int,
        members: Int64s | None,
        breadth: Breadth,
        *,
        threads: SearchThreads = ALONE,
        stop: Stop | EveryStop = NEVER,
    ) -> Found:
        """Finds the nearest visible vectors of each query, on the CPU.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: At least 1.
            members: Keys of the only vectors to find, ascending, int64 `[num_keys]`; None for all.
            breadth: How far an approximate kind searches.
            threads: Who searches.
            stop: Ends the search between two calls of faiss, of some ten milliseconds each.

        Raises:
            StoppedError: The stop was set.
        """
        stop.check()
        answerable = self._answerable(members)
        k = min(k, answerable.count)
        scores = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        exact = np.ones(len(queries), np.bool_)
        if k:
            how = _How(k, answerable, breadth, members is not None, threads, stop)
            for start in range(0, len(queries), QUERIES_PER_CALL):
                rows = slice(start, start + QUERIES_PER_CALL)
                scores[rows], positions[rows], exact[rows] = self._search(queries[rows], how)
        return Found(self.keys[positions], scores, exact)

    def _by_device(
        self, replica: GpuReplica, searches: Sequence[Wanted], threads: SearchThreads
    ) -> list[Found | None]:
        asked = {}
        for number, search in enumerate(searches):
            if (one := self._for_device(search, replica.form, threads)) is not None:
                asked[number] = one
        found: list[Found | None] = [None] * len(searches)
        for number, answer in zip(asked, replica.answer(list(asked.values())), strict=True):
            if answer is not None and answer.answered.all():
                found[number] = Found(self.keys[answer.positions], answer.scores, answer.exact)
        return found

    def _for_device(
        self, search: Wanted, form: Form | None, threads: SearchThreads
    ) -> DeviceSearch | None:
        """A search as a copy is asked for it; None where the CPU is the better one to ask."""
        is_filtered = search.members is not None
        answerable = self._answerable(search.members)
        k = min(search.k, answerable.count)
        if not k or not len(search.queries):
            return None
        if is_filtered and answerable.count * self.index.d <= _CHEAPER_THAN_A_CALL:
            return None
        must_be_exact = self.kind.is_exact
        if not must_be_exact:
            effort = Effort(self.kind, self.index.d, self._size, threads.count)
            must_be_exact = effort.is_exact_better(
                search.breadth, k, answerable.count, is_filtered=is_filtered
            )
            # What is promised exactly is compared on the CPU, unless the copy compares with all.
            if must_be_exact and form in (Form.LISTS, Form.GRAPH):
                return None
        return DeviceSearch(search.queries, k, answerable, search.breadth, must_be_exact)

    def _by_products(
        self, searches: Sequence[Wanted], threads: SearchThreads, stop: Stop | EveryStop
    ) -> list[Found | None]:
        found: list[Found | None] = [None] * len(searches)
        if sum(len(search.queries) for search in searches) < FEWEST_QUERIES:
            return found
        if not isinstance(self.index, faiss.IndexFlat) or self._size < FEWEST_VECTORS:
            return found
        asked: dict[int, list[ProductSearch]] = {}
        for number, search in enumerate(searches):
            if (answerable := self._compared_with_all(search)) is not None:
                k = min(search.k, answerable.count)
                asked[number] = [ProductSearch(query, k, answerable) for query in search.queries]
        together = [one for some in asked.values() for one in some]
        if len(together) < FEWEST_QUERIES:
            return found
        if self._products is None:
            self._products = Products(self.index)
        answers = iter(self._products.search(together, stop, threads))
        for number, some in asked.items():
            found[number] = self._of_rows(list(islice(answers, len(some))))
        return found

    def _of_rows(self, rows: Sequence[ProductFound | None]) -> Found | None:
        """What was found for the queries of a search; None where one of them was not answered."""
        there = [row for row in rows if row is not None]
        if len(there) < len(rows):
            return None
        keys = self.keys[np.stack([row.positions for row in there])]
        return Found(keys, np.stack([row.scores for row in there]), np.ones(len(there), np.bool_))

    def _compared_with_all(self, search: Wanted) -> Answerable | None:
        """What a search may be answered with, where a product is the better way to compare it."""
        if search.k > MOST_NEIGHBOURS or not len(search.queries):
            return None
        if search.members is not None and len(search.members) < LEAST_SHARE * self._size:
            return None  # looking up which of them are here takes time too
        answerable = self._answerable(search.members)
        return answerable if answerable.share >= LEAST_SHARE else None

    def _search(self, queries: Float32s, how: _How) -> _Searched:
        """Searches in the way that suits; every query finds `how.k`."""
        if self.kind.is_exact:
            return self._exactly(queries, how)
        effort = Effort(self.kind, self.index.d, self._size, how.threads.count)
        if effort.is_exact_better(
            how.breadth, how.k, how.answerable.count, is_filtered=how.is_filtered
        ):
            return self._exactly(queries, how)
        if self.kind.num_links:
            return self._by_graph(queries, how, effort)
        return self._by_lists(queries, how, effort)

    def _exactly(self, queries: Float32s, how: _How) -> _Searched:
        arguments = queries, how.k, how.answerable, how.stop, how.threads
        if self.kind.num_lists:
            found = self._lists().search_exactly(*arguments)
        else:
            found = search_exactly(self._storage(), *arguments)
        return *found, np.ones(len(queries), np.bool_)

    def _by_graph(self, queries: Float32s, how: _How, effort: Effort) -> _Searched:
        """Walks the graph; compares the queries that it is no good for with all."""
        most = effort.exact(how.answerable.count)
        scores, positions, believed = walk(
            self.index,
            queries,
            how.k,
            self.kind.ef_search(how.breadth),
            how.answerable,
            may_widen=lambda width: effort.walk(width) < min(most, _LONGEST_WALK),
            # A walk can't be left, so that few queries begin at once where each goes far.
            per_call=lambda width: max(1, int(BLOCK_COMPONENTS // effort.walk(width))),
            stop=how.stop,
            threads=how.threads,
        )
        doubtful = np.flatnonzero(~believed)
        if len(doubtful):
            scores[doubtful], positions[doubtful], _ = self._exactly(queries[doubtful], how)
        return scores, positions, ~believed

    def _by_lists(self, queries: Float32s, how: _How, effort: Effort) -> _Searched:
        """Searches the nearest lists."""
        num_seen = effort.num_seen(how.breadth, how.k)
        faiss.omp_set_num_threads(min(how.threads.count, len(queries)))
        if how.answerable.is_everything and num_seen * self.index.d <= _LONG_CALL:
            how.stop.check()
            parameters = self.kind.parameters(how.breadth)
            scores, positions = self.index.search(queries, how.k, params=parameters)
            if (positions >= 0).all():
                return scores, positions, np.zeros(len(queries), np.bool_)
        return self._lists().search_nearest(
            queries, how.k, num_seen, how.answerable, how.stop, how.threads
        )

    def _lists(self) -> Lists:
        if self._known_lists is None:
            self._known_lists = Lists(self.index)
        return self._known_lists

    def _storage(self) -> Any:
        """The vectors alone, as faiss's IndexFlat or IndexScalarQuantizer."""
        return faiss.downcast_index(self.index.storage) if self.kind.num_links else self.index

    def _answerable(self, members: Int64s | None) -> Answerable:
        return self._visible_vectors() if members is None else self._among(members)

    def _visible_vectors(self) -> Answerable:
        if self._visible is None:
            mask = ~self.hidden if self._num_hidden else None
            self._visible = Answerable(self._size, mask=mask)
        return self._visible

    def _among(self, members: Int64s) -> Answerable:
        """The visible vectors among some."""
        positions = positions_of(members, self.keys)
        if self._num_hidden:
            positions = positions[~self._hidden[positions]]
        return Answerable(self._size, positions=positions)


def _grown(values: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.empty(capacity, values.dtype)
    grown[: len(values)] = values
    return grown
