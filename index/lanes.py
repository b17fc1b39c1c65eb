"""Threads for blocking work, by kind, so that no kind can take another's.

::

    lane           does                                            waits for
    reads          rows by key or id: what every search needs      the disk, briefly
    scans          filters, words: what may take long              the processor
    pages          many documents or collections for one caller   both
    vectors        faiss searches                                  the processor
    writes         commits, new collections, aliases               fsync
    openings       opening and closing collections                 both
    flushes        words from memory to disk                       both
    maintenance    merges, deletions, checks for damage            both; at low priority
    snapshots      making and restoring snapshots                  both; at low priority, in turn
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from twopass._core import Semaphore
from twopass.index.errors import LaneFullError, StoppedError
from twopass.index.stopping import NEVER, Stop

T = TypeVar("T")

# Enough for a burst, and few enough that the last of them is worth waiting for.
_MAX_WAITING = 1_024
# Linux's nice value of what is not urgent: a tenth of the processor beside one urgent thread.
_LOW_PRIORITY = 10


class _Task:
    """A call that waits for a thread; whoever made it has a future of it."""

    __slots__ = ("arguments", "function", "future", "stop")

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], stop: Stop
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.stop = stop
        self.future: Future[Any] = Future()

    def begin(self) -> bool:
        """Whether it is to be done."""
        if self.stop.is_set:
            self.future.cancel()
        return self.future.set_running_or_notify_cancel()

    def finish(self, result: Any) -> None:
        """Takes what the call returned."""
        self.future.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Takes what the call raised."""
        self.future.set_exception(error)


