"""Timing of stages."""

import time

from twopass.server.tracing import record


class Stopwatch:
    """Seconds since it was made, or since the last lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self, stage: str) -> float:
        """Seconds since the last lap, recorded as a stage of the call; begins the next."""
        now = time.perf_counter()
        record(stage, self._last, now)
        elapsed, self._last = now - self._last, now
        return elapsed
