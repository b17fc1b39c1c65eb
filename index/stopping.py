"""Ending work that nobody needs any more."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import TypeVar

from twopass.index.errors import StoppedError

T = TypeVar("T")


class Stop:
    """Tells all that work on something that it is not needed any more. Safe for all threads.

    Work asks by `is_set` or `check` between two pieces; what can't ask, because it waits inside a
    library, registers how it is interrupted with `calling`.
    """

    __slots__ = ("_callbacks", "_changing", "_is_set")

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._callbacks: dict[object, Callable[[], object]] = {}
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Whether the work should end."""
        return self._is_set

    def check(self) -> None:
        """Ends the work that calls this, if it should.

        Raises:
            StoppedError: It should.
        """
        if self._is_set:
            raise StoppedError

    def set(self) -> None:
        """Ends the work, now and for good. Idempotent."""
        with self._changing:
            self._is_set = True
            callbacks, self._callbacks = self._callbacks, {}
            for callback in callbacks.values():
                callback()

    def calling(self, callback: Callable[[], object]) -> "_Calling":
        """Has a function called when the work should end, within the block and never after it.

        Args:
            callback: Called at most once, from any thread; at once where the stop is set already.
                It must be quick, and must not use this stop.
        """
        return _Calling(self, callback)


class _Calling:
    """A block within which a function is called when work should end.

    A class, since every call enters several: a generator as context manager takes three times as
    long.
    """

    __slots__ = ("_callback", "_stop")

    def __init__(self, stop: Stop, callback: Callable[[], object]) -> None:
        self._stop = stop
        self._callback = callback

    def __enter__(self) -> None:
        stop = self._stop
        with stop._changing:  # the other half of the same thing
            if stop._is_set:
                self._callback()
            else:
                stop._callbacks[self] = self._callback

    def __exit__(self, *raised: object) -> None:
        stop = self._stop
        with stop._changing:
            stop._callbacks.pop(self, None)


class EveryStop:
    """The stop of work that several need: set once all of theirs are."""

    __slots__ = ("_stops",)

    def __init__(self, stops: Iterable[Stop]) -> None:
        self._stops = tuple(stops)

    @property
    def is_set(self) -> bool:
        """Whether the work should end."""
        return all(stop.is_set for stop in self._stops)

    def check(self) -> None:
        """Ends the work that calls this, if it should.

        Raises:
            StoppedError: It should.
        """
        if self.is_set:
            raise StoppedError


def wait_for(future: "Future[T]", stop: Stop) -> T:
    """Waits for a future, but no longer than until a stop is set; blocks.

    Raises:
        StoppedError: The stop was set first.
    """
    over = threading.Event()
    future.add_done_callback(lambda _: over.set())
    with stop.calling(over.set):
        over.wait()
    if not future.done():
        future.cancel()
        raise StoppedError
    return future.result()


NEVER = Stop()
"""For work that is always needed: never set."""
