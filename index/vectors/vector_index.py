"""The nearest-neighbour index of a collection: faiss, used by one thread at a time."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.errors import CollectionClosedError, StoppedError, StorageError
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.serial_queue import SerialQueue
from twopass.index.stopping import NEVER, EveryStop, Stop
from twopass.index.vectors.gpu_device import GpuDevice
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergeAbandonedError, MergedBase, MergePolicy, Merger
from twopass.index.vectors.search_threads import SearchThreads
from twopass.index.vectors.segmented_index import SegmentedIndex
from twopass.index.vectors.segments import QUERIES_PER_CALL, Found, Wanted

_LOG = logging.getLogger("twopass.index")

_MAX_GROUP = 256
# Fewer vectors outside the base than this are read from the documents in no time at the next start.
_WORTH_SAVING = 1_000
# A merge that has failed is tried again after so many seconds, then after twice as many, and so on.
_RETRY_SECONDS = 1.0
_MAX_RETRY_SECONDS = 300.0
_MAX_DOUBLINGS = 16
# A base that is on no GPU though it should be is copied again after so many seconds, then after
# twice as many, and so on to `_MAX_RETRY_SECONDS`.
_COPY_PAUSE_SECONDS = 30.0
_NOTHING = np.iinfo(np.int64).max  # in place of a key: comes after all where scores are equal


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest documents of each query, best first; equal scores by key.

    Attributes:
        keys: int64 `[num_queries, n]`; n is k, or how many vectors could be found at all.
        scores: Inner products, float32, shaped as `keys`; higher is nearer.
        exact: Which queries were compared with every vector that could be found, bool
            `[num_queries]`: no nearer one was missed. Vectors are compared as the index holds them,
            which is to 11 bits where its kind has SQfp16. Where not, an index approximated.
        sequence: The state of the collection that was searched.
    """

    keys: Int64s
    scores: Float32s
    exact: Bools
    sequence: SequenceToken


