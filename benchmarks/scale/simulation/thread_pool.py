"""The threads that compute the batches of every model of a server: as `core/src/cpu/thread_pool.h`.

Each takes a piece of work at a time and ends it before it takes another. The batch of which the
fewest pieces are left goes first, so a query does not wait for all of a large batch, but for the
piece that a thread has begun.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from twopass.benchmarks.scale.simulation.clock import Clock, Signal
from twopass.benchmarks.scale.simulation.processors import Processors


@dataclass(slots=True)
class _Call:
    """A batch: core-seconds of the pieces that no thread has taken, the next one last."""

    pieces: list[float]
    num_missing: int
    done: Signal


class ThreadPool:
    """Threads that share the cores with everything else that runs there."""

    def __init__(self, clock: Clock, cores: Processors, num_threads: int) -> None:
        """Starts idle."""
        self.num_threads = num_threads
        self._clock = clock
        self._cores = cores
        self._num_idle = num_threads
        self._calls: list[_Call] = []
        self._num_calls = 0

    @property
    def is_busy(self) -> bool:
        """Whether a batch is being computed."""
        return self._num_calls > 0

    def run(self, pieces: Sequence[float]) -> Signal:
        """Has pieces computed, the first ones first; the signal is the last one's end."""
        call = _Call(list(reversed(pieces)), len(pieces), Signal())
        if not pieces:
            call.done.fire()
            return call.done
        self._num_calls += 1
        self._calls.append(call)
        self._start()
        return call.done

    def _start(self, *, goes_on: bool = False) -> None:
        """Has idle threads take pieces; the first of them is awake where it goes on."""
        while self._num_idle and self._calls:
            call = min(self._calls, key=lambda call: len(call.pieces))
            seconds = call.pieces.pop()
            if not call.pieces:
                self._calls.remove(call)
            self._num_idle -= 1
            ended = self._cores.work(seconds, continues=goes_on)
            ended.then(lambda _, call=call: self._end(call))  # type: ignore[misc]
            goes_on = False

    def _end(self, call: _Call) -> None:
        self._num_idle += 1
        call.num_missing -= 1
        self._start(goes_on=True)  # before anybody hears of the end
        if not call.num_missing:
            self._num_calls -= 1
            call.done.fire()
