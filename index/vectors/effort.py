"""Estimates what searches cost, to choose between comparing with all and an approximate search.

Costs are counted in components compared one after the other in memory: some 0.15 ns each.
"""

from twopass.index.kinds import Breadth, IndexKind
from twopass.index.vectors.graph_search import width_of

CHEAP_COMPONENTS = 100_000 * 384
"""A search among some vectors compares with each where they have no more components than this.

That takes some 6 ms on one core where the vectors lie together, 20 ms where they lie scattered.
"""
# A walk comes by vectors that lie anywhere in memory, and looks up which it has seen.
_SCATTERED = 1.5
# Of each vector it comes to, a walk looks for the nearest it has not been to, among all it keeps.
_COST_OF_KEPT = 2.0
SEEN_PER_FOUND = 4
"""The best of fewer vectors than this for each of k would be all there are in the nearest lists."""


class Effort:
    """What searches of one index cost."""

    def __init__(self, kind: IndexKind, dimension: int, num_vectors: int, num_threads: int) -> None:
        """Estimates for an index.

        Args:
            kind: Its kind.
            dimension: Components of a vector.
            num_vectors: How many vectors it holds, hidden ones too.
            num_threads: Threads of one search.
        """
        self._kind = kind
        self._dimension = dimension
        self._num_vectors = num_vectors
        self._num_threads = num_threads

    def walk(self, width: int) -> float:
        """The cost of a walk through a graph, which one thread does."""
        compared = min(self._num_vectors, self._kind.num_links * width)
        return _SCATTERED * self._dimension * compared + _COST_OF_KEPT * width**2

    def exact(self, num_answerable: int) -> float:
        """The cost of comparing with each of so many, which all threads share."""
        return self._dimension * num_answerable / self._num_threads

    def is_exact_better(
        self, breadth: Breadth, k: int, num_answerable: int, *, is_filtered: bool
    ) -> bool:
        """Whether a query is best compared with each vector that may be answered.

        Args:
            breadth: How far an approximate search goes.
            k: How many neighbours it looks for.
            num_answerable: How many vectors may be answered.
            is_filtered: Whether the search is among some vectors alone: then an approximate search
                is worth its doubts only where the exact one is not cheap.
        """
        if is_filtered and self._dimension * num_answerable <= CHEAP_COMPONENTS:
            return True
        share = num_answerable / max(1, self._num_vectors)
        if self._kind.num_links:
            walk = self.walk(width_of(self._kind.ef_search(breadth), k, share))
            return self.exact(num_answerable) <= walk
        return num_answerable <= self.num_seen(breadth, k)

    def num_seen(self, breadth: Breadth, k: int) -> int:
        """With how many vectors a search of the nearest lists compares each query at least."""
        share = self._kind.nprobe(breadth) / self._kind.num_lists
        return max(SEEN_PER_FOUND * k, int(share * self._num_vectors))
