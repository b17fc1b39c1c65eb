"""A part of a collection's vectors, in one faiss index."""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.key_sets import union
from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.stopping import NEVER, EveryStop, Stop
from twopass.index.vectors.answerable import Answerable, positions_of
from twopass.index.vectors.effort import Effort
from twopass.index.vectors.exact_search import BLOCK_COMPONENTS, search_exactly
from twopass.index.vectors.gpu_replica import Clone, GpuReplica
from twopass.index.vectors.graph_search import walk
from twopass.index.vectors.list_search import Lists
from twopass.index.vectors.search_threads import ALONE, SearchThreads

# Older faiss hands 20 or more queries to BLAS, whose sums round differently: with fewer queries a
# score never depends on the queries searched beside it.
QUERIES_PER_CALL = 16
# What a wider walk may cost, which can't be left: some 20 ms.
_LONGEST_WALK = 4 * BLOCK_COMPONENTS
# Components compared with one query in the lists of an IVF index that take a tenth of a second.
_LONG_CALL = 16 * BLOCK_COMPONENTS


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

    def replicate(self, clone: Clone) -> None:
        """Lets a copy on a GPU answer searches it can; nothing may be added from now on."""
        if self._size:
            self._replica = GpuReplica(self.index, clone)

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
        """Finds the nearest visible vectors of each query.

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
        answerable = self._visible_vectors() if members is None else self._among(members)
        k = min(k, answerable.count)
        scores = np.empty((len(queries), k), np.float32)
        positions = np.empty((len(queries), k), np.int64)
        exact = np.ones(len(queries), np.bool_)
        if k:
            how = _How(k, answerable, breadth, members is not None, threads, stop)
            for start in range(0, len(queries), QUERIES_PER_CALL):
                block = slice(start, start + QUERIES_PER_CALL)
                scores[block], positions[block], exact[block] = self._search(queries[block], how)
        return Found(self.keys[positions], scores, exact)

    def _search(self, queries: Float32s, how: _How) -> _Searched:
        """Searches in the way that suits; every query finds `how.k`."""
        if self.kind.is_exact:
            return self._on_gpu(queries, how) or self._exactly(queries, how)
        effort = Effort(self.kind, self.index.d, self._size, how.threads.count)
        if effort.is_exact_better(
            how.breadth, how.k, how.answerable.count, is_filtered=how.is_filtered
        ):
            return self._exactly(queries, how)
        if (found := self._on_gpu(queries, how)) is not None:
            return found
        if self.kind.num_links:
            return self._by_graph(queries, how, effort)
        return self._by_lists(queries, how, effort)

    def _on_gpu(self, queries: Float32s, how: _How) -> _Searched | None:
        if self._replica is None:
            return None
        chosen = None if how.answerable.is_everything else how.answerable.mask
        parameters = self.kind.parameters(how.breadth)
        found = self._replica.search(queries, how.k, parameters, chosen)
        if found is None or (found[1] < 0).any():
            return None
        return *found, np.full(len(queries), self.kind.is_exact)

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
