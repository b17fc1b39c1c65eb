"""One node, simulated from constants that were measured while nothing waited.

A search goes through the threads of the server that it goes through there, and each waits for a
core as the others do, the caller's too; the event loop is one thread for all searches. What stages
take by the clock beyond their computing is delay, in which nothing computes.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from twopass.benchmarks.scale.node_constants import NodeConstants, Rest
from twopass.benchmarks.scale.simulation.arbiter import Arbiter, Kind
from twopass.benchmarks.scale.simulation.callers import Callers, Outcome, Policy
from twopass.benchmarks.scale.simulation.clock import Clock, Process, Signal
from twopass.benchmarks.scale.simulation.engines import SharedEngine, Speed
from twopass.benchmarks.scale.simulation.event_loop import EventLoop
from twopass.benchmarks.scale.simulation.fronts import Front, Search
from twopass.benchmarks.scale.simulation.run_queues import RunQueues

STAGES = ("tokenize", "embed", "retrieve", "load", "second pass", "rest")
# As `engines/cpu/engine.py` asks for them.
_BATCH_SECONDS = 0.020
# How often each stage is with another thread before the event loop has it again.
_ARRIVAL = (2,)  # gRPC's reader, its poller
_TOKENIZING = (1,)  # a lane
_LISTS = (1, 1)  # vectors; similarities of what words alone have found
_READING = (1,)  # a lane
_RETURN = (2,)  # the caller's: gRPC's reader, its poller
# Part of the time of embedding a query that is the way to the model and back, not the model.
_WAY_TO_MODEL = 0.4
# Tokens of a query, whatever it has: what it costs is measured as a whole.
_QUERY_TOKENS = 100


class Node:
    """The simulation of one node, with callers on the same cores.

    Attributes:
        clock: The simulation's.
        cores: Of the machine.
        stages: Seconds that each search took in each of `STAGES`, in the order in which they ended;
            the rest has the caller's in it.
    """

    def __init__(self, constants: NodeConstants) -> None:
        """Starts idle, and as if it had been busy until now."""
        self.clock = Clock()
        self.cores = RunQueues(
            self.clock,
            constants.num_cores,
            turn=constants.turn_ms / 1000,
            packing=constants.packing,
            alone_speed=constants.alone_speed,
        )
        self._front = _NodeFront(self.clock, self.cores, constants)
        self._constants = constants

    @property
    def stages(self) -> dict[str, list[float]]:
        """See the class."""
        return self._front.stages

    def searches(self) -> Iterator[Search]:
        """The queries in turn, again and again."""
        return itertools.cycle(Search(lengths) for lengths in self._constants.rerank_lengths)

    def open_loop(self, arrivals: Iterable[float]) -> list[Outcome]:
        """Sends searches at their times; returns what became of each."""
        callers = Callers(self.clock, [self._front], Policy(max_tries=1))
        callers.send(arrivals, self.searches())
        self.clock.run()
        return callers.outcomes

    def one_at_a_time(self, count: int, pause: float) -> list[Outcome]:
        """Sends so many searches one after another, with a pause before each."""
        callers = Callers(self.clock, [self._front], Policy(max_tries=1))

        def one_after_another() -> Process:
            for search in itertools.islice(self.searches(), count):
                yield self.clock.after(pause)
                yield self.clock.spawn(callers.call(self.clock.now, search))

        self.clock.spawn(one_after_another())
        self.clock.run()
        return callers.outcomes

    def closed_loop(self, concurrency: int, seconds: float) -> list[Outcome]:
        """Keeps so many searches under way for a while."""
        callers = Callers(self.clock, [self._front], Policy(max_tries=1))
        searches = self.searches()

        def one_after_another() -> Process:
            while self.clock.now < seconds:
                yield self.clock.spawn(callers.call(self.clock.now, next(searches)))

        for _ in range(concurrency):
            self.clock.spawn(one_after_another())
        self.clock.run()
        return callers.outcomes


@dataclass(slots=True)
class _Laps:
    """Where a search's time goes."""

    clock: Clock
    since: float
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    def lap(self, stage: str) -> None:
        """Counts the time since the last lap to a stage."""
        self.seconds[stage] += self.clock.now - self.since
        self.since = self.clock.now


