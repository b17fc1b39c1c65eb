"""The nearest-neighbour index of a collection: faiss, owned by one thread."""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

import faiss
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s
from twopass.index.errors import StorageError
from twopass.index.group_thread import GroupThread
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken

Int64s: TypeAlias = NDArray[np.int64]

_MAX_GROUP = 256
# Older faiss hands 20 or more queries to BLAS, whose sums round otherwise: below that a score never
# depends on the queries searched beside it.
_QUERIES_PER_CALL = 16


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest documents of each query, best first; equal scores by key.

    Attributes:
        keys: int64 `[num_queries, min(k, num_documents)]`.
        scores: Inner products, float32, shaped as `keys`; higher is nearer.
        sequence: The state of the collection that was searched.
    """

    keys: Int64s
    scores: Float32s
    sequence: SequenceToken


@dataclass(frozen=True, slots=True, eq=False)
class VectorChange:
    """What a write does to the index.

    Attributes:
        removed: Keys, int64 `[num_removed]`.
        keys: New keys, int64 `[num_added]`, none of them among `removed`.
        vectors: Their vectors, float32 `[num_added, dimension]`.
        sequence: The collection's state with this write in it.
    """

    removed: Int64s
    keys: Int64s
    vectors: Float32s
    sequence: SequenceToken


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    vectors: Float32s
    k: int
    among: Int64s | None
    future: Future[Neighbours] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class _Update:
    change: VectorChange
    future: Future[None] = field(default_factory=Future)


class VectorIndex:
    """A faiss index that is searched and changed by one thread alone.

    faiss must not be searched while it is added to, and OpenMP keeps its thread count per calling
    thread. So every call is queued; searches that wait together share one pass over the vectors.
    """

    def __init__(
        self,
        collection: str,
        schema: CollectionSchema,
        blocks: Iterable[tuple[Int64s, Float32s]],
        sequence: SequenceToken,
        *,
        num_threads: int = 1,
    ) -> None:
        """Builds the index in the calling thread, then starts its own.

        Args:
            collection: The collection's name.
            schema: Its schema.
            blocks: What it holds: keys, int64 `[n]`, and vectors, float32 `[n, dimension]`.
            sequence: The state that they are of.
            num_threads: OpenMP threads of one search; only queries that wait together use several.
        """
        # No IDMap2: its reverse map costs memory and time at every removal, and nobody asks faiss
        # for a vector back.
        self._index = faiss.index_factory(
            schema.dimension, f"IDMap,{schema.index_kind}", faiss.METRIC_INNER_PRODUCT
        )
        for keys, vectors in blocks:
            self._index.add_with_ids(vectors, keys)
        self._num_threads = num_threads
        self._failure = ""
        self.sequence = sequence
        self.num_vectors = int(self._index.ntotal)
        self._thread: GroupThread[_Search | _Update] = GroupThread(
            collection, "search", self._work, max_group=_MAX_GROUP
        )

    def search(self, vectors: Float32s, k: int, among: Int64s | None = None) -> Future[Neighbours]:
        """Queues queries, float32 `[num_queries, dimension]`, for their `k` nearest.

        Args:
            vectors: The queries.
            k: Most neighbours of each, at least 1.
            among: Keys of the only documents to find, int64 `[num_keys]`, ascending; None for all.
        """
        request = _Search(vectors, k, among)
        self._thread.submit(request)
        return request.future

    def update(self, change: VectorChange) -> Future[None]:
        """Queues a change; every search that is queued after its future is done sees it whole.

        A future that raises leaves the index without the change, and from then on every call raises
        `StorageError`: it is in doubt until it is built again.
        """
        request = _Update(change)
        self._thread.submit(request)
        return request.future

    def close(self) -> None:
        """Finishes what was submitted, then ends the thread. Idempotent."""
        self._thread.close()

    def _work(self, group: list[_Search | _Update]) -> None:
        # What an update holds is on disk already, so searches that came before it may see it too.
        for request in group:
            if isinstance(request, _Update):
                self._update(request)
        self._search([request for request in group if isinstance(request, _Search)])

    def _update(self, request: _Update) -> None:
        self._check_sound()
        change = request.change
        try:
            if len(change.removed):
                self._index.remove_ids(faiss.IDSelectorBatch(change.removed))
            if len(change.keys):
                self._index.add_with_ids(change.vectors, change.keys)
        except Exception as error:
            self._failure = (
                f"the vector index could not take in a write ({error!r}); documents are safe on "
                "disk, restart the server to build the index from them"
            )
            raise StorageError(self._failure) from error
        self.num_vectors = int(self._index.ntotal)
        self.sequence = change.sequence
        request.future.set_result(None)

    def _search(self, searches: list[_Search]) -> None:
        everywhere = [search for search in searches if search.among is None]
        if everywhere:
            self._answer(everywhere)
        for search in searches:
            if search.among is not None:
                self._answer([search])

    def _answer(self, searches: list[_Search]) -> None:
        """Answers searches among the same documents by one pass over the vectors."""
        self._check_sound()
        among = searches[0].among
        num_candidates = self.num_vectors if among is None else len(among)
        keys, scores = self._nearest(
            np.concatenate([search.vectors for search in searches]),
            min(max(search.k for search in searches), num_candidates, self.num_vectors),
            among,
        )
        start = 0
        for search in searches:
            end = start + len(search.vectors)
            search.future.set_result(
                Neighbours(
                    keys[start:end, : search.k].copy(),
                    scores[start:end, : search.k].copy(),
                    self.sequence,
                )
            )
            start = end

    def _nearest(self, queries: Float32s, k: int, among: Int64s | None) -> tuple[Int64s, Float32s]:
        """Keys and scores of the `k` nearest, at most as many as there are; equal scores by key."""
        keys = np.empty((len(queries), k), np.int64)
        scores = np.empty((len(queries), k), np.float32)
        if k == 0:
            return keys, scores
        parameters = None if among is None else _parameters(among)
        faiss.omp_set_num_threads(self._num_threads)
        for start in range(0, len(queries), _QUERIES_PER_CALL):
            block = slice(start, start + _QUERIES_PER_CALL)
            scores[block], keys[block] = self._index.search(queries[block], k, params=parameters)
        order = np.lexsort((keys, -scores))
        # Of the keys asked for some may be gone: faiss fills up with -1, and the least score.
        num_found = int((keys >= 0).sum(axis=1).min(initial=k))
        order = order[:, :num_found]
        return np.take_along_axis(keys, order, 1), np.take_along_axis(scores, order, 1)

    def _check_sound(self) -> None:
        if self._failure:
            raise StorageError(self._failure)


def _parameters(keys: Int64s) -> faiss.SearchParameters:
    """Lets faiss find these keys, ascending, and no others; a bit for every key up to the last."""
    bits = np.zeros((int(keys[-1]) >> 3) + 1, np.uint8)
    np.bitwise_or.at(bits, keys >> 3, np.left_shift(1, keys & 7).astype(np.uint8))
    # faiss's stubs tell of C++, not of its Python wrappers.
    selector = faiss.IDSelectorBitmap(bits)  # type: ignore[call-arg, arg-type]
    return faiss.SearchParameters(sel=selector)  # type: ignore[call-arg]
