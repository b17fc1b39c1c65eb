"""Where the first pass finds candidates: on the node itself, in a database, in shards."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from twopass.benchmarks.scale.simulation.clock import Clock, Process, Signal, all_of, first_of
from twopass.benchmarks.scale.simulation.engines import Straggling
from twopass.benchmarks.scale.simulation.processors import Cores


@dataclass(frozen=True, slots=True)
class Finding:
    """What finding the candidates of one search computes, in core-seconds.

    Attributes:
        nearest: The list by meaning.
        words: The list by words, beside it; 0 for none.
        load: The candidates' token ids, after both.
    """

    nearest: float
    words: float
    load: float

    @property
    def total(self) -> float:
        """Core-seconds of all of it."""
        return self.nearest + self.words + self.load


class Store(Protocol):
    """Finds candidates for a front."""

    def find(self, cores: Cores, times: float = 1.0) -> Process:
        """Finds the candidates of one search.

        Args:
            cores: Those of the front that asks.
            times: How many times as long as usual it takes.
        """


class OwnStore:
    """The collection of the node itself: both lists by a thread each, then the token ids."""

    def __init__(self, finding: Finding, cores: Cores | None = None) -> None:
        """Takes what a search costs.

        Args:
            finding: A search's work.
            cores: What computes it; None for those of the front.
        """
        self._finding = finding
        self._cores = cores

    def find(self, cores: Cores, times: float = 1.0) -> Process:
        """See `Store`."""
        finding, cores = self._finding, self._cores or cores
        lists = (finding.nearest * times, finding.words * times)
        yield all_of([cores.work(seconds) for seconds in lists])
        yield cores.work(finding.load * times)


class Database:
    """A primary, or several copies that share searches: a statement each, by one process of it."""

    def __init__(
        self, clock: Clock, copies: Sequence[Cores], finding: Finding, *, wire_seconds: float
    ) -> None:
        """Takes what a statement costs.

        Args:
            clock: The simulation's.
            copies: The cores of each server.
            finding: A search's work; one connection does all of it, one after the other.
            wire_seconds: There and back.
        """
        self._clock = clock
        self._copies = itertools.cycle(copies)
        self._finding = finding
        self._wire_seconds = wire_seconds

    def find(self, cores: Cores, times: float = 1.0) -> Process:  # noqa: ARG002  # it is elsewhere
        """See `Store`."""
        yield self._clock.after(self._wire_seconds / 2)
        yield next(self._copies).work(self._finding.total * times)
        yield self._clock.after(self._wire_seconds / 2)


class Shards:
    """A collection in shards on several machines: each search asks every shard, and waits for all.

    Attributes:
        num_hedged: Shards that were asked of a second copy, for the first was slow.
    """

    def __init__(
        self,
        clock: Clock,
        copies: Sequence[Sequence[Cores]],
        finding: Finding,
        *,
        wire_seconds: float,
        straggling: Straggling | None = None,
        hedge_after: float = 0.0,
        seed: int = 0,
    ) -> None:
        """Takes what a search of one shard costs.

        Args:
            clock: The simulation's.
            copies: For each copy of the collection, the cores of each shard's machine.
            finding: A search's work in one shard.
            wire_seconds: There and back, merging included.
            straggling: How often a shard takes longer.
            hedge_after: Seconds after which a shard that has not answered is asked of the next
                copy too; 0 for never.
            seed: Of stragglers.
        """
        self.num_hedged = 0
        self._clock = clock
        self._copies = copies
        self._finding = finding
        self._wire_seconds = wire_seconds
        self._straggling = straggling or Straggling()
        self._hedge_after = hedge_after
        self._turn = itertools.cycle(range(len(copies)))
        self._random = random.Random(seed)  # noqa: S311  # no secret

    def find(self, cores: Cores, times: float = 1.0) -> Process:  # noqa: ARG002  # it is elsewhere
        """See `Store`."""
        copy = next(self._turn)
        yield self._clock.after(self._wire_seconds / 2)
        yield all_of(self._ask(copy, shard) for shard in range(len(self._copies[copy])))
        yield self._clock.after(self._wire_seconds / 2)

    def _ask(self, copy: int, shard: int) -> Signal:
        answer = self._work(copy, shard)
        if not self._hedge_after or len(self._copies) == 1:
            return answer
        second = Signal()

        def hedge(_: object) -> None:
            if not answer.is_done:
                self.num_hedged += 1
                self._work((copy + 1) % len(self._copies), shard).then(second.fire)

        self._clock.after(self._hedge_after).then(hedge)
        return first_of([answer, second])

    def _work(self, copy: int, shard: int) -> Signal:
        """One shard's search; a straggler waits, as for a disk, but computes no more."""
        done = Signal()
        seconds = self._finding.total
        waits = seconds * (self._straggling.times(self._random) - 1)

        def computed(_: object) -> None:
            self._clock.after(waits).then(done.fire)

        self._copies[copy][shard].work(seconds).then(computed)
        return done
