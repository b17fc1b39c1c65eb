"""What the second pass changed, counted for each collection.

A search adds to about thirty whole numbers, so that counting may always be on. What the counts say
is read by `relevance_report.py` for people and by `relevance_metrics.py` for Prometheus.
"""

import math
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from twopass.server.telemetry.rolling import MAX_SECONDS, Growth, Rolling

RETRIEVE_STATUSES = (
    "complete",
    "lexical_deadline",
    "lexical_overload",
    "lexical_failed",
    "dense_deadline",
    "dense_overload",
    "dense_failed",
    "fused_deadline",
    "fused_overload",
    "fused_failed",
    "no_windows_deadline",
    "no_windows_overload",
    "no_windows_failed",
)
RERANK_STATUSES = (
    "complete",
    "partial",
    "disabled",
    "skipped_deadline",
    "skipped_overload",
    "failed",
)

OTHERS = "_other"
"""Stands for the collections that have no counts of their own; no collection can be named so."""

MAX_COLLECTIONS = 64
"""Most collections with counts of their own; an idle one gives its place away after a day."""

MAX_TOP = 100
"""Most hits of an answer that are compared with the first pass's."""

SCORE_EDGES = tuple(i / 20 for i in range(1, 20))
"""Upper ends of all bins of scores but the last, which ends at 1."""

MARGIN_EDGES = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Upper ends of all bins of margins but the last; the first bin has those below 0."""

PLACE_EDGES = (1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1_000)
"""The last place of each bin of places, but for the last bin, which has all others."""

# Times are counted in bins whose ends have a ratio of the eighth root of 2, so that a quantile is
# off by less than 5%.
_BINS_A_DOUBLING = 8
_SHORTEST = 0.000_25
_NUM_DOUBLINGS = 18
TIME_EDGES = tuple(
    _SHORTEST * 2 ** (i / _BINS_A_DOUBLING) for i in range(_NUM_DOUBLINGS * _BINS_A_DOUBLING + 1)
)
"""Upper ends of all bins of seconds but the last: 0.25 ms to 65 s."""


class Place:
    """Where each count stands; a histogram begins where its name says."""

    RETRIEVE = 0
    RERANK = RETRIEVE + len(RETRIEVE_STATUSES)
    (
        COMPARED,
        FIRST_CHANGED,
        THREE_CHANGED,
        TOP_CHANGED,
        TOP_HITS,
        TOP_KEPT,
        TOP_MOVES,
        LEFT_EMPTY,
        PASSAGES,
        PASSAGES_TRUNCATED,
        PASSAGES_BELOW,
        WITH_MIN_SCORE,
        QUERIES_TRUNCATED,
        SECOND_MICROSECONDS,
        SEARCH_MICROSECONDS,
        MARGIN_MILLIONTHS,
        WITH_THRESHOLD,
        UNANSWERABLE,
    ) = range(RERANK + len(RERANK_STATUSES), RERANK + len(RERANK_STATUSES) + 18)
    SCORES = UNANSWERABLE + 1
    MARGINS = SCORES + len(SCORE_EDGES) + 1
    FIRST_PLACES = MARGINS + len(MARGIN_EDGES) + 1
    REACHES = FIRST_PLACES + len(PLACE_EDGES) + 1
    SECOND_TIMES = REACHES + len(PLACE_EDGES) + 1
    SEARCH_TIMES = SECOND_TIMES + len(TIME_EDGES) + 1
    END = SEARCH_TIMES + len(TIME_EDGES) + 1


_RETRIEVE_PLACE = {name: Place.RETRIEVE + i for i, name in enumerate(RETRIEVE_STATUSES)}
_RERANK_PLACE = {name: Place.RERANK + i for i, name in enumerate(RERANK_STATUSES)}


@dataclass(frozen=True, slots=True)
class SecondPassEffect:
    """What the second pass did to one search.

    Attributes:
        top: The first hits of the answer, each by its place in first-pass order, from 0; empty
            where pages follow one another, of which the first alone is compared.
        reach: How many candidates the second pass had to read to have read the first three hits.
        num_read: Candidates that it read.
        num_truncated: Those of them whose end it did not read.
        num_below: Those of them left out by `min_score`.
        has_min_score: Whether there was one.
        top_score: The best candidate's score in [0, 1], left out or not.
        margin: Its logit less that of the second best; None where there is no second.
        seconds: How long it took, waiting included.
    """

    top: Sequence[int]
    reach: int
    num_read: int
    num_truncated: int
    num_below: int
    has_min_score: bool
    top_score: float
    margin: float | None
    seconds: float


class Relevance:
    """Counts for each collection what the second pass changed. Lives on the event loop.

    A collection is known by its incarnation: renamed, it keeps its counts; deleted and made anew,
    it begins at zero.
    """

    def __init__(
        self,
        *,
        max_collections: int = MAX_COLLECTIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Counts nothing yet.

        Args:
            max_collections: Most collections with counts of their own; others are counted together.
            clock: Seconds that never go back.
        """
        self._max = max_collections
        self._clock = clock
        self._names: dict[str, str] = {}
        self._counts: dict[str, Rolling] = {}
        self._others = Rolling(Place.END, clock())

    def searched(
        self,
        name: str,
        incarnation: str,
        *,
        retrieve: str,
        rerank: str,
        seconds: float,
        query_truncated: bool,
        answerable: bool | None,
        effect: SecondPassEffect | None,
    ) -> None:
        """Counts an answered search.

        Args:
            name: The collection's own name.
            incarnation: Its incarnation.
            retrieve: The first pass's status, of `RETRIEVE_STATUSES`.
            rerank: The second pass's, of `RERANK_STATUSES`.
            seconds: How long the search took.
            query_truncated: Whether a model did not read the query's end.
            answerable: Whether a score reached the answer threshold; None without one.
            effect: What the second pass did; None where it scored nothing.
        """
        now = self._clock()
        if self._names.get(incarnation) != name:
            self._admit(name, incarnation, now)
        rolling = self._counts.get(incarnation, self._others)
        counts = rolling.begin(now)
        counts[_RETRIEVE_PLACE[retrieve]] += 1
        counts[_RERANK_PLACE[rerank]] += 1
        if query_truncated:
            counts[Place.QUERIES_TRUNCATED] += 1
        if answerable is not None:
            counts[Place.WITH_THRESHOLD] += 1
            counts[Place.UNANSWERABLE] += not answerable
        if effect is not None:
            _count(counts, effect, seconds)

    def forget(self, name: str) -> None:
        """Drops the counts of a collection that was deleted."""
        for incarnation, known in list(self._names.items()):
            if known == name:
                self._drop(incarnation)

    def growth(self, incarnation: str, seconds: float) -> Growth | None:
        """What was counted of a collection in the last so many seconds.

        Returns:
            The growth; None where the collection was not searched, or has no counts of its own.
        """
        rolling = self._counts.get(incarnation)
        return None if rolling is None else rolling.growth(self._clock(), seconds)

    def growths(self, seconds: float) -> Iterator[tuple[str, Growth]]:
        """What was counted of each collection, by name; of the others, as `OTHERS`, last."""
        now = self._clock()
        for incarnation, name in sorted(self._names.items(), key=lambda item: item[1]):
            yield name, self._counts[incarnation].growth(now, seconds)
        yield OTHERS, self._others.growth(now, seconds)

    def totals(self) -> list[tuple[str, "array[int]"]]:
        """The counts since the start, by name; may be called by any thread.

        Collections that were not searched for a day are left out.
        """
        now = self._clock()
        totals = [
            (name, self._counts[incarnation])
            for incarnation, name in list(self._names.items())
            if incarnation in self._counts
        ]
        recent = [(name, of.counts[:]) for name, of in totals if not _is_idle(of, now)]
        return [*recent, (OTHERS, self._others.counts[:])] if any(self._others.counts) else recent

    @property
    def is_full(self) -> bool:
        """Whether a further collection would be counted among the others."""
        now = self._clock()
        return len(self._names) >= self._max and not any(
            _is_idle(of, now) for of in self._counts.values()
        )

    def _admit(self, name: str, incarnation: str, now: float) -> None:
        """Gives a collection counts of its own, or a new name to those it has."""
        if incarnation in self._names:
            self.forget(name)  # of an earlier life, renamed or deleted elsewhere
            self._names[incarnation] = name
            return
        self.forget(name)
        if len(self._names) >= self._max:
            for idle in [known for known, of in self._counts.items() if _is_idle(of, now)]:
                self._drop(idle)
        if len(self._names) < self._max:
            self._counts[incarnation] = Rolling(Place.END, now)
            self._names[incarnation] = name

    def _drop(self, incarnation: str) -> None:
        del self._names[incarnation]
        del self._counts[incarnation]


