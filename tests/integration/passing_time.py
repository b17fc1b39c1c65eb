"""Time that a test lets pass in a server, so that no budget has to be waited for or be beaten."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
import uvloop


class PassingTime:
    """How far `time.perf_counter`, its nanoseconds and the event loops made here are ahead.

    Ahead of the machine's clock, that is. Threads that sleep are not woken, and what gRPC itself
    measures is the machine's time.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_seconds = 0.0
        seconds, nanoseconds = time.perf_counter, time.perf_counter_ns
        monkeypatch.setattr(time, "perf_counter", lambda: seconds() + self.passed_seconds)
        monkeypatch.setattr(
            time, "perf_counter_ns", lambda: nanoseconds() + round(self.passed_seconds * 1e9)
        )

    def new_loop(self) -> "SkippingLoop":
        """An event loop as servers have it, in which time can be skipped."""
        return SkippingLoop(self)


class SkippingLoop(uvloop.Loop):  # type: ignore[misc]  # it ships no types of its methods
    """Calls at once what would be called during the time that is skipped."""

    def __init__(self, passing: PassingTime) -> None:
        super().__init__()
        self._passing = passing
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def time(self) -> float:
        now: float = super().time()
        return now + self._passing.passed_seconds

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(self.time() + delay, callback, args, self, context)
        self._timers[id(timer)] = timer
        super().call_later(delay, self._call, timer)
        return timer

    async def skip(self, seconds: float) -> None:
        """Takes in what threads have done so far, then lets so much time pass."""
        for _ in range(20):
            await asyncio.sleep(0)
        self._passing.passed_seconds += seconds
        due = [timer for timer in self._timers.values() if timer.when() <= self.time()]
        for timer in sorted(due):
            self.call_soon(self._call, timer)

    def _call(self, timer: asyncio.TimerHandle) -> None:
        if self._timers.pop(id(timer), None) is not None:
            timer._run()

    def _timer_handle_cancelled(self, timer: asyncio.TimerHandle) -> None:
        self._timers.pop(id(timer), None)
