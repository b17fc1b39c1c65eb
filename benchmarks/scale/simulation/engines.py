"""Engines: one that shares its processor cores with a server, and one on a machine of its own."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

from twopass.benchmarks.scale.simulation.arbiter import Kind
from twopass.benchmarks.scale.simulation.clock import Clock, Process, Signal
from twopass.benchmarks.scale.simulation.grouping import groups_of
from twopass.benchmarks.scale.simulation.processors import Processors
from twopass.benchmarks.scale.simulation.thread_pool import ThreadPool
from twopass.server.scheduling.service_time import ServiceTime


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast an engine computes, and how it wants its batches.

    Attributes:
        seconds_per_token: Of the second pass, on the whole engine.
        seconds_per_batch: What every batch takes on top, whatever its size: to and fro.
        batch_seconds: How long a batch may take; infinite where only its tokens are bounded.
        min_batch_tokens: Fewest tokens of a full batch.
        max_batch_tokens: Most.
        query_factor: Time of a query's token to embed, by that of a pair's token to rerank.
        query_seconds: What embedding a query takes at least.
    """

    seconds_per_token: float
    seconds_per_batch: float = 0.0
    batch_seconds: float = inf
    min_batch_tokens: int = 512
    max_batch_tokens: int = 16_384
    query_factor: float = 2.0
    query_seconds: float = 0.0

    @property
    def batch_tokens(self) -> int:
        """Tokens of a full batch."""
        if self.batch_seconds == inf:
            return self.max_batch_tokens
        in_time = int(self.batch_seconds / self.seconds_per_token)
        return min(max(in_time, self.min_batch_tokens), self.max_batch_tokens)

    def seconds(self, tokens: int, kind: Kind = Kind.RERANK) -> float:
        """How long a batch takes an engine that does nothing else."""
        if kind is Kind.QUERY:
            return max(self.query_seconds, tokens * self.seconds_per_token * self.query_factor)
        return self.seconds_per_batch + tokens * self.seconds_per_token


class SharedEngine:
    """The engine `cpu` in a server's process: its threads share the cores with everything else.

    Two batches are with it at once. How much of them it computes in the time of a batch it learns
    as the server does, from how long batches take beside what else runs there.
    """

    max_in_flight = 2

    def __init__(self, clock: Clock, cores: Processors, speed: Speed) -> None:
        """Takes a thread a core.

        Args:
            clock: The simulation's.
            cores: Shared with the server.
            speed: As if it had them to itself; embedding a query takes one thread.
        """
        self.is_there = True
        self._clock = clock
        self._speed = speed
        self._pool = ThreadPool(clock, cores, cores.num)
        self._learned = ServiceTime()
        self._last_answer = 0.0

    def batch_tokens(self) -> int:
        """See `Engine`."""
        speed = self._speed
        if speed.batch_seconds == inf:
            return speed.max_batch_tokens
        in_time = int(self._learned.tokens_per_second * speed.batch_seconds)
        return min(max(in_time, speed.min_batch_tokens), speed.max_batch_tokens)

    def seconds(self, tokens: int) -> float:
        """See `Engine`."""
        return self._learned.seconds(tokens)

    def compute(self, lengths: Sequence[int], kind: Kind) -> Signal:
        """See `Engine`."""
        done = Signal()
        if kind is Kind.QUERY:
            pieces = [self._speed.seconds(sum(lengths), kind)]
        else:
            num_idle = 1 if self._pool.is_busy else self._pool.num_threads
            core_seconds = self._speed.seconds_per_token * self._pool.num_threads
            pieces = [tokens * core_seconds for tokens in groups_of(lengths, num_idle)]
        self._clock.spawn(self._through(pieces, sum(lengths), kind, done))
        return done

    def _through(self, pieces: list[float], tokens: int, kind: Kind, done: Signal) -> Process:
        """To a thread that calls the pool, through it, and back."""
        began, hop = self._clock.now, self._speed.seconds_per_batch / 2
        if kind is Kind.RERANK and hop:
            yield self._clock.after(hop)
        yield self._pool.run(pieces)
        if kind is Kind.RERANK:
            if hop:
                yield self._clock.after(hop)
            # Of batches that overlap each counts from the end of the one before.
            began = max(began, self._last_answer)
            self._learned.measured(tokens, self._clock.now - began)
            self._last_answer = self._clock.now
        done.fire(True)


@dataclass(frozen=True, slots=True)
class Straggling:
    """How often a machine is slow, and how slow.

    Attributes:
        share: Part of the batches, or searches of a shard, that take longer.
        factor: How many times as long they take.
    """

    share: float = 0.0
    factor: float = 1.0

    def times(self, generator: random.Random) -> float:
        """By how much the next one takes longer."""
        return self.factor if self.share and generator.random() < self.share else 1.0


class RemoteEngine:
    """An engine on a machine of its own, behind a wire. Batches are computed one after the other.

    Attributes:
        max_in_flight: Batches that it takes at once.
        is_there: Whether it is.
    """

    def __init__(
        self,
        clock: Clock,
        speed: Speed,
        *,
        wire_seconds: float,
        straggling: Straggling | None = None,
        seed: int = 0,
        max_in_flight: int = 2,
    ) -> None:
        """Starts idle and there.

        Args:
            clock: The simulation's.
            speed: Of the engine itself.
            wire_seconds: There and back, encoding included.
            straggling: How often a batch takes longer.
            seed: Of stragglers.
            max_in_flight: Batches that it takes at once.
        """
        self.max_in_flight = max_in_flight
        self.is_there = True
        self._clock = clock
        self._speed = speed
        self._wire_seconds = wire_seconds
        self._straggling = straggling or Straggling()
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._free_at = 0.0
        self._under_way: dict[Signal, None] = {}

    def batch_tokens(self) -> int:
        """See `Engine`."""
        return self._speed.batch_tokens

    def seconds(self, tokens: int) -> float:
        """See `Engine`."""
        return self._speed.seconds(tokens) + self._wire_seconds

    def compute(self, lengths: Sequence[int], kind: Kind) -> Signal:
        """See `Engine`."""
        done = Signal()
        self._under_way[done] = None
        seconds = self._speed.seconds(sum(lengths), kind) * self._straggling.times(self._random)
        # A query is computed before what waits, after the piece that is being computed.
        begin = self._clock.now + self._wire_seconds / 2
        if kind is Kind.RERANK:
            begin = max(begin, self._free_at)
        self._free_at = max(self._free_at, begin) + (seconds if kind is Kind.QUERY else 0.0)
        if kind is Kind.RERANK:
            self._free_at = begin + seconds
        self._clock.at(begin + seconds + self._wire_seconds / 2, lambda: self._end(done, True))
        return done

    def lose(self, noticed_after: float) -> None:
        """Loses it with all its batches, which is noticed after so many seconds."""
        self.is_there = False
        self._free_at = 0.0
        for done in list(self._under_way):
            del self._under_way[done]
            self._clock.after(noticed_after).then(partial(_fire, done, False))

    def come_back(self) -> None:
        """Has it compute again."""
        self.is_there = True
        self._free_at = self._clock.now

    def _end(self, done: Signal, is_computed: bool) -> None:
        if done in self._under_way:
            del self._under_way[done]
            done.fire(is_computed)


def _fire(done: Signal, is_computed: bool, _: object) -> None:
    done.fire(is_computed)
