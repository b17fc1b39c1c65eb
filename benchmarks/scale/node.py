"""One node, simulated from constants that were measured while nothing waited.

Every stage of a search is part work for the cores and part delay, in which nothing computes: one
thread hands over to the next, a message is on its way. Which part is which follows from the
processor time of the whole, since stages are timed by the clock.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import inf

from twopass.benchmarks.scale.simulation.arbiter import Arbiter
from twopass.benchmarks.scale.simulation.callers import Callers, Outcome, Policy
from twopass.benchmarks.scale.simulation.clock import Clock, Process
from twopass.benchmarks.scale.simulation.engines import SharedEngine, Speed
from twopass.benchmarks.scale.simulation.fronts import Front, FrontWork, Search
from twopass.benchmarks.scale.simulation.processors import Cores
from twopass.benchmarks.scale.simulation.stores import Finding, OwnStore

# As `engines/cpu/engine.py` asks for them.
_BATCH_SECONDS = 0.020
# A machine that has had nothing to do for so long is cold.
_PAUSE_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class NodeConstants:
    """What searches cost on one machine, one at a time. Times are milliseconds, in the mean.

    Attributes:
        num_cores: Cores that server and callers share.
        tokenize_ms: By the clock, as all that end in `_ms` but have no `core` in their names.
        embed_ms: By the clock; its computing is done by a thread a core.
        retrieve_ms: Of the slower list.
        load_ms: Of the candidates' token ids.
        rest_ms: What is left of the server's time without a second pass.
        wire_ms: What is left of the caller's.
        front_core_ms: Processor time of the server for a search without a second pass.
        client_core_ms: Processor time of the caller.
        core_us_per_token: Processor time of a token of the second pass, microseconds.
        rerank_delay_ms: What the second pass takes on top of its computing: batches to and fro.
        after_pause: How many times as long a search takes that finds the machine idle, by one that
            follows on another: caches are cold, threads and cores asleep.
        rerank_lengths: Tokens of each pair, of each query that is asked.
    """

    num_cores: int
    tokenize_ms: float
    embed_ms: float
    retrieve_ms: float
    load_ms: float
    rest_ms: float
    wire_ms: float
    front_core_ms: float
    client_core_ms: float
    core_us_per_token: float
    rerank_delay_ms: float
    after_pause: float
    rerank_lengths: Sequence[Sequence[int]]

    @property
    def mean_tokens(self) -> float:
        """Tokens of a search's second pass."""
        return sum(map(sum, self.rerank_lengths)) / len(self.rerank_lengths)

    @property
    def core_ms(self) -> float:
        """Processor time of a search of both passes, the caller's included."""
        second = self.mean_tokens * self.core_us_per_token / 1000
        return self.front_core_ms + second + self.client_core_ms

    @property
    def most_per_second(self) -> float:
        """Searches a second that take all of the cores' time."""
        return self.num_cores * 1000 / self.core_ms

    @property
    def working_part(self) -> float:
        """Part of the stages' time in which they compute, at most 1."""
        single = (
            self.tokenize_ms
            + self.retrieve_ms
            + self.load_ms
            + self.rest_ms
            + max(0.0, self.wire_ms - self.client_core_ms)
        )
        return min(1.0, self.front_core_ms / (single + self.num_cores * self.embed_ms))


class Node:
    """The simulation of one node, with callers on the same cores."""

    def __init__(self, constants: NodeConstants) -> None:
        """Starts idle."""
        part = constants.working_part / 1000  # to seconds as well
        wire = max(0.0, constants.wire_ms - constants.client_core_ms)
        stages = (constants.tokenize_ms, constants.embed_ms, constants.retrieve_ms)
        waited = sum(stages) + constants.load_ms + constants.rest_ms + wire
        self._constants = constants
        self.clock = Clock()
        self.cores = Cores(self.clock, constants.num_cores)
        speed = Speed(
            seconds_per_token=constants.core_us_per_token / 1e6 / constants.num_cores,
            seconds_per_batch=constants.rerank_delay_ms / 1000,
            batch_seconds=_BATCH_SECONDS,
            query_factor=0.0,
            query_seconds=constants.embed_ms * part,
        )
        engine = SharedEngine(self.clock, self.cores, speed)
        work = FrontWork(
            before=(constants.tokenize_ms + wire / 2) * part,
            after=(constants.rest_ms + wire / 2) * part,
            delay=waited * (1 - constants.working_part) / 1000,
            query_tokens=1 if constants.embed_ms else 0,
        )
        finding = Finding(
            nearest=0.0, words=constants.retrieve_ms * part, load=constants.load_ms * part
        )
        arbiter = Arbiter(self.clock, [engine])
        self.front = Front(self.clock, self.cores, work, OwnStore(finding), arbiter)

    def searches(self) -> Iterable[Search]:
        """The queries in turn, again and again."""
        return itertools.cycle(Search(lengths) for lengths in self._constants.rerank_lengths)

    def open_loop(self, arrivals: Iterable[float]) -> list[Outcome]:
        """Sends searches at their times; returns what became of each."""
        callers = Callers(self.clock, [_Beside(self)], Policy(max_tries=1))
        callers.send(arrivals, self.searches())
        self.clock.run()
        return callers.outcomes

    def closed_loop(self, concurrency: int, seconds: float) -> list[Outcome]:
        """Keeps so many searches under way for a while."""
        callers = Callers(self.clock, [_Beside(self)], Policy(max_tries=1))
        searches = iter(self.searches())

        def one_after_another() -> Process:
            while self.clock.now < seconds:
                yield self.clock.spawn(callers.call(self.clock.now, next(searches)))

        for _ in range(concurrency):
            self.clock.spawn(one_after_another())
        self.clock.run()
        return callers.outcomes


class _Beside(Front):
    """The node's front with what a caller on the same machine computes around each search."""

    def __init__(self, node: Node) -> None:
        self.is_there = True
        self.lost = node.front.lost
        self.cores = node.cores
        self._inner = node.front
        self._node = node
        self._num_under_way = 0
        self._idle_since = -inf

    @property
    def _has_rested(self) -> bool:
        """Whether nothing has been asked for a while; only where nothing is under way."""
        return self._node.clock.now - self._idle_since >= _PAUSE_SECONDS

    def answer(self, search: Search) -> Process:
        """See `Front.answer`."""
        constants = self._node._constants
        half = constants.client_core_ms / 2000
        if not self._num_under_way and self._has_rested:
            search = replace(search, times=constants.after_pause)
        self._num_under_way += 1
        yield self.cores.work(half)
        answered = yield self._node.clock.spawn(self._inner.answer(search))
        yield self.cores.work(half)
        self._num_under_way -= 1
        self._idle_since = self._node.clock.now
        return answered
