"""Fronts: what a search passes through in a server, from the call to the hits."""

from collections.abc import Sequence
from dataclasses import dataclass

from twopass.benchmarks.scale.simulation.arbiter import Arbiter, Kind
from twopass.benchmarks.scale.simulation.clock import Clock, Process, Signal
from twopass.benchmarks.scale.simulation.processors import Cores
from twopass.benchmarks.scale.simulation.stores import Store


@dataclass(frozen=True, slots=True)
class FrontWork:
    """What a search computes in the front itself, in core-seconds, and what it waits for.

    Attributes:
        before: To read the call, check it and tokenise the query.
        after: To order, fetch what hits carry, and write the answer.
        delay: Seconds in which nothing computes: from one thread to the next, on the wire.
        query_tokens: Tokens of a query to embed; 0 where callers bring vectors.
    """

    before: float
    after: float
    delay: float = 0.0
    query_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Search:
    """One search.

    Attributes:
        lengths: Tokens of each pair of the second pass; empty for a search without one.
        times: How many times as long as usual everything of it takes: more than once where a
            machine has been idle, whose caches are cold and whose threads sleep.
    """

    lengths: Sequence[int]
    times: float = 1.0


class Front:
    """A server.

    Attributes:
        is_there: Whether it takes searches.
        lost: Comes when the server is lost.
        cores: What it computes with.
    """

    def __init__(
        self, clock: Clock, cores: Cores, work: FrontWork, store: Store, arbiter: Arbiter
    ) -> None:
        """Joins the parts.

        Args:
            clock: The simulation's.
            cores: What it computes with.
            work: A search's own.
            store: Finds candidates.
            arbiter: Feeds its engines.
        """
        self.is_there = True
        self.lost = Signal()
        self.cores = cores
        self._clock = clock
        self._work = work
        self._store = store
        self._arbiter = arbiter

    def answer(self, search: Search) -> Process:
        """Answers a search; returns whether it did, rather than refuse it for want of room."""
        work, num_pairs = self._work, len(search.lengths)
        if not self._arbiter.admit(num_pairs):
            return False
        yield self.cores.work(work.before * search.times)
        if work.query_tokens:
            yield self._arbiter.compute([work.query_tokens], Kind.QUERY)
        yield self._clock.spawn(self._store.find(self.cores, search.times))
        if search.lengths:
            lengths = [round(length * search.times) for length in search.lengths]
            yield self._arbiter.compute(lengths, Kind.RERANK)
        self._arbiter.release(num_pairs)
        yield self.cores.work(work.after * search.times)
        if work.delay:
            yield self._clock.after(work.delay * search.times)
        return True

    def lose(self) -> None:
        """Loses the server, with every search under way."""
        self.is_there = False
        lost, self.lost = self.lost, Signal()
        lost.fire()

    def come_back(self) -> None:
        """Has it take searches again."""
        self.is_there = True
