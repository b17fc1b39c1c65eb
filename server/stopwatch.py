"""Timing of stages."""

import time


class Stopwatch:
    """Seconds since it was made, or since the last lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap; begins the next."""
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed
