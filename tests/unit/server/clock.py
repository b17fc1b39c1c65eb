"""Time that a test lets pass, so that no deadline has to be waited for or be beaten."""

import time
from collections.abc import Callable

import pytest

from .scripted import settled


class Clock:
    """The time that code in an event loop reads: the machine's, and what a test has let pass.

    It stands in the place of `time.monotonic`, by which the loop calls timers, and of
    `time.perf_counter`, in which deadlines are told. Threads that wait are not woken by it.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._passed = 0.0
        self._stood_at: dict[str, float] = {}
        self._machine = {name: getattr(time, name) for name in ("monotonic", "perf_counter")}
        for name, machine in self._machine.items():
            monkeypatch.setattr(time, name, self._ahead_of(name, machine))

    def _ahead_of(self, name: str, machine: Callable[[], float]) -> Callable[[], float]:
        return lambda: self._stood_at.get(name, machine()) + self._passed

    def stand_still(self) -> None:
        """Has no time pass from now on but what the test lets pass."""
        self._stood_at = {name: machine() for name, machine in self._machine.items()}

    async def passes(self, seconds: float) -> None:
        """Lets so much time pass at once, and the loop run what is due then."""
        self._passed += seconds
        await settled()
