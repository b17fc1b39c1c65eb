"""What the counts of `relevance.py` say about one collection in one time."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.server.telemetry.relevance import (
    MARGIN_EDGES,
    PLACE_EDGES,
    RERANK_STATUSES,
    RETRIEVE_STATUSES,
    SCORE_EDGES,
    TIME_EDGES,
    Place,
)
from twopass.server.telemetry.rolling import Growth


@dataclass(frozen=True, slots=True)
class PassTimes:
    """How long the second pass took, or whole searches with one, in seconds.

    Attributes:
        median: The median.
        p99: What 99% do not exceed.
        total: All together.
    """

    median: float
    p99: float
    total: float


class RelevanceReport:
    """Reads the counts of one collection."""

    def __init__(self, growth: Growth) -> None:
        """Reads counts.

        Args:
            growth: What was counted.
        """
        self._counts = growth.counts
        self.seconds = growth.seconds

    def __getitem__(self, place: int) -> int:
        """One count, by its constant in `Place`."""
        return self._counts[place]

    def share(self, place: int, of: int) -> float:
        """One count as a share of another; 0 where the other is 0."""
        return self[place] / self[of] if self[of] else 0.0

    @property
    def num_searches(self) -> int:
        """Answered searches."""
        return sum(self.rerank_statuses.values())

    @property
    def num_reranked(self) -> int:
        """Searches in which the second pass scored at least one candidate."""
        return sum(self.times(Place.SECOND_TIMES))

    @property
    def retrieve_statuses(self) -> dict[str, int]:
        """Searches by what became of the first pass; without statuses that did not occur."""
        return self._named(RETRIEVE_STATUSES, Place.RETRIEVE)

    @property
    def rerank_statuses(self) -> dict[str, int]:
        """Searches by what became of the second pass; without statuses that did not occur."""
        return self._named(RERANK_STATUSES, Place.RERANK)

    @property
    def overlap(self) -> float:
        """The share of hits that were among as many of the first pass; 0 where none is compared."""
        return self.share(Place.TOP_KEPT, Place.TOP_HITS)

    @property
    def mean_displacement(self) -> float:
        """By how many ranks a hit moved, on average."""
        return self.share(Place.TOP_MOVES, Place.TOP_HITS)

    @property
    def mean_depth(self) -> float:
        """Candidates read by a second pass, on average; 0 without any."""
        return self[Place.PASSAGES] / self.num_reranked if self.num_reranked else 0.0

    @property
    def scores(self) -> Sequence[int]:
        """Best scores: how many are in each bin of `SCORE_EDGES`."""
        return self._bins(Place.SCORES, SCORE_EDGES)

    @property
    def margins(self) -> Sequence[int]:
        """Logits above the second best: how many are in each bin of `MARGIN_EDGES`."""
        return self._bins(Place.MARGINS, MARGIN_EDGES)

    @property
    def first_hit_places(self) -> Sequence[int]:
        """Places of first hits in first-pass order, by the bins of `PLACE_EDGES`."""
        return self._bins(Place.FIRST_PLACES, PLACE_EDGES)

    @property
    def reaches(self) -> Sequence[int]:
        """Candidates read until the first three hits were, by the bins of `PLACE_EDGES`."""
        return self._bins(Place.REACHES, PLACE_EDGES)

    @property
    def median_score(self) -> float | None:
        """The best score that half of the searches are above; None without searches."""
        return quantile(self.scores, (0.0, *SCORE_EDGES, 1.0), 0.5)

    @property
    def second_pass(self) -> PassTimes | None:
        """How long second passes took; None without any."""
        return self._pass_times(Place.SECOND_TIMES, Place.SECOND_MICROSECONDS)

    @property
    def searches(self) -> PassTimes | None:
        """How long whole searches took, of those with a second pass; None without any."""
        return self._pass_times(Place.SEARCH_TIMES, Place.SEARCH_MICROSECONDS)

    def times(self, place: int) -> Sequence[int]:
        """Times, by the bins of `TIME_EDGES`."""
        return self._bins(place, TIME_EDGES)

    def depth_for(self, share: float) -> int | None:
        """The depth by which so large a share of searches had read its first three hits.

        Returns:
            A value of `PLACE_EDGES`; None where none suffices, or nothing was compared.
        """
        reaches, so_far = self.reaches, 0
        for last, count in zip(PLACE_EDGES, reaches[:-1], strict=True):
            so_far += count
            if so_far and so_far >= share * sum(reaches):
                return last
        return None

    def share_beyond(self, place: float) -> float:
        """The share of first hits that stood behind a place in first-pass order, by bins."""
        places = self.first_hit_places
        behind = bisect_left(PLACE_EDGES, place) + 1
        return sum(places[behind:]) / sum(places) if any(places) else 0.0

    def _named(self, names: Sequence[str], place: int) -> dict[str, int]:
        counted = {name: self[place + i] for i, name in enumerate(names)}
        return {name: count for name, count in counted.items() if count}

    def _bins(self, place: int, edges: Sequence[float]) -> Sequence[int]:
        return self._counts[place : place + len(edges) + 1]

    def _pass_times(self, place: int, total: int) -> PassTimes | None:
        bins, edges = self.times(place), (0.0, *TIME_EDGES, TIME_EDGES[-1])
        median, p99 = quantile(bins, edges, 0.5), quantile(bins, edges, 0.99)
        if median is None or p99 is None:
            return None
        return PassTimes(median, p99, self[total] / 1e6)


def quantile(bins: Sequence[int], ends: Sequence[float], share: float) -> float | None:
    """The value that a share of values does not exceed, interpolated within its bin.

    Args:
        bins: How many values are in each bin.
        ends: The lower end of the first bin, then the upper end of each.
        share: Between 0 and 1.

    Returns:
        The value; None without values.
    """
    wanted = share * sum(bins)
    for count, low, high in zip(bins, ends, ends[1:], strict=False):
        if count and wanted <= count:
            return low + (high - low) * wanted / count
        wanted -= count
    return None
