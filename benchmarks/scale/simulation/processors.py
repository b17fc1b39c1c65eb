"""What computes: processor cores shared out among threads, and servers that take one job each."""

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from twopass.benchmarks.scale.simulation.clock import Clock, Signal

# A piece of work that is this close to its end, in seconds of one core, has ended: what is left is
# rounding.
_ROUNDING = 1e-12


@dataclass(order=True, slots=True)
class _Task:
    """Work under way; `finish` is the service a thread will have had when it ends."""

    finish: float
    number: int
    threads: int = field(compare=False)
    done: Signal = field(compare=False)


class Processors(Protocol):
    """What threads compute with."""

    num: int

    def work(self, core_seconds: float, threads: int = 1, *, continues: bool = False) -> Signal:
        """Has work done by so many threads, each an equal part of it; the signal is its end.

        Args:
            core_seconds: Of all threads together.
            threads: How many.
            continues: Whether one thread goes on with it that has ended other work at this instant.
        """


class Cores:
    """Cores that all threads share equally, as a fair scheduler of an operating system has it.

    Each of `n` threads gets the whole of a core while there are as many cores, and else its share.
    So one thread never gets more than one core, and work for several threads ends with the last.
    Cores that are busy side by side may each be slower than one alone, since they share caches,
    memory and current.

    Attributes:
        num: How many cores.
        busy_seconds: Time for which cores have been busy so far, of all of them together.
    """

    def __init__(
        self, clock: Clock, num: int, *, speed: float = 1.0, alone_speed: float | None = None
    ) -> None:
        """Starts idle.

        Args:
            clock: The simulation's.
            num: How many cores.
            speed: How much faster each is than those of the constants.
            alone_speed: The same while all others are idle; between that and all of them busy on a
                straight line. None where it makes no difference.
        """
        self.num = num
        self.busy_seconds = 0.0
        self._clock = clock
        self._speed = speed
        self._alone_speed = speed if alone_speed is None else alone_speed
        self._tasks: list[_Task] = []
        self._num_threads = 0
        self._service = 0.0  # seconds that a thread which is always there would have had
        self._since = 0.0
        self._version = 0  # of the set of tasks: an event of an older one is void
        self._numbers = itertools.count()

    @property
    def num_threads(self) -> int:
        """Threads that want to run."""
        return self._num_threads

    def work(self, core_seconds: float, threads: int = 1, *, continues: bool = False) -> Signal:  # noqa: ARG002
        """Has work done by so many threads, each an equal part of it; the signal is its end.

        Args:
            core_seconds: Of all threads together.
            threads: How many.
            continues: Whether a thread goes on with it, rather than wake up; makes no difference
                where threads always share.
        """
        done = Signal()
        if core_seconds <= 0:
            done.fire()
            return done
        self._advance()
        finish = self._service + core_seconds / threads
        heapq.heappush(self._tasks, _Task(finish, next(self._numbers), threads, done))
        self._num_threads += threads
        self._plan()
        return done

    @property
    def _rate(self) -> float:
        """Seconds of service that each thread gets in a second."""
        if not self._num_threads:
            return 0.0
        num_busy = min(self.num, self._num_threads)
        slowed = (num_busy - 1) / (self.num - 1) if self.num > 1 else 1.0
        speed = self._alone_speed + (self._speed - self._alone_speed) * slowed
        return speed * num_busy / self._num_threads

    def _advance(self) -> None:
        """Brings the service up to now."""
        passed = self._clock.now - self._since
        self._service += passed * self._rate
        self.busy_seconds += passed * min(self.num, self._num_threads)
        self._since = self._clock.now

    def _plan(self) -> None:
        """Has the next end looked after when it is due."""
        self._version += 1
        if not self._tasks:
            self._service = 0.0  # so that rounding errors don't add up
            return
        version = self._version
        left = max(0.0, self._tasks[0].finish - self._service)
        self._clock.at(self._clock.now + left / self._rate, lambda: self._end(version))

    def _end(self, version: int) -> None:
        if version != self._version:
            return
        self._advance()
        # The clock's precision may leave the first a little short of its end; it has ended anyway.
        reached = max(self._service, self._tasks[0].finish) + _ROUNDING
        ended = []
        while self._tasks and self._tasks[0].finish <= reached:
            task = heapq.heappop(self._tasks)
            self._num_threads -= task.threads
            ended.append(task)
        self._plan()
        for task in ended:
            task.done.fire()


class Servers:
    """Servers behind one queue, first come first served, each with one job at a time.

    Attributes:
        num: How many servers.
        num_waiting: Jobs that none has taken yet.
    """

    def __init__(self, clock: Clock, num: int) -> None:
        self.num = num
        self._clock = clock
        self._free = num
        self._queue: deque[tuple[float, Signal]] = deque()

    @property
    def num_waiting(self) -> int:
        """Jobs that no server has taken yet."""
        return len(self._queue)

    def serve(self, seconds: float) -> Signal:
        """Queues a job of so many seconds; the signal is its end."""
        done = Signal()
        self._queue.append((seconds, done))
        self._start()
        return done

    def _start(self) -> None:
        while self._free and self._queue:
            seconds, done = self._queue.popleft()
            self._free -= 1
            self._clock.at(self._clock.now + seconds, lambda done=done: self._end(done))  # type: ignore[misc]

    def _end(self, done: Signal) -> None:
        self._free += 1
        done.fire()
        self._start()
