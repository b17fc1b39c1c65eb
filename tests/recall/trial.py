"""One index under test: filled, worn by deletions and updates, and searched against brute force."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from .topics import NUM_TOPICS, Topics

K = 10
_INCARNATION = "0" * 32


@dataclass(slots=True, eq=False)
class Outcome:
    """What became of some searches.

    Attributes:
        recalls: Share of the right neighbours found, for each search.
        num_short: How many searches found fewer than `K`, or than may be found.
        num_wrong: How many searches found what may not be found, or anything twice.
        num_exact: How many searches compared with all.
        seconds: How long each took.
    """

    recalls: list[float] = field(default_factory=list)
    num_short: int = 0
    num_wrong: int = 0
    num_exact: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The mean of all searches."""
        return float(np.mean(self.recalls)) if self.recalls else 1.0


class Trial:
    """An index that is never merged after it was filled, so that all that is hidden stays in it.

    Attributes:
        deleted: Share of the first vectors that is deleted.
    """

    def __init__(
        self, kind: str, sample: Topics, path: Path, lanes: Lanes, num_threads: int
    ) -> None:
        """Fills the base of an index.

        Args:
            kind: Its kind.
            sample: What is in it. The keys of vectors are their row numbers and 1.
            path: An empty folder.
            lanes: Where it works.
            num_threads: Threads of one search.
        """
        self._sample = sample
        self._scores: Float32s = sample.queries @ sample.vectors.T
        num_vectors, dimension = sample.vectors.shape
        parsed, none = IndexKind.parse(kind), np.empty(0, np.int64)
        base = Segment(parsed, parsed.create(dimension), none, np.empty(0, np.bool_))
        self._index = VectorIndex(
            kind,
            CollectionSchema(dimension=dimension, client_vectors=True, index_kind=kind),
            LoadedVectors(base, Segment.empty(dimension), 0, SequenceToken(_INCARNATION, 0)),
            path / "vectors.base",
            lanes,
            num_threads=num_threads,
            policy=MergePolicy(min_changes=10 * num_vectors, num_threads=num_threads),
        )
        self.deleted = 0.0
        self._position = 0
        self._is_there = np.zeros(num_vectors, np.bool_)
        self._row_of = np.arange(num_vectors)  # of each key, less 1
        self._write(none, np.arange(num_vectors))
        self._index.merge().result()

    def close(self) -> None:
        """Closes the index."""
        self._index.close(discard=True)

    def delete(self, share: float, seed: int) -> None:
        """Deletes until a share of the first vectors is gone, half of it as whole topics."""
        drawn = np.random.default_rng(seed)
        self.deleted = share
        wanted = round(share * len(self._is_there))
        gone = self._sample.topics < share / 2 * NUM_TOPICS
        left = np.flatnonzero(~gone & self._is_there)
        gone[drawn.choice(left, max(0, wanted - int(gone.sum())), replace=False)] = True
        self._write(np.flatnonzero(gone & self._is_there), np.empty(0, np.int64))

    def update(self, share: float, seed: int) -> None:
        """Gives a share of the vectors new keys, by which they are outside the base."""
        there = np.flatnonzero(self._is_there[: len(self._sample.topics)])
        drawn = np.random.default_rng(seed)
        some = np.sort(drawn.choice(there, round(share * len(there)), replace=False))
        self._row_of = np.concatenate([self._row_of, some])
        self._is_there = np.concatenate([self._is_there, np.zeros(len(some), np.bool_)])
        self._write(some, np.arange(len(self._row_of) - len(some), len(self._row_of)))

    def search(self, query: int, rows: Int64s | None, outcome: Outcome) -> None:
        """Searches, and notes what became of it.

        Args:
            query: Number of the query.
            rows: Row numbers of the vectors that pass a filter, ascending; None for no filter.
            outcome: Where to note it.
        """
        may = self._may(rows)
        members = None if rows is None else np.flatnonzero(may) + 1
        vector = self._sample.queries[query : query + 1]
        began = time.perf_counter()
        found = self._index.search(vector, K, members, Breadth()).result()
        outcome.seconds.append(time.perf_counter() - began)
        outcome.num_exact += bool(found.exact[0])
        keys = found.keys[0]
        right = self._nearest(query, may)
        outcome.num_short += len(keys) < len(right)
        outcome.num_wrong += len(np.unique(keys)) < len(keys) or not may[keys - 1].all()
        if len(right):
            outcome.recalls.append(float(np.isin(right, keys - 1).mean()))

    def _may(self, rows: Int64s | None) -> Bools:
        """Which keys, less 1, may be found."""
        if rows is None:
            return self._is_there
        passes = np.zeros(len(self._sample.topics), np.bool_)
        passes[rows] = True
        return self._is_there & passes[self._row_of]

    def _nearest(self, query: int, may: Bools) -> Int64s:
        """The keys, less 1, of the nearest, by comparing with all in float32."""
        scores = np.where(may, self._scores[query][self._row_of], -np.inf)
        count = min(K, int(may.sum()))
        return np.argpartition(-scores, count)[:count] if count < len(may) else np.flatnonzero(may)

    def _write(self, removed: Int64s, added: Int64s) -> None:
        self._position += 1
        self._is_there[removed], self._is_there[added] = False, True
        vectors = self._sample.vectors[self._row_of[added]]
        token = SequenceToken(_INCARNATION, self._position)
        self._index.update(VectorChange(removed + 1, added + 1, vectors, token)).result()