class _AwaitedTask:
    """A call that one coroutine waits for, and nobody else: no thread may wait for its outcome.

    That takes half of what a future takes that threads may wait for.
    """

    __slots__ = ("_loop", "arguments", "function", "is_left", "outcome", "stop")

    def __init__(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], stop: Stop
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.stop = stop
        self.is_left = False  # nobody waits any more
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[Any] = self._loop.create_future()

    def begin(self) -> bool:
        """Whether it is to be done."""
        return not (self.is_left or self.stop.is_set)

    def finish(self, result: Any) -> None:
        """Takes what the call returned."""
        self._tell(self._set_result, result)

    def fail(self, error: BaseException) -> None:
        """Takes what the call raised."""
        if isinstance(error, StopIteration):  # which no coroutine can raise
            error = RuntimeError(repr(error))
        self._tell(self._set_error, error)

    def give_up(self) -> None:
        """Ends the waiting, since the stop is set."""
        self._tell(self._set_error, StoppedError())

    def _tell(self, function: Callable[[Any], None], outcome: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            self._loop.call_soon_threadsafe(function, outcome)

    def _set_result(self, result: Any) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def _set_error(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class Lane:
    """Threads that do one kind of blocking work: so many at once, so many waiting.

    What waits and is stopped leaves without having had a thread. What runs ends itself: it is
    handed the stop by its caller, and asks it.

    Attributes:
        name: In metrics and messages.
        num_threads: How much is done at once.
        num_running: How much is being done now.
        longest_overrun: Longest time, in seconds, that something ran on after it had been stopped.
    """

    def __init__(
        self,
        name: str,
        num_threads: int,
        *,
        max_waiting: int | None = _MAX_WAITING,
        niceness: int = 0,
    ) -> None:
        """Prepares threads, which start when they are first needed.

        Args:
            name: The lane's.
            num_threads: Most threads.
            max_waiting: Most calls that wait for one; None for any number.
            niceness: Added to the threads' nice value; 0 leaves them as urgent as others.
        """
        self.name = name
        self.num_threads = num_threads
        self.num_running = 0
        self.longest_overrun = 0.0
        self._max_waiting = max_waiting
        self._niceness = niceness
        self._waiting: deque[_Task | _AwaitedTask | None] = deque()
        self._num_waiting = Semaphore()  # what threads take before they take the first
        self._threads: list[threading.Thread] = []
        self._num_free = 0  # threads that wait, less the calls that wait
        self._closed = False
        self._changing = threading.Lock()

    @property
    def num_waiting(self) -> int:
        """How many calls wait for a thread."""
        return len(self._waiting)

    def submit(
        self, function: Callable[..., T], *arguments: Any, stop: Stop = NEVER
    ) -> "Future[T]":
        """Queues a call.

        Args:
            function: What to call.
            arguments: Its arguments.
            stop: Lets the call leave the queue; to end it once it runs, pass the stop to the
                function too.

        Returns:
            A future of what it returns. It is cancelled where the stop is set before its turn.

        Raises:
            LaneFullError: As many wait as may.
            RuntimeError: The lane is closed.
        """
        task = _Task(function, arguments, stop)
        self._enqueue(task)
        return task.future

    async def run(self, function: Callable[..., T], *arguments: Any, stop: Stop = NEVER) -> T:
        """Awaits a call; ends at once when it is stopped, though the call may take a little longer.

        Raises:
            StoppedError: The stop was set first.
            LaneFullError: As many wait as may.
        """
        stop.check()
        task = _AwaitedTask(function, arguments, stop)
        self._enqueue(task)
        try:
            with stop.calling(task.give_up):
                result: T = await task.outcome
                return result
        finally:
            task.is_left = True

    def close(self) -> None:
        """Does what waits, then ends the threads. Idempotent."""
        with self._changing:
            self._closed = True
            threads = list(self._threads)
        for _ in threads:
            self._waiting.append(None)
            self._num_waiting.release()
        for thread in threads:
            thread.join()

    def _enqueue(self, task: _Task | _AwaitedTask) -> None:
        with self._changing:
            if self._closed:
                raise RuntimeError(f"the lane {self.name} is closed")
            if self._max_waiting is not None and len(self._waiting) >= self._max_waiting:
                raise LaneFullError(self.name, self._max_waiting, retry_after=0.1)
            self._waiting.append(task)
            self._num_free -= 1
            if self._num_free < 0 and len(self._threads) < self.num_threads:
                self._start_thread()
        self._num_waiting.release()

    def _start_thread(self) -> None:
        name = f"{self.name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no thread left
            if not self._threads:
                self._waiting.pop()
                self._num_free += 1
                raise
            return  # those that there are do it when they are free
        self._threads.append(thread)

    def _work(self) -> None:
        if self._niceness:
            with suppress(OSError, AttributeError):  # not every system has a nice value a thread
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
        while (task := self._take()) is not None:
            self._do(task)
            del task  # nothing of a call is kept while the thread waits for the next

    def _take(self) -> _Task | _AwaitedTask | None:
        with self._changing:
            self._num_free += 1
        self._num_waiting.acquire()
        return self._waiting.popleft()

    def _do(self, task: _Task | _AwaitedTask) -> None:
        if not task.begin():
            return
        stopped_at: list[float] = []
        with self._changing:
            self.num_running += 1
        try:
            with task.stop.calling(lambda: stopped_at.append(time.perf_counter())):
                result = task.function(*task.arguments)
        except BaseException as error:
            task.fail(error)
        else:
            task.finish(result)
        finally:
            with self._changing:
                self.num_running -= 1
                if stopped_at:
                    overrun = time.perf_counter() - stopped_at[0]
                    self.longest_overrun = max(self.longest_overrun, overrun)


async def wait_for(future: "Future[T]", stop: Stop) -> T:
    """Awaits what another thread will set, or the stop, whichever comes first.

    The future itself goes on: others may wait for it too.

    Raises:
        StoppedError: The stop was set first, or the future is cancelled.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not ended.done():
            ended.set_result(None)

    def wake(_: object = None) -> None:
        with suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(end)

    future.add_done_callback(wake)
    with stop.calling(wake):
        await ended
    if not future.done() or future.cancelled():
        raise StoppedError
    return future.result()


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """The lanes of one process; what each does is told at the top of this file."""

    reads: Lane
    scans: Lane
    pages: Lane
    vectors: Lane
    writes: Lane
    openings: Lane
    flushes: Lane
    maintenance: Lane
    snapshots: Lane

    @classmethod
    def for_cpus(cls, num_cpus: int) -> "Lanes":
        """Lanes for so many CPUs.

        Args:
            num_cpus: Those the process may use, by affinity and quota.
        """
        return cls(
            reads=Lane("reads", 2 + num_cpus),  # they wait for the disk as often as they compute
            scans=Lane("scans", num_cpus),
            pages=Lane("pages", max(2, num_cpus // 2)),
            # One entry for each collection that has anything to do, and no more. Some more than
            # CPUs, so that a long search of one holds up no short one of another.
            vectors=Lane("vectors", 2 + num_cpus, max_waiting=None),
            writes=Lane("writes", 2 + num_cpus, max_waiting=None),
            openings=Lane("openings", max(2, num_cpus), max_waiting=None),
            # Not at low priority: it takes Python's GIL a thousand times a second, which a busy
            # machine would make all others wait for, and writers wait where it falls behind.
            flushes=Lane("flushes", 1, max_waiting=None),
            maintenance=Lane("maintenance", 2, max_waiting=None, niceness=_LOW_PRIORITY),
            # One at a time: each reads and writes as fast as the disk can.
            snapshots=Lane("snapshots", 1, niceness=_LOW_PRIORITY),
        )

    def all(self) -> tuple[Lane, ...]:
        """Every lane."""
        return (
            self.reads,
            self.scans,
            self.pages,
            self.vectors,
            self.writes,
            self.openings,
            self.flushes,
            self.maintenance,
            self.snapshots,
        )

    def close(self) -> None:
        """Does what waits, then ends all threads. Idempotent."""
        for lane in self.all():
            lane.close()
