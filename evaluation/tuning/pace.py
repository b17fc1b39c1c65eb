"""Milliseconds of a search by its settings: measured for a few, told by pairs for the others."""

import itertools
import secrets
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from twopass.client import Client, RetrieveMode, SearchResult
from twopass.evaluation.tuning.settings import Grid, Reader, Settings

Search: TypeAlias = Callable[[str, Settings], SearchResult]
"""Searches for a text in one way."""

_MARKS = "!?.,;:()[]{}/&*=~|^"
_NUM_MARKS = 5
# Other numbers in every run: a server remembers for as long as it runs.
_NUMBERS = itertools.count(secrets.randbelow(len(_MARKS) ** _NUM_MARKS))

TOP_N = 10
"""Hits that are returned where time is measured, as where a request does not say."""


def searching(client: Client, collection: str) -> Search:
    """Really searches a collection, one query at a time, with the texts of ten hits."""

    def search(text: str, settings: Settings) -> SearchResult:
        return client.search(
            collection,
            text,
            top_n=min(TOP_N, settings.k),
            retrieve=settings.retrieve(),
            rerank=settings.rerank(),
            allow_fallback=False,
            timeout=600,
        )

    return search


def never_asked(text: str) -> str:
    """A text as it stands, behind marks by which no cache of a server knows it.

    What was read of the queries is in the server's cache of scores by now, and a search that finds
    it there takes no second pass. Marks are no words, so that the search by words stays the same;
    they stand before the text, where no model cuts it.
    """
    number, marks = next(_NUMBERS), ""
    for _ in range(_NUM_MARKS):
        number, place = divmod(number, len(_MARKS))
        marks += _MARKS[place]
    return f"{marks} {text}"


@dataclass(frozen=True, slots=True)
class Pace:
    """What a search takes: its first pass by mode and k, its second by its pairs.

    Attributes:
        first: Milliseconds of a first pass, by mode, at the smallest and the greatest k.
        second: Milliseconds of a second pass by reranker: of any number of pairs, and of each.
        ks: The smallest and the greatest k.
        num_candidates: Candidates of a query at the greatest k.
    """

    first: Mapping[str, tuple[float, float]]
    second: Mapping[Reader, tuple[float, float]]
    ks: tuple[int, int]
    num_candidates: float

    def milliseconds(self, settings: Settings) -> float:
        """What a search takes by pairs and pace."""
        low, high = self.first[settings.mode]
        least, most = self.ks
        share = (settings.k - least) / (most - least) if most > least else 1.0
        first = low + (high - low) * min(max(share, 0.0), 1.0)
        if settings.reader is None:
            return first
        fixed, each = self.second[settings.reader]
        return first + fixed + each * min(settings.depth, self.num_candidates)


def measured_pace(
    search: Search, texts: Sequence[str], grid: Grid, advance: Callable[[int], None]
) -> Pace:
    """Measures a few settings of a grid by searching, one query at a time.

    Each search asks what no search has asked before, as `never_asked` says.

    Args:
        search: Searches.
        texts: Queries; each is searched for in every one of these settings.
        grid: The settings.
        advance: Called with 1 after each search.
    """
    ks = min(grid.ks), max(grid.ks)
    mode: RetrieveMode = "hybrid" if "hybrid" in grid.modes else grid.modes[-1]

    def first(of: RetrieveMode, k: int) -> Settings:
        return Settings(of, k, grid.fusions[0] if of == "hybrid" else None)

    bare = {(of, k): first(of, k) for of in grid.modes for k in dict.fromkeys(ks)}
    depths = sorted({min(grid.depths, default=0), min(max(grid.depths, default=0), ks[1])})
    deep = first(mode, ks[1])
    read = {
        (reader, depth): Settings(mode, ks[1], deep.fusion, depth, reader, 0.5)
        for reader in grid.readers
        for depth in depths
    }
    ways = [*bare.values(), *read.values()]
    took: dict[Settings, list[float]] = {way: [] for way in ways}
    num_candidates = []
    for number, text in enumerate((*texts[:1], *texts)):
        for way in ways:
            result = search(never_asked(text), way)
            advance(1)
            if number:  # the first round warms up what loads and grows when it is first used
                took[way].append(result.timings.total_ms or 0.0)
                num_candidates.append(result.num_candidates if way == deep else 0)
    median = {way: statistics.median(times) for way, times in took.items()}
    found = max(num_candidates, default=0) or ks[1]
    second = {}
    for reader in grid.readers:
        times = [median[read[reader, depth]] - median[deep] for depth in depths]
        pairs = [min(depth, found) for depth in depths]
        spread = pairs[-1] - pairs[0]
        each = (times[-1] - times[0]) / spread if spread else times[-1] / max(pairs[-1], 1)
        each = max(each, 0.0)
        second[reader] = max(times[-1] - each * pairs[-1], 0.0), each
    return Pace(
        {of: (median[bare[of, ks[0]]], median[bare[of, ks[1]]]) for of in grid.modes},
        second,
        ks,
        found,
    )


def num_searches(grid: Grid, num_texts: int) -> int:
    """How many searches `measured_pace` makes."""
    num_depths = len({min(grid.depths, default=0), min(max(grid.depths, default=0), max(grid.ks))})
    num_ks = len({min(grid.ks), max(grid.ks)})
    ways = len(grid.modes) * num_ks + len(grid.readers) * num_depths
    return ways * (num_texts + 1 if num_texts else 0)
