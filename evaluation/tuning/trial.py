"""What a choice is worth: on queries that it was not chosen by, and by really searching."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.evaluation.datasets import Part
from twopass.evaluation.significance import LEVEL, mean_interval, randomization_test
from twopass.evaluation.tuning.arithmetic import CUTOFF, GridQuery, Qualities, order
from twopass.evaluation.tuning.choice import Aim, Choice, Reason, choose_settings
from twopass.evaluation.tuning.pace import Search, never_asked
from twopass.evaluation.tuning.settings import Settings

ENOUGH_FOR_HALVES = 100
"""Judged queries from which on one half chooses and the other reports; with fewer, folds do."""
_FOLDS = 5


class Check(StrEnum):
    """Which queries tell what a choice is worth."""

    HALVES = "halves"
    FOLDS = "folds"


@dataclass(frozen=True, slots=True)
class Gain:
    """nDCG@10 of a choice against the defaults, on queries that it was not chosen by.

    Attributes:
        num_queries: Number of queries.
        before: nDCG@10 of the defaults.
        after: nDCG@10 of the choice.
        low: Lower end of the 95 % interval of the gain (percentile bootstrap).
        high: Its upper end.
        p_value: Probability that chance alone makes them differ so much (paired randomisation).
    """

    num_queries: int
    before: float
    after: float
    low: float
    high: float
    p_value: float

    @property
    def gain(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A choice with what it is worth.

    Attributes:
        choice: The choice.
        check: How its worth was told.
        gain: What it is worth.
        kept_back: Why the defaults should stay although something else was chosen; "" if not.
    """

    choice: Choice
    check: Check
    gain: Gain
    kept_back: str

    @property
    def recommended(self) -> Settings | None:
        """What to take; None for the defaults."""
        if self.kept_back or self.choice.reason is Reason.NOTHING_BETTER:
            return None
        return self.choice.settings


def tried(
    measured: Qualities,
    milliseconds: Mapping[Settings, float],
    defaults: Settings,
    own_blends: Mapping[str, float],
    aim: Aim,
    check: Check | None = None,
) -> Tried:
    """Chooses settings, and tells what they are worth on queries that they were not chosen by.

    With halves, the development half chooses and the other reports. With folds, all queries choose;
    what that is worth is told by choosing five times on four fifths of the queries and looking at
    the fifth that is left.

    Args:
        measured: nDCG@10 of every way for every judged query.
        milliseconds: Time of a search by `Settings.cost`.
        defaults: What a search that sets nothing does.
        own_blends: Each reranker's own blend, by its id.
        aim: What is looked for.
        check: Halves or folds; None for halves where there are `ENOUGH_FOR_HALVES`.
    """

    def chosen(places: Sequence[int]) -> Choice:
        return choose_settings(measured.among(places), milliseconds, defaults, own_blends, aim)

    before = measured.of(defaults)
    every = range(len(measured.queries))
    if check is None:
        check = Check.HALVES if len(every) >= ENOUGH_FOR_HALVES else Check.FOLDS
    if check is Check.HALVES:
        choosing = [n for n in every if Part.DEVELOPMENT.has(measured.queries[n])]
        reporting = [n for n in every if Part.HELD_OUT.has(measured.queries[n])]
        if choosing and reporting:
            choice = chosen(choosing)
            after = measured.of(choice.settings)
            gain = gain_of(before[reporting], after[reporting])
            return Tried(choice, check, gain, _kept_back(choice, gain, aim))
    choice = chosen(every)
    folds = np.array_split(
        np.random.default_rng(0).permutation(len(every)), min(_FOLDS, len(every))
    )
    after = before.copy()
    for fold in folds:
        others = np.setdiff1d(every, fold)
        if len(others):
            after[fold] = measured.of(chosen(others.tolist()).settings)[fold]
    gain = gain_of(before, after)
    return Tried(choice, Check.FOLDS, gain, _kept_back(choice, gain, aim))


def gain_of(before: NDArray[np.float64], after: NDArray[np.float64]) -> Gain:
    """What a way gains over another on the same queries, both float64 `[num_queries]`."""
    low, high = mean_interval(after - before)
    return Gain(
        len(before),
        float(before.mean()),
        float(after.mean()),
        low,
        high,
        randomization_test(before, after),
    )


def _kept_back(choice: Choice, gain: Gain, aim: Aim) -> str:
    """Why other queries speak against a choice; "" where they don't."""
    if choice.reason is Reason.NOTHING_BETTER:
        return ""
    if gain.gain < 0 and gain.p_value < LEVEL and choice.reason is not Reason.WITHIN_BUDGET:
        return "on the other queries it is worse than the defaults by more than chance"
    if choice.reason is Reason.BETTER and gain.gain <= 0:
        return "on the other queries it is not better than the defaults"
    if choice.reason is Reason.CHEAPER and gain.gain < -aim.margin:
        return f"on the other queries it loses more than {aim.margin:g}"
    return ""


@dataclass(frozen=True, slots=True)
class Timed:
    """A way, really searched.

    Attributes:
        milliseconds: Median time of a search in the server, one at a time.
        quartiles: First and third quartile of those times.
        agreement: Share of searches whose first ten hits are those of the arithmetic, in order;
            None where other documents were searched than were read.
    """

    milliseconds: float
    quartiles: tuple[float, float]
    agreement: float | None


def timed(
    search: Search,
    queries: Sequence[tuple[str, GridQuery]],
    ways: Sequence[Settings],
    dense_minimum: float | None,
    advance: Callable[[int], None],
    *,
    is_compared: bool = True,
) -> dict[Settings, Timed]:
    """Searches in each of some ways in turn, query by query, so that all meet the same load.

    Time is that of a search that no cache knows (`never_asked`); the order is that of the query as
    it stands.

    Args:
        search: Searches.
        queries: Texts and what was read of them.
        ways: The ways.
        dense_minimum: Lowest possible similarity of the collection's metric; None for no bound.
        advance: Called with 1 after each search.
        is_compared: Whether the documents are those that were read, so that orders are compared.
    """
    took: dict[Settings, list[float]] = {way: [] for way in ways}
    same: dict[Settings, int] = dict.fromkeys(ways, 0)
    rng = np.random.default_rng(0)
    for text, query in queries:
        for number in rng.permutation(len(ways)).tolist():
            way = ways[number]
            took[way].append(search(never_asked(text), way).timings.total_ms or 0.0)
            if is_compared:
                told = order(query, way, dense_minimum)[:CUTOFF]
                same[way] += [hit.id for hit in search(text, way).hits] == told
            advance(1)
    return {
        way: Timed(
            statistics.median(times),
            (float(np.quantile(times, 0.25)), float(np.quantile(times, 0.75))),
            same[way] / len(times) if is_compared else None,
        )
        for way, times in took.items()
        if times
    }
