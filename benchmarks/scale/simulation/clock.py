"""Simulated time: events in their order, processes that wait for signals."""

import heapq
import itertools
from collections.abc import Callable, Generator, Iterable
from math import inf
from typing import Any, TypeAlias

Process: TypeAlias = "Generator[Signal, Any, Any]"
"""Yields a signal to wait for it, and gets its value; what it returns is its own signal's value."""


class Signal:
    """Something that happens once; whoever waits for it gets its value.

    Attributes:
        value: What it came with; None before it has come.
        is_done: Whether it has come.
    """

    __slots__ = ("_waiting", "is_done", "value")

    def __init__(self) -> None:
        self.is_done = False
        self.value: Any = None
        self._waiting: list[Callable[[Any], None]] = []

    def fire(self, value: Any = None) -> None:
        """Lets it happen; a second time is a no-op."""
        if self.is_done:
            return
        self.is_done, self.value = True, value
        waiting, self._waiting = self._waiting, []
        for continue_with in waiting:
            continue_with(value)

    def then(self, continue_with: Callable[[Any], None]) -> None:
        """Calls a function with the value, now or when it comes."""
        if self.is_done:
            continue_with(self.value)
        else:
            self._waiting.append(continue_with)


class Clock:
    """The events to come.

    Attributes:
        now: Seconds since the simulation began.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, time: float, act: Callable[[], None]) -> None:
        """Has a function called at a time; those of one time are called in the order given."""
        heapq.heappush(self._events, (max(time, self.now), next(self._numbers), act))

    def after(self, seconds: float) -> Signal:
        """A signal that comes after so many seconds."""
        signal = Signal()
        self.at(self.now + seconds, signal.fire)
        return signal

    def spawn(self, process: Process) -> Signal:
        """Runs a process beside all others, from now on; the signal comes with what it returns."""
        ended = Signal()

        def advance(value: Any) -> None:
            try:
                awaited = process.send(value)
            except StopIteration as stop:
                ended.fire(stop.value)
            else:
                awaited.then(advance)

        advance(None)
        return ended

    def run(self, until: float = inf) -> None:
        """Lets events happen, up to a time or until none is left."""
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heapq.heappop(self._events)
            act()


def all_of(signals: Iterable[Signal]) -> Signal:
    """A signal that comes with the last of several."""
    signals = list(signals)
    together = Signal()
    missing = len(signals)
    if not missing:
        together.fire([])

    def one_more(_: Any) -> None:
        nonlocal missing
        missing -= 1
        if missing == 0:
            together.fire([signal.value for signal in signals])

    for signal in signals:
        signal.then(one_more)
    return together


def first_of(signals: Iterable[Signal]) -> Signal:
    """A signal that comes with the first of several, and with its value."""
    first = Signal()
    for signal in signals:
        signal.then(first.fire)
    return first
