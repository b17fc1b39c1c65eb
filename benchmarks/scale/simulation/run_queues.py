"""Cores as an operating system gives them to threads: a queue for each, and turns of some time.

Where `processors.Cores` shares a core equally at every instant, here a thread that wakes up while
all cores are busy waits until a turn ends. A search goes through some twenty threads, so on a busy
machine it waits as often. As turns become short, both are the same; as they become long, threads
are served one after the other.
"""

import itertools
import math
import random
from collections import deque
from dataclasses import dataclass, field

from twopass.benchmarks.scale.simulation.clock import Clock, Signal, all_of

# Work that is this close to its end, in seconds of a core, has ended: what is left is rounding.
_ROUNDING = 1e-12
_ROUNDING_OF_TURNS = 1e-6


@dataclass(slots=True, eq=False)
class _Thread:
    """Work of one thread: what is left of it, in seconds of a core that is slowed by others."""

    left: float
    done: Signal


@dataclass(slots=True, eq=False)
class _Core:
    """A core.

    Attributes:
        ticks_at: When its turns end: at this time and every turn's length after it.
        thread: What it runs.
        waiting: What waits for it.
        since: When the thread's work was last looked at.
        version: Of what is planned; an event of an older one is void.
    """

    ticks_at: float
    thread: _Thread | None = None
    waiting: deque[_Thread] = field(default_factory=deque)
    since: float = 0.0
    version: int = 0


class RunQueues:
    """Cores with a queue each. A core with nothing to do takes what waits for another.

    Attributes:
        num: How many cores.
        busy_seconds: Time for which cores have been busy so far, of all of them together.
    """

    def __init__(
        self,
        clock: Clock,
        num: int,
        *,
        turn: float,
        packing: float = 0.0,
        alone_speed: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Starts idle.

        Args:
            clock: The simulation's.
            num: How many cores.
            turn: Seconds after which a core goes on with the next thread that waits for it, above
                0. A thread that wakes up waits for half of it in the mean.
            packing: Part of the threads that wake up and wait for a busy core although another is
                idle: systems leave cores asleep to save power, or for other guests of a machine.
            alone_speed: How fast a core is while all others are idle, by its speed while all are
                busy; on a straight line between them.
            seed: Of which threads those are.
        """
        self.num = num
        self.busy_seconds = 0.0
        self._clock = clock
        self._turn = turn
        self._packing = packing
        self._random = random.Random(seed)  # noqa: S311  # no secret
        self._alone_speed = alone_speed
        # Cores' clocks are not in step.
        self._cores = [_Core(turn * number / num) for number in range(num)]
        self._num_busy = 0
        self._next = itertools.cycle(range(num))
        self._ending: _Core | None = None  # whose thread has just ended its work

    def work(self, core_seconds: float, threads: int = 1, *, continues: bool = False) -> Signal:
        """Has work done by so many threads, each an equal part of it; the signal is its end.

        Args:
            core_seconds: Of all threads together.
            threads: How many.
            continues: Whether one thread goes on that has ended other work at this instant, and so
                has a core already; to be called while that work's signal comes.
        """
        if core_seconds <= 0:
            done = Signal()
            done.fire()
            return done
        each = [_Thread(core_seconds / threads, Signal()) for _ in range(threads)]
        if continues and self._ending is not None:
            self._ending.thread, self._ending = each[0], None
            return each[0].done
        for thread in each:
            self._wake(thread)
        return each[0].done if threads == 1 else all_of(thread.done for thread in each)

    def _wake(self, thread: _Thread) -> None:
        """Runs a thread on an idle core, or has it wait where the fewest do."""
        first = next(self._next)
        order = self._cores[first:] + self._cores[:first]
        idle = next((core for core in order if core.thread is None), None)
        if idle is not None and not self._is_packed():
            self._run(idle, thread)
            return
        busy = (core for core in order if core.thread is not None)
        core = min(busy, key=lambda core: len(core.waiting))
        core.waiting.append(thread)
        if len(core.waiting) == 1:
            self._plan(core)  # its turn ends now

    def _is_packed(self) -> bool:
        """Whether a thread waits although a core is idle."""
        return self._num_busy > 0 and self._packing > 0 and self._random.random() < self._packing

    @property
    def _speed(self) -> float:
        if self.num == 1:
            return 1.0
        slowed = (self._num_busy - 1) / (self.num - 1)
        return self._alone_speed + (1.0 - self._alone_speed) * slowed

    def _run(self, core: _Core, thread: _Thread) -> None:
        """Has an idle core run a thread."""
        if self._alone_speed == 1.0:
            self._num_busy += 1
        else:
            self._change_busy(1)
        core.thread, core.since = thread, self._clock.now
        self._plan(core)

    def _change_busy(self, by: int) -> None:
        """Others become faster or slower."""
        busy = [core for core in self._cores if core.thread is not None]
        for core in busy:
            self._advance(core)
        self._num_busy += by
        for core in busy:
            self._plan(core)

    def _advance(self, core: _Core) -> None:
        """Brings a core's work up to now."""
        assert core.thread is not None
        passed = self._clock.now - core.since
        core.thread.left -= passed * self._speed
        core.since = self._clock.now
        self.busy_seconds += passed

    def _plan(self, core: _Core) -> None:
        """Has the end of a core's work, or of its turn, looked after when it is due."""
        assert core.thread is not None
        self._advance(core)
        core.version += 1
        version, now = core.version, self._clock.now
        end = now + max(0.0, core.thread.left) / self._speed
        if core.waiting:
            # The turn that ends now, but for rounding, has ended.
            turns = (now - core.ticks_at) / self._turn + _ROUNDING_OF_TURNS
            end = min(end, core.ticks_at + (math.floor(turns) + 1) * self._turn)
        self._clock.at(end, lambda: self._look(core, version))

    def _look(self, core: _Core, version: int) -> None:
        if version != core.version:
            return
        self._advance(core)
        thread = core.thread
        assert thread is not None
        if thread.left > _ROUNDING:  # its turn has ended
            if core.waiting:
                core.waiting.append(thread)
                core.thread = core.waiting.popleft()
            self._plan(core)
            return
        before, self._ending = self._ending, core
        thread.done.fire()
        self._ending = before
        if core.thread is thread:
            core.thread = self._taken(core)
        if core.thread is not None:
            core.since = self._clock.now
            self._plan(core)
            return
        core.version += 1
        if self._alone_speed == 1.0:
            self._num_busy -= 1
        else:
            self._change_busy(-1)

    def _taken(self, core: _Core) -> _Thread | None:
        """The next thread for a core: its own, else one that waits for another core."""
        longest = core if core.waiting else max(self._cores, key=lambda other: len(other.waiting))
        if not longest.waiting:
            return None
        thread = longest.waiting.popleft()
        if longest is not core and not longest.waiting:
            self._plan(longest)
        return thread