def _is_idle(rolling: Rolling, now: float) -> bool:
    return now - rolling.last > MAX_SECONDS


def _count(counts: "array[int]", effect: SecondPassEffect, seconds: float) -> None:
    top = effect.top
    if top:
        num_top = len(top)
        counts[Place.COMPARED] += 1
        counts[Place.TOP_HITS] += num_top
        if top[0] != 0:
            counts[Place.FIRST_CHANGED] += 1
        if max(top[:3]) > min(2, num_top - 1):
            counts[Place.THREE_CHANGED] += 1
        num_kept = num_moves = 0
        for rank, place in enumerate(top):
            num_kept += place < num_top
            num_moves += abs(place - rank)
        counts[Place.TOP_KEPT] += num_kept
        counts[Place.TOP_MOVES] += num_moves
        if num_kept < num_top:
            counts[Place.TOP_CHANGED] += 1
        counts[Place.FIRST_PLACES + bisect_left(PLACE_EDGES, top[0] + 1)] += 1
        counts[Place.REACHES + bisect_left(PLACE_EDGES, effect.reach)] += 1
    counts[Place.PASSAGES] += effect.num_read
    counts[Place.PASSAGES_TRUNCATED] += effect.num_truncated
    if effect.has_min_score:
        counts[Place.WITH_MIN_SCORE] += 1
        counts[Place.PASSAGES_BELOW] += effect.num_below
        if effect.num_below == effect.num_read:
            counts[Place.LEFT_EMPTY] += 1
    counts[Place.SCORES + bisect_right(SCORE_EDGES, effect.top_score)] += 1
    if effect.margin is not None:
        counts[Place.MARGINS + bisect_right(MARGIN_EDGES, effect.margin)] += 1
        counts[Place.MARGIN_MILLIONTHS] += int(max(0.0, effect.margin) * 1e6)
    counts[Place.SECOND_MICROSECONDS] += int(effect.seconds * 1e6)
    counts[Place.SEARCH_MICROSECONDS] += int(seconds * 1e6)
    counts[Place.SECOND_TIMES + _time_bin(effect.seconds)] += 1
    counts[Place.SEARCH_TIMES + _time_bin(seconds)] += 1


def _time_bin(seconds: float) -> int:
    """The bin of a time: the number of `TIME_EDGES` below it."""
    if seconds <= _SHORTEST:
        return 0
    # Faster than bisecting; a rounding error at an edge moves a time into the bin beside its own.
    return min(math.ceil(math.log2(seconds / _SHORTEST) * _BINS_A_DOUBLING), len(TIME_EDGES))
