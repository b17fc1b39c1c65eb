"""Until when each part of a search is waited for."""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeAlias

from twopass.index.base.collection import Collection
from twopass.index.errors import StoppedError
from twopass.server.errors import LateError
from twopass.server.request import Request

# Time of a budget that is kept for reading and sending the content of hits, unless lately that took
# longer.
_ANSWER_SECONDS = 0.006
# Largest share of a budget that is kept for it, so that a short budget is not all kept.
_ANSWER_SHARE = 0.5
# A search that lacks only the content of its hits may take this share of its budget longer: the
# budget is soft, and losing all that was found is worse than being a little late.
_GRACE_SHARE = 0.15
# The slowest reads take this many times the recent mean.
_ANSWER_CAUTION = 2.0
# A measurement of this many searches ago counts half.
_HALF_LIFE_SEARCHES = 20
_KEPT = 0.5 ** (1 / _HALF_LIFE_SEARCHES)
# Collections whose pace is remembered, those searched last; about 500 bytes each.
_MOST_PACES = 4_096

Reading: TypeAlias = tuple[str, bool]
"""How passages are read: the reranker's id, and whether in windows, which takes many times more."""


@dataclass(frozen=True, slots=True)
class Ends:
    """When parts of a search must be done, in seconds of `time.perf_counter`; None for never.

    Attributes:
        passes: End of both passes; what they have found by then is answered.
        arranged: End of comparing hits with each other; they stand as they are by then.
        answer: End of reading the content of hits.
    """

    passes: float | None
    arranged: float | None
    answer: float | None


@dataclass(slots=True)
class CollectionPace:
    """How long the searches of one collection took lately.

    Attributes:
        answer_seconds: Mean time of reading the content of hits.
        passage_tokens: Mean number of tokens that a way of reading costs for each passage.
    """

    answer_seconds: float = 0.0
    passage_tokens: dict[Reading, float] = field(default_factory=dict)

    def answered(self, seconds: float) -> None:
        """Takes into account how long a search read the content of its hits."""
        self.answer_seconds = seconds + _KEPT * (self.answer_seconds - seconds)

    def scored(self, reading: Reading, num_passages: int, num_tokens: int) -> None:
        """Takes the tokens of a second pass into account."""
        if num_passages:
            mean = num_tokens / num_passages
            before = self.passage_tokens.get(reading, mean)
            self.passage_tokens[reading] = mean + _KEPT * (before - mean)

    def refused(self, reading: Reading) -> None:
        """Lowers the mean by which a second pass was refused though nothing waited before it.

        A refused second pass is never measured, so a mean that is too high would refuse for ever.
        """
        if reading in self.passage_tokens:
            self.passage_tokens[reading] *= _KEPT

    def num_tokens(self, reading: Reading, num_passages: int) -> int:
        """How many tokens a second pass is expected to read; 0 where none has yet."""
        return round(num_passages * self.passage_tokens.get(reading, 0.0))

    def ends(self, request: Request) -> Ends:
        """When the parts of a request's search must be done."""
        if request.budget_end is None:
            return Ends(request.deadline, request.deadline, request.deadline)
        budget = request.budget_end - request.received
        kept = max(_ANSWER_SECONDS, _ANSWER_CAUTION * self.answer_seconds)
        passes = request.budget_end - min(kept, _ANSWER_SHARE * budget)
        grace = _GRACE_SHARE * budget
        latest = math.inf if request.deadline is None else request.deadline
        # Comparing what the passes have found takes half of the grace, and nothing of what is kept.
        return Ends(
            min(passes, latest),
            min(passes + grace / 2, latest),
            min(request.budget_end + grace, latest),
        )


class Paces:
    """The pace of each collection that was searched lately."""

    def __init__(self) -> None:
        self._paces: OrderedDict[str, CollectionPace] = OrderedDict()

    def of(self, collection: Collection) -> CollectionPace:
        """The pace of a collection in this life of it."""
        pace = self._paces.setdefault(collection.incarnation, CollectionPace())
        self._paces.move_to_end(collection.incarnation)
        if len(self._paces) > _MOST_PACES:
            self._paces.popitem(last=False)
        return pace


def late(request: Request, what: str) -> LateError:
    """The error of a search that has nothing to answer in time.

    Args:
        request: The request of the search.
        what: What was not done, as in "no candidate was found".
    """
    if request.budget_end is None or request.is_past_deadline():
        return LateError(f"deadline: it ran out; {what}")
    budget = (request.budget_end - request.received) * 1000
    return LateError(
        f"time_budget: {budget:,.0f} ms given, and within them {what}; give more time, or ask for "
        "less: fewer candidates, a filter on indexed fields"
    )


def seconds_until(end: float | None) -> float | None:
    """Seconds from now until `end`, at least 0; None for never."""
    return None if end is None else max(0.0, end - time.perf_counter())


class in_time:  # noqa: N801  # read as a function, like `asyncio.timeout`
    """Cancels a block when its time is over.

    A class, since every search enters two: a generator as context manager takes several times as
    long.
    """

    __slots__ = ("_request", "_timeout", "_what")

    def __init__(self, request: Request, end: float | None, what: str) -> None:
        """Prepares a block.

        Args:
            request: The request that the block works for.
            end: When the time is over, seconds of `time.perf_counter`; None for never.
            what: What was not done, for the error message.
        """
        self._request = request
        self._what = what
        self._timeout = asyncio.timeout(seconds_until(end))

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        """Tells the block's end.

        Raises:
            LateError: The time is over.
        """
        try:
            await self._timeout.__aexit__(kind, error, frames)
        except TimeoutError:
            raise late(self._request, self._what) from None
        if isinstance(error, TimeoutError | StoppedError):
            raise late(self._request, self._what) from None