@dataclass(frozen=True, slots=True, eq=False)
class VectorChange:
    """The change of the index by a write.

    Attributes:
        removed: Removed keys, int64 `[num_removed]`.
        keys: New keys, ascending and above all earlier ones, int64 `[num_added]`.
        vectors: Vectors of the new keys, float32 `[num_added, dimension]`.
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
    members: Int64s | None
    breadth: Breadth
    stop: Stop
    future: Future[Neighbours] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class _Update:
    change: VectorChange
    future: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class _Swap:
    merged: "Future[MergedBase]"
    future: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class _MergeNow:
    future: Future[None] = field(default_factory=Future)


_Queued: TypeAlias = _Search | _Update | _Swap | _MergeNow


_InBase: TypeAlias = dict[_Search, Found]
"""What was found in the base for searches together, by search."""


class VectorIndex:
    """A vector index that is searched and changed by one thread at a time.

    A faiss index must not be searched while vectors are added. So every call is queued; searches
    that wait together share one pass over the vectors. Merges run beside searches and never block
    one.
    """

    def __init__(
        self,
        collection: CollectionName,
        schema: CollectionSchema,
        loaded: LoadedVectors,
        path: Path,
        lanes: Lanes,
        *,
        num_threads: int = 1,
        policy: MergePolicy | None = None,
        device: GpuDevice | None = None,
    ) -> None:
        """Begins with what was loaded.

        Args:
            collection: The collection's name.
            schema: Its schema.
            loaded: What the index holds.
            path: The file where its base is saved.
            lanes: Lanes in which it searches and merges.
            num_threads: Most threads of one search.
            policy: When to merge; None for the default.
            device: Copies each base to a GPU, which then searches it; None for none.
        """
        self._collection = collection
        self._policy = policy or MergePolicy()
        self._device = device
        self._maintenance = lanes.maintenance
        self._copying: Future[None] | None = None
        self._copy_pause = _COPY_PAUSE_SECONDS
        self._copy_time = time.monotonic() + self._copy_pause
        if device is not None:
            loaded.base.replicate(device)
        kind = IndexKind.parse(schema.index_kind)
        self._index = SegmentedIndex(kind, schema.dimension, loaded)
        self._threads = SearchThreads(num_threads, lanes.vectors)
        self._is_closing = False
        self._failure = ""
        self._merge_failure = ""  # of the last merge; empty where it succeeded
        self._num_failed_merges = 0  # since the last one that succeeded
        self._retry_time = 0.0
        self._wanted: list[Future[None]] = []  # of callers who asked for a merge
        self._waiting: list[Future[None]] = []  # of those whose merge is under way
        self.sequence = loaded.sequence
        self.num_vectors = self._index.num_visible
        self._merger = Merger(
            collection, kind, schema.dimension, path, self._policy, lanes.maintenance, device
        )
        self._queue: SerialQueue[_Queued] = SerialQueue(
            collection, lanes.vectors, self._work, max_group=_MAX_GROUP
        )

    @property
    def is_busy(self) -> bool:
        """Whether it is being searched, changed or merged."""
        return self._queue.is_busy or (self._index.is_merging and not self._merge_failure)

    @property
    def is_worth_saving(self) -> bool:
        """Whether `close` saves what has come since the last merge."""
        index = self._index
        return (
            not self._failure
            and index.can_merge
            # Adding to a graph takes minutes, reading the same vectors at the next start seconds.
            and not index.kind.num_links
            and index.num_outside_base >= _WORTH_SAVING
        )

    def search(
        self,
        vectors: Float32s,
        k: int,
        members: Int64s | None,
        breadth: Breadth,
        stop: Stop = NEVER,
    ) -> Future[Neighbours]:
        """Queues queries, float32 `[num_queries, dimension]`, for their `k` nearest.

        Args:
            vectors: The queries.
            k: Most neighbours of each, at least 1.
            members: Keys of the only documents to find, ascending, int64 `[num_keys]`; None for
                all.
            breadth: How far an approximate kind searches.
            stop: Lets the queries leave the queue; their future raises `StoppedError` then.
        """
        request = _Search(vectors, k, members, breadth, stop)
        self._queue.submit(request)
        return request.future

    def update(self, change: VectorChange) -> Future[None]:
        """Queues a change; every search that is queued after its future is done sees all of it.

        If the future raises, the index lacks the change. It is in doubt from then on: every call
        raises `StorageError` until it is built again.
        """
        request = _Update(change)
        self._queue.submit(request)
        return request.future

    def merge(self) -> Future[None]:
        """Queues a merge, due or not; its future is done when all current vectors are in the base.

        With too few vectors to train a base, nothing happens and the future is done at once.
        """
        request = _MergeNow()
        self._queue.submit(request)
        return request.future

    def close(self, *, discard: bool = False) -> None:
        """Finishes what was submitted, and saves the index if that is worth it. Idempotent.

        Args:
            discard: For a collection that is to be deleted: refuses what waits, and saves nothing.
        """
        self._is_closing = True
        self._merger.close()
        self._queue.close(discard=discard)
        for callers in (self._waiting, self._wanted):
            _settle(callers, CollectionClosedError(str(self._collection)))
        if not discard and self.is_worth_saving:
            self._merger.merge(self._index.begin_merge(self.sequence))
        if self._copying is not None and not self._copying.cancel():
            with suppress(Exception):
                self._copying.result()
        self._index.base.leave_device()

    def _work(self, group: list[_Queued]) -> None:
        # What an update holds is on disk already, so searches that came before it may see it too.
        for request in group:
            if isinstance(request, _Update):
                self._update(request)
            elif isinstance(request, _Swap):
                self._swap(request)
            elif isinstance(request, _MergeNow):
                self._wanted.append(request.future)
        self._begin_merge_if_due()
        waiting = []
        for request in group:
            if isinstance(request, _Search) and request.stop.is_set:
                request.future.set_exception(StoppedError())
            elif isinstance(request, _Search):
                waiting.append(request)
        searches, in_base = self._search_together(waiting)
        alike: list[list[_Search]] = []
        for search in searches:
            for others in alike:
                if self._may_share(search, others[0], in_base):
                    others.append(search)
                    break
            else:
                alike.append([search])
        for others in alike:
            for some in _calls(others):
                self._search(some, in_base)

    def _search_together(self, searches: list[_Search]) -> tuple[list[_Search], _InBase]:
        """Searches the base for all that wait, as far as that is better than one after the other.

        Returns:
            The searches that are not answered; and of those of them that lack no more than what is
            outside the base, what was found in it.
        """
        self._copy_again_if_due()
        if not searches or self._failure:
            return searches, {}
        asked = [
            Wanted(search.vectors, search.k, search.members, search.breadth) for search in searches
        ]
        in_base: _InBase = {}
        try:
            answers = self._index.search_base_together(
                asked, threads=self._threads, stop=EveryStop(search.stop for search in searches)
            )
        except Exception as error:
            _fail(searches, error)
            return [], {}
        has_more = self._index.num_outside_base > 0
        left = []
        for search, found in zip(searches, answers, strict=True):
            if found is None or has_more:
                left.append(search)
                if found is not None:
                    in_base[search] = found
            else:
                self._resolve(search, found)
        return left, in_base

    def _copy_again_if_due(self) -> None:
        """Copies the base to a GPU that had failed or was full, in a lane beside searches."""
        if self._device is None or self._is_closing or self._index.is_on_device:
            self._copy_pause = _COPY_PAUSE_SECONDS
            self._copy_time = time.monotonic() + self._copy_pause
        elif time.monotonic() >= self._copy_time and (
            self._copying is None or self._copying.done()
        ):
            self._copy_pause = min(2 * self._copy_pause, _MAX_RETRY_SECONDS)
            self._copy_time = time.monotonic() + self._copy_pause
            again = partial(self._index.base.replicate, self._device, is_again=True)
            with suppress(RuntimeError):  # the lane is closed
                self._copying = self._maintenance.submit(again)

    def _may_share(self, one: _Search, other: _Search, in_base: _InBase) -> bool:
        """Whether two searches can share a call of faiss without side effects."""
        if (one in in_base) != (other in in_base):
            return False
        # All but the base compares with every vector.
        is_exact = self._index.kind.is_exact or one in in_base
        if not is_exact and (one.breadth, one.k) != (other.breadth, other.k):
            return False
        if one.members is None or other.members is None:
            return one.members is other.members
        return one.members is other.members or np.array_equal(one.members, other.members)

    def _update(self, request: _Update) -> None:
        self._check_sound()
        change = request.change
        try:
            self._index.apply(change.removed, change.keys, change.vectors)
        except Exception as error:
            self._failure = (
                f"the vector index could not take in a write ({error!r}); documents are safe on "
                "disk, restart the server to build the index from them"
            )
            raise StorageError(self._failure) from error
        self.num_vectors = self._index.num_visible
        self.sequence = change.sequence
        request.future.set_result(None)

    def _begin_merge_if_due(self) -> None:
        if self._failure:
            _settle(self._wanted, StorageError(self._failure))
        elif self._is_closing:
            pass  # closing itself saves what is worth it
        elif self._merge_failure and not self._recover_from_failed_merge():
            pass
        elif self._index.can_merge and (self._wanted or self._index.is_merge_due(self._policy)):
            self._waiting, self._wanted = self._wanted, []
            merge = self._index.begin_merge(self.sequence)
            with suppress(CollectionClosedError):
                self._merger.submit(merge, self._queue_swap)
        elif not self._index.is_merging:
            _settle(self._wanted)  # there is not enough to train a base

    def _recover_from_failed_merge(self) -> bool:
        """Prepares another merge if it is time to try again; returns whether it did."""
        if not self._wanted and time.monotonic() < self._retry_time:
            return False
        try:
            self._index.abandon_merge()
        except Exception as error:
            self._waiting, self._wanted = self._wanted, []
            self._note_failed_merge(error)
            return False
        self._merge_failure = ""
        return True

    def _queue_swap(self, merged: "Future[MergedBase]") -> None:
        """Queues the exchange of the base; called in a thread of the merger."""
        with suppress(CollectionClosedError):
            self._queue.submit(_Swap(merged))

    def _swap(self, request: _Swap) -> None:
        request.future.set_result(None)
        error = request.merged.exception()
        if error is None:
            self._index.finish_merge(request.merged.result())
            self._num_failed_merges = 0
            _settle(self._waiting)
        elif isinstance(error, MergeAbandonedError):
            _settle(self._waiting, CollectionClosedError(str(self._collection)))
        else:
            self._note_failed_merge(error)

    def _note_failed_merge(self, error: BaseException) -> None:
        """Goes on with three segments, which lose nothing, and sets the time of the next try."""
        seconds = min(_RETRY_SECONDS * 2**self._num_failed_merges, _MAX_RETRY_SECONDS)
        self._num_failed_merges = min(self._num_failed_merges + 1, _MAX_DOUBLINGS)
        self._retry_time = time.monotonic() + seconds
        self._merge_failure = (
            f"the vector index could not be merged ({error!r}); searches go on, and the next write "
            f"or search after {seconds:,.0f} s tries again"
        )
        _LOG.error(self._merge_failure, extra={"collection": str(self._collection)})
        _settle(self._waiting, StorageError(self._merge_failure))

    def _search(self, searches: Sequence[_Search], in_base: _InBase) -> None:
        """Answers searches by one pass over the vectors, which ends early if all are stopped."""
        known = [in_base[search] for search in searches if search in in_base]
        k = max(search.k for search in searches)
        try:
            self._check_sound()
            found = self._index.nearest(
                np.concatenate([search.vectors for search in searches]),
                k,
                searches[0].members,
                searches[0].breadth,
                threads=self._threads,
                stop=EveryStop(search.stop for search in searches),
                in_base=_joined(known, k) if known else None,
            )
        except Exception as error:  # of these alone: others of their group are none the wiser
            _fail(searches, error)
            return
        start = 0
        for search in searches:
            end = start + len(search.vectors)
            is_there = found.keys[start:end, : search.k] != _NOTHING
            num_found = int(np.count_nonzero(is_there.all(axis=0)))
            keys = found.keys[start:end, :num_found].copy()
            scores = found.scores[start:end, :num_found].copy()
            self._resolve(search, Found(keys, scores, found.exact[start:end].copy()))
            start = end

    def _resolve(self, search: _Search, found: Found) -> None:
        search.future.set_result(Neighbours(found.keys, found.scores, found.exact, self.sequence))

    def _check_sound(self) -> None:
        if self._failure:
            raise StorageError(self._failure)


def _settle(callers: list[Future[None]], error: Exception | None = None) -> None:
    """Tells callers that a merge is done or has failed, but for those whose group failed before."""
    while callers:
        future = callers.pop()
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _fail(searches: Sequence[_Search], error: Exception) -> None:
    for search in searches:
        search.future.set_exception(error)


def _joined(found: Sequence[Found], k: int) -> Found:
    """What was found for several searches, as for one; `_NOTHING`, far off, fills shorter rows."""
    num_rows = sum(len(some.keys) for some in found)
    keys = np.full((num_rows, k), _NOTHING, np.int64)
    scores = np.full((num_rows, k), -np.inf, np.float32)
    start = 0
    for some in found:
        rows, columns = some.keys.shape
        keys[start : start + rows, :columns] = some.keys
        scores[start : start + rows, :columns] = some.scores
        start += rows
    return Found(keys, scores, np.concatenate([some.exact for some in found]))


def _calls(searches: Sequence[_Search]) -> Iterator[list[_Search]]:
    """Distributes searches over calls of faiss, each of a bounded number of queries.

    The first searches are then answered before the last begin, and a search for few neighbours does
    not share a call with one for many.
    """
    call: list[_Search] = []
    for search in sorted(searches, key=lambda search: search.k):
        if call and sum(len(one.vectors) for one in [*call, search]) > QUERIES_PER_CALL:
            yield call
            call = []
        call.append(search)
    if call:
        yield call
