"""The arbiter of engines: which rows go into the next batch, and which engine gets it.

It decides as `server/scheduling` does: queries before pairs, within a kind by the server's own
`FairQueue`, batches of as many tokens as the fastest engine computes in its time, no timer. A batch
goes to the engine that is expected to be done with it first; those of a lost engine are queued
again.
"""

from collections.abc import Sequence
from enum import IntEnum
from math import inf
from typing import Protocol, cast

from twopass.benchmarks.scale.simulation.clock import Clock, Signal
from twopass.server.scheduling.fair_queue import FairQueue
from twopass.server.scheduling.jobs import Job


class Kind(IntEnum):
    """What is computed first when both wait."""

    QUERY = 0
    RERANK = 1


class Engine(Protocol):
    """What computes batches; a model of an engine of `engines/base.py`.

    Attributes:
        max_in_flight: Batches that it takes at once. Those of queries wait for each other alone,
            those of pairs for queries too.
        is_there: Whether it takes any; changes when it is lost or comes back.
    """

    max_in_flight: int
    is_there: bool

    def batch_tokens(self) -> int:
        """Tokens of a batch that keeps it busy for as long as a batch may take."""

    def seconds(self, tokens: int) -> float:
        """How long a batch of so many tokens is expected to take it."""

    def compute(self, lengths: Sequence[int], kind: Kind) -> Signal:
        """Computes a batch, which has sequences of so many tokens each.

        The value says whether it was computed, rather than lost with the engine.
        """


class _Rows:
    """A request's rows, as much of a `Job` as the fair queue looks at.

    Attributes:
        lengths: Tokens of each row, longest first.
        next: The first row that no batch has taken.
        num_missing: Rows whose output is not there.
    """

    __slots__ = (
        *("deadline", "done", "kind", "lengths", "next"),
        *("num_missing", "seconds_per_token", "virtual_finish", "waiting_tokens"),
    )

    def __init__(self, lengths: Sequence[int], kind: Kind, seconds_per_token: float) -> None:
        self.lengths = sorted(lengths, reverse=True)
        self.kind = kind
        self.next = 0
        self.num_missing = len(self.lengths)
        self.waiting_tokens = sum(self.lengths)
        self.seconds_per_token = seconds_per_token
        self.deadline: float | None = None
        self.virtual_finish = 0.0
        self.done = Signal()

    @property
    def waiting_seconds(self) -> float:
        """How long an engine is expected to take for the rows that wait."""
        return self.waiting_tokens * self.seconds_per_token

    def take(self, room: int) -> list[int]:
        """Takes the first waiting rows of at most so many tokens; at least one where room is 0."""
        taken: list[int] = []
        while self.next < len(self.lengths):
            length = self.lengths[self.next]
            if taken and length > room:
                break
            taken.append(length)
            room -= length
            self.next += 1
        self.waiting_tokens -= sum(taken)
        return taken


class Arbiter:
    """Feeds engines from one queue.

    Attributes:
        num_queued: Pairs of requests that are not answered.
        num_lost: Batches that were lost with their engine and queued again.
        is_waiting_for_engines: Whether none is there.
    """

    def __init__(self, clock: Clock, engines: Sequence[Engine], *, max_queued: float = inf) -> None:
        """Starts idle.

        Args:
            clock: The simulation's.
            engines: All of them, also those that come later.
            max_queued: Most pairs of requests that are not answered.
        """
        self.num_queued = 0
        self.num_lost = 0
        self._clock = clock
        self._engines = engines
        self._max_queued = max_queued
        self._queues = {kind: FairQueue() for kind in Kind}
        self._in_flight = {kind: [0] * len(engines) for kind in Kind}
        self._free_at = [0.0] * len(engines)

    def admit(self, num_pairs: int) -> bool:
        """Takes places in the queue for a whole request, where there are as many."""
        if self.num_queued + num_pairs > self._max_queued:
            return False
        self.num_queued += num_pairs
        return True

    def release(self, num_pairs: int) -> None:
        """Gives places back."""
        self.num_queued -= num_pairs

    @property
    def is_waiting_for_engines(self) -> bool:
        """Whether no engine is there."""
        return not any(engine.is_there for engine in self._engines)

    def compute(self, lengths: Sequence[int], kind: Kind) -> Signal:
        """Queues a request's rows; the signal is the last one's output."""
        fastest = min(self._engines, key=lambda engine: engine.seconds(1_000))
        rows = _Rows(lengths, kind, fastest.seconds(1_000) / 1_000)
        if not lengths:
            rows.done.fire()
            return rows.done
        self._queues[kind].add(cast("Job", rows))
        self.dispatch()
        return rows.done

    def dispatch(self) -> None:
        """Gives batches to engines while they take any; to be called when one has come back."""
        for kind in Kind:
            queue = self._queues[kind]
            while len(queue) and (number := self._next_engine(kind)) is not None:
                self._submit(number, kind, self._batch(queue, self._engines[number]))

    def _next_engine(self, kind: Kind) -> int | None:
        """The engine that would be done first with one more batch; None where none takes any."""
        best, best_time = None, inf
        for number, engine in enumerate(self._engines):
            in_flight = self._in_flight[Kind.QUERY][number]
            if kind is Kind.RERANK:
                in_flight += self._in_flight[kind][number]
            if engine.is_there and in_flight < engine.max_in_flight:
                begin = self._clock.now if kind is Kind.QUERY else self._free_at[number]
                time = max(self._clock.now, begin) + engine.seconds(engine.batch_tokens())
                if time < best_time:
                    best, best_time = number, time
        return best

    def _batch(self, queue: FairQueue, engine: Engine) -> list[tuple[_Rows, list[int]]]:
        """Takes the next batch: rows of the first requests in turn, of at most so many tokens."""
        room = engine.batch_tokens()
        parts: list[tuple[_Rows, list[int]]] = []
        while len(queue) and (room > 0 or not parts):
            rows = cast("_Rows", queue.first)
            if parts and rows.lengths[rows.next] > room:
                break
            taken = rows.take(room)
            parts.append((rows, taken))
            room -= sum(taken)
            queue.served(sum(taken) * rows.seconds_per_token)
            if rows.next < len(rows.lengths):
                break
            queue.remove(queue.first)
        return parts

    def _submit(self, number: int, kind: Kind, parts: list[tuple[_Rows, list[int]]]) -> None:
        engine = self._engines[number]
        lengths = [length for _, taken in parts for length in taken]
        self._in_flight[kind][number] += 1
        began = max(self._clock.now, self._free_at[number])
        if kind is Kind.RERANK:
            self._free_at[number] = began + engine.seconds(sum(lengths))

        def answer(is_computed: bool) -> None:
            self._in_flight[kind][number] -= 1
            if not self._in_flight[Kind.RERANK][number]:
                self._free_at[number] = self._clock.now
            for rows, taken in parts:
                if is_computed:
                    self._deliver(rows, len(taken))
                else:
                    self._queue_again(rows, taken)
            self.num_lost += not is_computed
            self.dispatch()

        engine.compute(lengths, kind).then(answer)

    def _deliver(self, rows: _Rows, num: int) -> None:
        rows.num_missing -= num
        if rows.num_missing == 0:
            rows.done.fire()

    def _queue_again(self, rows: _Rows, taken: list[int]) -> None:
        """Has lost rows computed by another engine, as a request of their own that is as old."""
        again = _Rows(taken, rows.kind, rows.seconds_per_token)
        again.done.then(lambda _: self._deliver(rows, len(taken)))
        self._queues[rows.kind].add(cast("Job", again))
