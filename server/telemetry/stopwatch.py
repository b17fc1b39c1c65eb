"""Timing of stages."""

import time
from dataclasses import dataclass

from twopass.server.telemetry.tracing import record

_STAGES = ("tokenize", "queue", "embed", "retrieve", "load", "rerank", "arrange", "spans")


@dataclass(slots=True)
class StageTimings:
    """Seconds each stage of a request took; None for a stage that did not run."""

    total: float = 0.0
    tokenize: float | None = None
    queue: float | None = None
    embed: float | None = None
    retrieve: float | None = None
    load: float | None = None
    rerank: float | None = None
    spans: float | None = None
    arrange: float | None = None

    def last_done(self) -> str:
        """The last stage that was done, in the order of a search; "" before the first is done."""
        done = [name for name in _STAGES if getattr(self, name) is not None]
        return done[-1] if done else ""


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