class _NodeFront(Front):
    """The server's way of a search, and what its caller computes around it."""

    def __init__(self, clock: Clock, cores: RunQueues, constants: NodeConstants) -> None:
        self.is_there = True
        self.lost = Signal()
        self.stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._run_queues = cores
        self._loop = EventLoop(cores)
        self._caller = EventLoop(cores)
        self._clock = clock
        self._constants = constants
        # What was measured one at a time had an idle core beside it. To seconds as well.
        self._working = constants.working_part * constants.alone_speed / 1000
        self._core_ms = constants.alone_speed / 1000
        token = constants.core_us_per_token / 1e6 / constants.num_cores
        query = constants.embed_ms * (1 - _WAY_TO_MODEL) * self._working
        speed = Speed(
            seconds_per_token=token,
            batch_seconds=_BATCH_SECONDS,
            query_factor=query / _QUERY_TOKENS / token,
        )
        self._arbiter = Arbiter(clock, [SharedEngine(clock, cores, speed)])
        self._num_under_way = 0
        self._idle_since = 0.0

    def answer(self, search: Search) -> Process:
        """See `Front.answer`."""
        constants = self._constants
        idle = 0.0 if self._num_under_way else self._clock.now - self._idle_since
        rest = constants.after_rest(idle)
        laps = _Laps(self._clock, self._clock.now)
        self._num_under_way += 1
        caller = constants.client_core_ms / 2 * self._core_ms * rest.times
        yield self._caller.work(caller)
        yield from self._stage(constants.away_ms / 2, _ARRIVAL, rest)
        laps.lap("rest")
        yield from self._first_pass(rest, laps)
        if search.lengths:
            yield from self._second_pass(search, rest)
        laps.lap("second pass")
        yield from self._stage(constants.rest_ms, _READING, rest)
        yield from self._stage(constants.away_ms / 2, _RETURN, rest)
        yield self._caller.work(caller)
        laps.lap("rest")
        self._num_under_way -= 1
        self._idle_since = self._clock.now
        for stage, seconds in laps.seconds.items():
            self.stages[stage].append(seconds)
        return True

    def _stage(self, milliseconds: float, others: tuple[int, ...], rest: Rest) -> Process:
        """A stage: its work in so many threads, the event loop after each group of them; delay."""
        work = milliseconds * self._working * rest.times
        loop = work * self._constants.loop_part
        for num in others:
            for _ in range(num):
                yield self._run_queues.work((work - loop) / sum(others))
            yield from self._on_loop(loop / len(others))
        if rest.front_ms:
            part = milliseconds / self._constants.stages_ms
            yield self._clock.after(part * rest.front_ms / 1000)

    def _on_loop(self, seconds: float) -> Process:
        """Work of the event loop, which sleeps between the turns that it takes for it."""
        turn = self._constants.loop_turn_ms * self._core_ms
        num = max(1, round(seconds / turn))
        for _ in range(num):
            yield self._loop.work(seconds / num)

    def _first_pass(self, rest: Rest, laps: _Laps) -> Process:
        constants = self._constants
        yield from self._stage(constants.tokenize_ms, _TOKENIZING, rest)
        laps.lap("tokenize")
        yield from self._embed(rest)
        laps.lap("embed")
        self._run_queues.work(constants.beside_core_ms * self._core_ms * rest.times)
        yield from self._stage(constants.retrieve_ms, _LISTS, rest)
        laps.lap("retrieve")
        yield from self._stage(constants.load_ms, _READING, rest)
        laps.lap("load")

    def _embed(self, rest: Rest) -> Process:
        if not self._constants.embed_ms:
            return
        way = self._constants.embed_ms * _WAY_TO_MODEL * self._working * rest.times
        loop = way * self._constants.loop_part
        yield self._run_queues.work(way - loop)
        yield self._arbiter.compute([round(_QUERY_TOKENS * rest.times)], Kind.QUERY)
        yield from self._on_loop(loop)
        part = self._constants.embed_ms / self._constants.stages_ms
        yield self._clock.after(part * rest.front_ms / 1000)

    def _second_pass(self, search: Search, rest: Rest) -> Process:
        """Pairs are put together by the loop, and given to a thread that calls the model."""
        work = self._constants.second_core_ms * self._core_ms * rest.times
        loop = min(work, self._constants.second_loop_core_ms * self._core_ms * rest.times)
        yield from self._on_loop(loop / 2)
        yield self._run_queues.work(work - loop)
        yield self._clock.after(rest.second_ms / 1000)
        lengths = [round(length * rest.times) for length in search.lengths]
        yield self._arbiter.compute(lengths, Kind.RERANK)
        yield from self._on_loop(loop / 2)
