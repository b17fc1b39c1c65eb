"""Merges a base and the vectors added since into a new base, while both are searched."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.kinds import IndexKind
from twopass.index.lanes import Lane
from twopass.index.sequences import SequenceToken
from twopass.index.serial_queue import SerialQueue
from twopass.index.vectors.base_file import Header, save_base
from twopass.index.vectors.gpu_device import GpuDevice
from twopass.index.vectors.segments import Segment

_LOG = logging.getLogger("twopass.index")

# Vectors added between two checks whether the collection is being closed.
_BLOCK_VECTORS = 2_000
# Centroids fit the vectors they were trained on; a base this much larger is trained anew.
_RETRAINED_GROWTH = 4
_SAMPLE_SEED = 20_240_229


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """When vectors move from the delta into the base.

    Attributes:
        min_changes: Fewest vectors added or hidden for a merge.
        added_share: Share of the base that must have been added too, since a merge copies the base
            and saves it.
        exact_added_share: That share of a kind that is exact: its delta is searched as fast as its
            base, so all that a merge gains is a quicker start after a crash. A base that a GPU
            searches is faster than its delta, and goes by `added_share` whatever its kind.
        hidden_share: Share of all vectors that must be hidden before the base is built anew without
            them.
        num_threads: OpenMP threads of a merge; searches run beside it.
    """

    min_changes: int = 5_000
    added_share: float = 0.1
    exact_added_share: float = 0.5
    hidden_share: float = 0.25
    num_threads: int = 1

    def is_due(self, base: Segment, delta: Segment) -> bool:
        """Whether a merge is worth its cost now."""
        hidden = base.num_hidden + delta.num_hidden
        is_as_fast = base.kind.is_exact and not base.is_on_device
        share = self.exact_added_share if is_as_fast else self.added_share
        return len(delta) >= max(self.min_changes, share * len(base)) or (
            hidden >= self.min_changes and self.is_wasteful(hidden, len(base) + len(delta))
        )

    def is_wasteful(self, num_hidden: int, num_vectors: int) -> bool:
        """Whether so many vectors are hidden that the base is better built anew without them."""
        return num_hidden > self.hidden_share * num_vectors


@dataclass(frozen=True, slots=True, eq=False)
class Merge:
    """Two segments to be merged, to which nothing is added any more.

    Attributes:
        base: The old base, possibly empty.
        base_hidden: What was hidden in the base when the merge began, bool `[len(base)]`.
        delta: The vectors added since the base was built.
        delta_hidden: What was hidden in the delta when the merge began, bool `[len(delta)]`.
        sequence: The collection's state when the merge began.
        num_trained: From how many vectors the old base was trained; 0 if it was not.
        future: Resolves to the new base.
    """

    base: Segment
    base_hidden: Bools
    delta: Segment
    delta_hidden: Bools
    sequence: SequenceToken
    num_trained: int
    future: "Future[MergedBase]" = field(default_factory=Future)


@dataclass(frozen=True, slots=True, eq=False)
class MergedBase:
    """A new base.

    Attributes:
        base: The base.
        num_trained: From how many vectors it was trained; 0 if it was not.
    """

    base: Segment
    num_trained: int


class MergeAbandonedError(Exception):
    """The collection is being closed; the documents of the abandoned merge are safe on disk."""


class Merger:
    """Builds and saves new bases, one after the other, in a lane for what is not urgent."""

    def __init__(
        self,
        collection: CollectionName,
        kind: IndexKind,
        dimension: int,
        path: Path,
        policy: MergePolicy,
        lane: Lane,
        device: GpuDevice | None = None,
    ) -> None:
        """Begins with nothing to merge.

        Args:
            collection: The collection's name.
            kind: The index kind of its bases.
            dimension: Components of a vector.
            path: The file where bases are saved.
            policy: When to build anew, and with how many threads.
            lane: Lane in which it works.
            device: Copies a new base to a GPU before it is searched; None for no GPU.
        """
        self._collection = collection
        self._kind = kind
        self._dimension = dimension
        self._path = path
        self._policy = policy
        self._device = device
        self._closing = threading.Event()
        self._queue: SerialQueue[Merge] = SerialQueue(collection, lane, self._work, max_group=1)

    def submit(self, merge: Merge, then: "Callable[[Future[MergedBase]], None]") -> None:
        """Queues a merge; calls `then`, in any thread, when it is done and saved, or has failed."""
        merge.future.add_done_callback(then)
        self._queue.submit(merge)

    def close(self) -> None:
        """Abandons the merges that are not done; `merge` itself still works. Idempotent."""
        self._closing.set()
        self._queue.close()
        self._closing.clear()

    def _work(self, group: list[Merge]) -> None:
        for merge in group:
            if self._closing.is_set():
                raise MergeAbandonedError
            merged = self.merge(merge)
            if self._device is not None:
                merged.base.replicate(self._device)
            merge.future.set_result(merged)

    def merge(self, merge: Merge) -> MergedBase:
        """Builds a new base in the calling thread and saves it.

        Raises:
            MergeAbandonedError: `close` was called meanwhile.
        """
        began = time.perf_counter()
        faiss.omp_set_num_threads(self._policy.num_threads)
        merged = self._rebuilt(merge) if self._must_rebuild(merge) else self._appended(merge)
        built = time.perf_counter()
        self._save(merged, merge)
        _LOG.info(
            "index merged",
            extra={
                "collection": str(self._collection),
                "index_kind": self._kind.factory,
                "num_vectors": len(merged.base),
                "position": merge.sequence.position,
                "milliseconds": round(1e3 * (built - began), 1),
                "save_milliseconds": round(1e3 * (time.perf_counter() - built), 1),
            },
        )
        return merged

    def _must_rebuild(self, merge: Merge) -> bool:
        if not len(merge.base):
            return True
        num_vectors = len(merge.base) + len(merge.delta)
        num_hidden = int(np.count_nonzero(merge.base_hidden) + np.count_nonzero(merge.delta_hidden))
        if num_vectors - num_hidden < self._kind.min_training:
            return False
        has_outgrown = num_vectors > _RETRAINED_GROWTH * merge.num_trained
        return self._policy.is_wasteful(num_hidden, num_vectors) or (
            self._kind.min_training > 0 and has_outgrown
        )

    def _appended(self, merge: Merge) -> MergedBase:
        """Copies the base and adds the delta; what is hidden in the base is kept, hidden."""
        index = faiss.clone_index(merge.base.index)
        added = np.flatnonzero(~merge.delta_hidden)
        for rows in self._blocks(added):
            index.add(_vectors(merge.delta, rows))
        keys = np.concatenate([merge.base.keys, merge.delta.keys[added]])
        hidden = np.concatenate([merge.base_hidden, np.zeros(len(added), np.bool_)])
        return MergedBase(Segment(self._kind, index, keys, hidden), merge.num_trained)

    def _rebuilt(self, merge: Merge) -> MergedBase:
        """Builds a new index of the vectors visible in both segments."""
        parts = [
            (merge.base, np.flatnonzero(~merge.base_hidden)),
            (merge.delta, np.flatnonzero(~merge.delta_hidden)),
        ]
        num_vectors = sum(len(rows) for _, rows in parts)
        index = self._kind.create(self._dimension)
        num_trained = 0
        if self._kind.min_training:
            sample = _sample(parts, num_vectors, self._kind.max_training)
            index.train(sample)
            num_trained = num_vectors
        for segment, visible in parts:
            for rows in self._blocks(visible):
                index.add(_vectors(segment, rows))
        keys = np.concatenate([segment.keys[rows] for segment, rows in parts])
        hidden = np.zeros(num_vectors, np.bool_)
        return MergedBase(Segment(self._kind, index, keys, hidden), num_trained)

    def _blocks(self, rows: Int64s) -> Iterator[Int64s]:
        for start in range(0, len(rows), _BLOCK_VECTORS):
            if self._closing.is_set():
                raise MergeAbandonedError
            yield rows[start : start + _BLOCK_VECTORS]

    def _save(self, merged: MergedBase, merge: Merge) -> None:
        keys = merge.delta.keys if len(merge.delta) else merge.base.keys
        header = Header(
            index_kind=self._kind.factory,
            dimension=self._dimension,
            incarnation=merge.sequence.incarnation,
            position=merge.sequence.position,
            last_key=int(keys[-1]) if len(keys) else 0,
            num_vectors=len(merged.base),
            num_trained=merged.num_trained,
        )
        try:
            save_base(self._path, merged.base, header)
        except OSError as error:
            # Nothing is lost, but the next start takes longer.
            _LOG.warning(
                "index not saved, the next start will read it from the documents: %s: %s",
                self._path,
                error.strerror,
                extra={"collection": str(self._collection)},
            )


def _sample(parts: list[tuple[Segment, Int64s]], num_vectors: int, size: int) -> Float32s:
    """Vectors drawn evenly from all of them, at most `size`."""
    drawn = np.random.default_rng(_SAMPLE_SEED)
    share = min(1.0, size / num_vectors)
    chosen = [
        _vectors(segment, np.sort(drawn.choice(rows, round(share * len(rows)), replace=False)))
        for segment, rows in parts
        if len(rows)
    ]
    return np.concatenate(chosen)


def _vectors(segment: Segment, rows: Int64s) -> Float32s:
    """Vectors by position, float32 `[num_rows, dimension]`, as the segment's codes hold them."""
    vectors: Float32s = segment.index.reconstruct_batch(rows)
    return vectors
