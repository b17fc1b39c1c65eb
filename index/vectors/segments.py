"""A part of a collection's vectors, in one faiss index."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s
from twopass.index.arrays import Bools, Bytes, Int64s
from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.stopping import NEVER, EveryStop, Stop
from twopass.index.vectors.exact_search import BLOCK_COMPONENTS, search_in_blocks
from twopass.index.vectors.gpu_replica import Clone, GpuReplica
from twopass.index.vectors.list_search import search_lists

NO_KEY = -1
"""The key in places where an approximate search found fewer vectors than it was asked for."""

# Older faiss hands 20 or more queries to BLAS, whose sums round differently: with fewer queries a
# score never depends on the queries searched beside it.
QUERIES_PER_CALL = 16
# Comparing a query with so many takes about as long as an approximate search.
_FEW = 5_000
# Components compared with one query in the lists of an IVF index that take a tenth of a second.
_LONG_CALL = 8 * BLOCK_COMPONENTS


@dataclass(frozen=True, slots=True)
class _How:
    """How a segment is searched: the last arguments of `Segment.search`."""

    breadth: Breadth
    num_threads: int
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
        self._visible_bits: Bytes | None = None
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
        self._visible_bits = None

    def replicate(self, clone: Clone) -> None:
        """Lets a copy on a GPU answer searches it can; nothing may be added from now on."""
        if self._size:
            self._replica = GpuReplica(self.index, clone)

    def hide(self, keys: Int64s) -> None:
        """Hides vectors from every later search; unknown keys are ignored."""
        positions = self._positions(keys)
        if len(positions):
            self._hidden[positions] = True
            self._num_hidden = int(np.count_nonzero(self.hidden))
            self._visible_bits = None

    def search(
        self,
        queries: Float32s,
        k: int,
        members: Int64s | None,
        breadth: Breadth,
        *,
        num_threads: int = 1,
        stop: Stop | EveryStop = NEVER,
    ) -> tuple[Int64s, Float32s]:
        """Finds the nearest visible vectors of each query.

        Args:
            queries: float32 `[num_queries, dimension]`.
            k: At least 1.
            members: Keys of the only vectors to find, ascending, int64 `[num_keys]`; None for all.
            breadth: How far an approximate kind searches.
            num_threads: OpenMP threads at most; each has queries of its own.
            stop: Ends the search between two calls of faiss, of some ten milliseconds each.

        Returns:
            Keys, int64, and inner products, float32, both `[num_queries, n]`, in no order; n is k
            or how many could be found at all. `NO_KEY` and minus infinity stand where an
            approximate kind found no more.

        Raises:
            StoppedError: The stop was set.
        """
        stop.check()
        how = _How(breadth, num_threads, stop)
        if members is None:
            chosen = ~self.hidden if self._num_hidden else None
            k = min(k, self.num_visible)
            return self._search(queries, k, chosen, self._bits_of_visible, how)
        positions = self._positions(members)
        positions = positions[~self._hidden[positions]]
        if len(positions) <= _FEW and not self.kind.is_exact:
            return self._search_few(queries, k, positions, how)
        chosen = np.zeros(self._size, np.bool_)
        chosen[positions] = True
        k = min(k, len(positions))
        return self._search(queries, k, chosen, lambda: _bits(chosen), how)

    def _search(
        self,
        queries: Float32s,
        k: int,
        chosen: Bools | None,
        bits: Callable[[], Bytes | None],
        how: _How,
    ) -> tuple[Int64s, Float32s]:
        """Searches some of the vectors, given twice: as `chosen`, and as `bits` for faiss."""
        scores, positions = self._on_gpu(queries, k, chosen, how.breadth) or self._on_cpu(
            queries, k, bits, how
        )
        found = positions >= 0
        return np.where(found, self._keys[positions], NO_KEY), np.where(found, scores, -np.inf)

    def _on_gpu(
        self, queries: Float32s, k: int, chosen: Bools | None, breadth: Breadth
    ) -> tuple[Float32s, Int64s] | None:
        if self._replica is None or k == 0:
            return None
        return self._replica.search(queries, k, self.kind.parameters(breadth, None), chosen)

    def _on_cpu(
        self,
        queries: Float32s,
        k: int,
        bits: Callable[[], Bytes | None],
        how: _How,
    ) -> tuple[Float32s, Int64s]:
        positions = np.empty((len(queries), k), np.int64)
        scores = np.empty((len(queries), k), np.float32)
        if k == 0:
            return scores, positions
        chosen = bits()
        search = self._search_exactly if self.kind.is_exact else self._search_approximately
        for start in range(0, len(queries), QUERIES_PER_CALL):
            block = slice(start, start + QUERIES_PER_CALL)
            # Threads without a query of their own would share out the vectors, whose products are
            # then summed in other groups: scores would depend on how many queries wait together.
            faiss.omp_set_num_threads(min(how.num_threads, len(queries[block])))
            scores[block], positions[block] = search(queries[block], k, chosen, how)
        return scores, positions

    def _search_exactly(
        self, queries: Float32s, k: int, bits: Bytes | None, how: _How
    ) -> tuple[Float32s, Int64s]:
        return search_in_blocks(self.index, queries, k, bits, how.stop)

    def _search_approximately(
        self, queries: Float32s, k: int, bits: Bytes | None, how: _How
    ) -> tuple[Float32s, Int64s]:
        parameters = self.kind.parameters(how.breadth, _selector(bits))
        # A graph's walk can't be left, so that few queries begin at once where each goes far; but
        # as many as there are threads take no longer than one.
        components = self.index.d * self.kind.num_compared(how.breadth, self._size)
        size = max(how.num_threads, BLOCK_COMPONENTS // max(1, components))
        if self.kind.num_lists and components > _LONG_CALL:
            nprobe = parameters.nprobe
            lists_per_call = max(1, nprobe * BLOCK_COMPONENTS // (components * len(queries)))
            return search_lists(
                self.index, queries, k, nprobe, bits, how.stop, lists_per_call=lists_per_call
            )
        found: list[tuple[Float32s, Int64s]] = []
        for start in range(0, len(queries), size):
            how.stop.check()
            some = queries[start : start + size]
            found.append(self.index.search(some, k, params=parameters))
        scores, positions = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return scores, positions

    def _search_few(
        self, queries: Float32s, k: int, positions: Int64s, how: _How
    ) -> tuple[Int64s, Float32s]:
        """Compares the queries with each of a few vectors: a graph would lose its way to them."""
        few = FLAT.create(self.index.d)
        if len(positions):
            # OpenMP keeps its thread count by calling thread; a new thread's count is every CPU.
            faiss.omp_set_num_threads(how.num_threads)
            few.add(self.index.reconstruct_batch(positions))
        keys = self._keys[positions]
        segment = Segment(FLAT, few, keys, np.zeros(len(keys), np.bool_))
        return segment.search(queries, k, None, Breadth(), stop=how.stop)

    def _positions(self, keys: Int64s) -> Int64s:
        """Positions of the keys that this segment has."""
        if not self._size:
            return np.empty(0, np.int64)
        positions = np.searchsorted(self.keys, keys)
        positions[positions == self._size] = 0
        here: Int64s = positions[self._keys[positions] == keys]
        return here

    def _bits_of_visible(self) -> Bytes | None:
        """Selection bits of the visible vectors, for faiss; None if nothing is hidden."""
        if self._num_hidden and self._visible_bits is None:
            self._visible_bits = _bits(~self.hidden)
        return self._visible_bits


def _bits(chosen: Bools) -> Bytes:
    """A bit for each of `chosen`, bool `[num_vectors]`, the lowest of a byte first."""
    return np.packbits(chosen, bitorder="little")


def _selector(bits: Bytes | None) -> Any:
    """Lets faiss find the vectors whose bits are set; None for all."""
    return None if bits is None else faiss.IDSelectorBitmap(bits)


def _grown(values: NDArray[Any], capacity: int) -> NDArray[Any]:
    grown = np.empty(capacity, values.dtype)
    grown[: len(values)] = values
    return grown
