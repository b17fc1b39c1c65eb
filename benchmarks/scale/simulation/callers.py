"""Callers: independent searches at given times, sent to fronts in turn, retried and hedged."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from twopass.benchmarks.scale.simulation.clock import Clock, Process, Signal, first_of
from twopass.benchmarks.scale.simulation.fronts import Front, Search


class Status(StrEnum):
    """How a search ended."""

    OK = "OK"
    OVERLOADED = "RESOURCE_EXHAUSTED"
    LOST = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Policy:
    """What a client does about searches that fail, or take long.

    Attributes:
        max_tries: How often a search is sent at most.
        retry_after: Seconds until it is sent again; the server names them.
        hedge_after: Seconds after which it is sent to the next front too; 0 for never.
        patience: Seconds until a search that has no answer is given up for measuring.
    """

    max_tries: int = 4
    retry_after: float = 0.1
    hedge_after: float = 0.0
    patience: float = inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """A search that has ended.

    Attributes:
        intended: When it was to be sent.
        ended: When its answer, or its last failure, was there.
        status: How it ended.
        num_tries: How often it was sent.
    """

    intended: float
    ended: float
    status: Status
    num_tries: int

    @property
    def latency(self) -> float:
        """Seconds from the intended start."""
        return self.ended - self.intended


class Callers:
    """Sends searches and records what becomes of them.

    Attributes:
        outcomes: Of those that have ended, in the order in which they did.
        num_hedged: Searches that were sent to a second front.
    """

    def __init__(self, clock: Clock, fronts: Sequence[Front], policy: Policy | None = None) -> None:
        """Balances over fronts in turn, past those that are not there."""
        self.outcomes: list[Outcome] = []
        self.num_hedged = 0
        self._clock = clock
        self._fronts = fronts
        self._policy = policy or Policy()
        self._turn = itertools.count()

    def send(self, arrivals: Iterable[float], searches: Iterable[Search]) -> None:
        """Has searches sent at their times, a search each."""
        for time, search in zip(arrivals, searches, strict=False):
            self._clock.at(
                time,
                lambda time=time, search=search: self._start(time, search),  # type: ignore[misc]
            )

    def _start(self, time: float, search: Search) -> None:
        self._clock.spawn(self.call(time, search))

    def call(self, intended: float, search: Search) -> Process:
        """Sends one search until it is answered or given up, and records its end."""
        policy = self._policy
        status = Status.LOST
        for number in range(1, policy.max_tries + 1):
            status = yield self._hedged(search)
            if status is Status.OK or number == policy.max_tries:
                break
            yield self._clock.after(policy.retry_after)
        self.outcomes.append(Outcome(intended, self._clock.now, status, number))

    def _hedged(self, search: Search) -> Signal:
        first = self._try(search)
        if not self._policy.hedge_after or len(self._fronts) == 1:
            return first
        second = Signal()

        def hedge(_: object) -> None:
            if not first.is_done:
                self.num_hedged += 1
                self._try(search).then(second.fire)

        self._clock.after(self._policy.hedge_after).then(hedge)
        return first_of([first, second])

    def _try(self, search: Search) -> Signal:
        """Sends it to the next front that is there; the value is its status."""
        there = [front for front in self._fronts if front.is_there]
        ended = Signal()
        if not there:
            ended.fire(Status.LOST)
            return ended
        front = there[next(self._turn) % len(there)]
        answered = self._clock.spawn(front.answer(search))
        answered.then(lambda is_ok: ended.fire(Status.OK if is_ok else Status.OVERLOADED))
        front.lost.then(lambda _: ended.fire(Status.LOST))
        return ended
