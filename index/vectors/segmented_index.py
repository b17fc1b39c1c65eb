"""All vectors of a collection, in segments: a base, a delta, and during a merge a third.

::

    base ─────┐ search      base ───┐           merge   ┌──▶ new base
    delta ────┘             frozen ─┴─ searched on  ────┘    delta
                            delta ── takes writes
"""

from collections.abc import Sequence

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, EveryStop, Stop
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import Merge, MergedBase, MergePolicy
from twopass.index.vectors.search_threads import ALONE, SearchThreads
from twopass.index.vectors.segments import Found, Segment, Wanted


class SegmentedIndex:
    """A base that never changes and a small flat delta for new vectors; both hide removed ones.

    Not thread-safe: only one thread at a time may search or change it.

    Attributes:
        kind: Index kind of the base.
        is_merging: Whether a merge was begun and not finished.
    """

    def __init__(self, kind: IndexKind, dimension: int, loaded: LoadedVectors) -> None:
        self.kind = kind
        self.is_merging = False
        self._dimension = dimension
        self._base = loaded.base
        self._num_trained = loaded.num_trained
        self._frozen = Segment.empty(dimension)
        self._delta = loaded.delta
        self._hidden_in_merge: list[Int64s] = []

    @property
    def num_visible(self) -> int:
        """How many vectors a search can find."""
        return sum(segment.num_visible for segment in self._segments())

    @property
    def num_outside_base(self) -> int:
        """How many vectors the base lacks."""
        return self.num_visible - self._base.num_visible

    def apply(self, removed: Int64s, keys: Int64s, vectors: Float32s) -> None:
        """Hides the vectors of removed keys, and adds vectors under keys above all earlier ones."""
        for segment in self._segments():
            segment.hide(removed)
        if self.is_merging:
            self._hidden_in_merge.append(removed)
        if len(keys):
            self._delta.add(keys, vectors)

    @property
    def is_on_device(self) -> bool:
        """Whether a copy of the base on a GPU answers searches."""
        return self._base.is_on_device

    @property
    def base(self) -> Segment:
        """The base that is searched now."""
        return self._base

    def search_base_together(
        self, searches: Sequence[Wanted], *, threads: SearchThreads, stop: Stop | EveryStop
    ) -> list[Found | None]:
        """Answers what is answered better together, in the base; see `Segment.search_together`."""
        return self._base.search_together(searches, threads=threads, stop=stop)

    def nearest(
        self,
        queries: Float32s,
        k: int,
        members: Int64s | None,
        breadth: Breadth,
        *,
        threads: SearchThreads = ALONE,
        stop: Stop | EveryStop = NEVER,
        in_base: Found | None = None,
    ) -> Found:
        """Finds the `k` nearest vectors in all segments, best first; equal scores by key.

        Arguments are those of `Segment.search`, and what is known of the base already.
        """
        found = [
            segment.search(queries, k, members, breadth, threads=threads, stop=stop)
            for segment in self._segments()
            if in_base is None or (segment is not self._base and segment.num_visible)
        ]
        return merged(k, found if in_base is None else [in_base, *found])

    def is_merge_due(self, policy: MergePolicy) -> bool:
        """Whether a merge may begin, and is worth its cost."""
        return self.can_merge and policy.is_due(self._base, self._delta)

    @property
    def can_merge(self) -> bool:
        """Whether a merge may begin: none is under way, and there is enough to train a base."""
        return not self.is_merging and self.num_visible >= self.kind.min_training

    def begin_merge(self, sequence: SequenceToken) -> Merge:
        """Sets the delta aside for a merge, and begins a new delta for what is written."""
        self._frozen, self._delta = self._delta, Segment.empty(self._dimension)
        self.is_merging = True
        return Merge(
            self._base,
            self._base.hidden.copy(),
            self._frozen,
            self._frozen.hidden.copy(),
            sequence,
            self._num_trained,
        )

    def finish_merge(self, new: MergedBase) -> None:
        """Replaces the old base and the delta set aside with the new base."""
        for keys in self._hidden_in_merge:
            new.base.hide(keys)
        self._base.leave_device()
        self._base, self._num_trained = new.base, new.num_trained
        self._frozen = Segment.empty(self._dimension)
        self._hidden_in_merge = []
        self.is_merging = False

    def abandon_merge(self) -> None:
        """Joins the delta set aside and the current delta, so that another merge may begin.

        An exception leaves everything as it was.
        """
        delta = self._delta
        if len(delta):
            vectors = delta.index.reconstruct_n(0, len(delta))
            self._frozen.add(delta.keys, vectors)
            self._frozen.hide(delta.keys[delta.hidden])
        self._frozen, self._delta = Segment.empty(self._dimension), self._frozen
        self._hidden_in_merge = []
        self.is_merging = False

    def _segments(self) -> tuple[Segment, ...]:
        return self._base, self._frozen, self._delta


def merged(k: int, found: Sequence[Found]) -> Found:
    """The `k` best of what several searches found for the same queries; equal scores by key."""
    keys = np.concatenate([some.keys for some in found], axis=1)
    scores = np.concatenate([some.scores for some in found], axis=1)
    order = np.lexsort((keys, -scores))[:, :k]
    return Found(
        np.take_along_axis(keys, order, 1),
        np.take_along_axis(scores, order, 1),
        np.logical_and.reduce([some.exact for some in found]),
    )
