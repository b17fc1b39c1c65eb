"""How long a thread that wakes up waits for a core, by how many cores are busy."""

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_SECONDS = 2.5
_SLEEP_SECONDS = 0.003
# About what one thread of a search computes before it hands over to the next.
_WORK_SECONDS = 0.0003
_SETTLING_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Waking:
    """What an operating system does with threads that wake up.

    Attributes:
        turn_ms: For how long one waits at most while all cores compute, twice the mean.
        packing: Part of those that wait as well although a core is idle, by the mean wait.
    """

    turn_ms: float
    packing: float


def measure_waking(num_cores: int) -> Waking:
    """Measures it beside programs that do nothing but compute."""
    return waking_of(*(_late_ms(num) for num in (0, num_cores - 1, num_cores)))


def waking_of(idle_ms: float, nearly_busy_ms: float, busy_ms: float) -> Waking:
    """From how late threads wake up: on an idle machine, on one with one idle core, on a busy one.

    A thread that waits for the end of a turn of which it knows nothing waits for half of it.
    """
    wait = max(0.0, busy_ms - idle_ms)
    if not wait:
        return Waking(0.001, 0.0)
    return Waking(2 * wait, min(1.0, max(0.0, (nearly_busy_ms - idle_ms) / wait)))


def _late_ms(num_busy: int) -> float:
    """How late a thread wakes up, in the mean."""
    late = []
    with _computing(num_busy):
        end = time.perf_counter() + _SECONDS
        while (intended := time.perf_counter() + _SLEEP_SECONDS) < end:
            time.sleep(_SLEEP_SECONDS)
            awake = time.perf_counter()
            late.append(awake - intended)
            while time.perf_counter() < awake + _WORK_SECONDS:
                pass
    return 1000 * statistics.fmean(late)


@contextmanager
def _computing(num: int) -> Iterator[None]:
    """Programs that keep a core busy each."""
    command = (sys.executable, "-S", "-c", "while True: pass")
    programs = [subprocess.Popen(command) for _ in range(num)]  # noqa: S603  # this interpreter
    try:
        time.sleep(_SETTLING_SECONDS)
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
