"""One thread that all searches share: an event loop, whose work is done in the order it came.

What a search has done there waits for what others have; the thread itself waits for a core as all
threads do. Beside a lock this is most of what limits a server in one process of Python.
"""

from collections import deque

from twopass.benchmarks.scale.simulation.clock import Signal
from twopass.benchmarks.scale.simulation.run_queues import RunQueues


class EventLoop:
    """A thread with a queue of work."""

    def __init__(self, cores: RunQueues) -> None:
        """Starts idle, on cores that it shares with other threads."""
        self._cores = cores
        self._waiting: deque[tuple[float, Signal]] = deque()
        self._is_busy = False

    def work(self, core_seconds: float) -> Signal:
        """Queues work, in seconds of a core; the signal is its end."""
        done = Signal()
        if core_seconds <= 0:
            done.fire()
            return done
        self._waiting.append((core_seconds, done))
        if not self._is_busy:
            self._is_busy = True
            self._begin(goes_on=False)
        return done

    def _begin(self, *, goes_on: bool) -> None:
        core_seconds, done = self._waiting.popleft()
        ended = self._cores.work(core_seconds, continues=goes_on)
        ended.then(lambda _: self._end(done))

    def _end(self, done: Signal) -> None:
        """Goes on with the next work, on the core that it has, before anybody hears of the end."""
        self._is_busy = bool(self._waiting)
        if self._is_busy:
            self._begin(goes_on=True)
        done.fire()
