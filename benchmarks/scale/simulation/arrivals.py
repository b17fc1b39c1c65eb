"""When searches come: a Poisson process, or a trace."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from twopass.benchmarks.load import poisson_arrivals

__all__ = ["TraceError", "bursts", "poisson_arrivals", "read_trace", "scaled"]


class TraceError(ValueError):
    """A trace can't be read; the message names the file, the line and what is expected."""


def read_trace(file: Path) -> list[float]:
    """Arrival times in seconds: a number a line, or JSON objects with the field `time`.

    Times are ascending; the first becomes 0.

    Raises:
        TraceError: A line is neither, times descend, or there are none.
    """
    times: list[float] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            read = json.loads(line)
            time = float(read["time"] if isinstance(read, dict) else read)
        except (ValueError, KeyError, TypeError) as error:
            raise TraceError(
                f'{file}:{number}: {line[:60]!r}; seconds, or {{"time": seconds}}, are expected'
            ) from error
        if times and time < times[-1]:
            raise TraceError(f"{file}:{number}: {time:g} comes after {times[-1]:g}; sort the trace")
        times.append(time)
    if not times:
        raise TraceError(f"{file}: no arrivals; one time in seconds is expected on each line")
    return [time - times[0] for time in times]


def scaled(trace: Sequence[float], rate: float) -> list[float]:
    """The same trace with another mean rate, its bursts kept."""
    span = trace[-1] - trace[0]
    if span <= 0:
        raise TraceError("the trace's arrivals are all of one instant; no rate can be given to it")
    factor = (len(trace) - 1) / span / rate
    return [(time - trace[0]) * factor for time in trace]


def bursts(
    rate: float, seconds: float, seed: int, *, times_as_many: float, period: float
) -> Iterator[float]:
    """A Poisson process whose rate alternates, half a period each, around the mean `rate`.

    Args:
        rate: Mean arrivals a second.
        seconds: Length of the schedule.
        seed: The same seed gives the same schedule.
        times_as_many: Arrivals of a busy half by those of a quiet one, 1 or more.
        period: Seconds from one busy half to the next.
    """
    generator = random.Random(seed)  # noqa: S311  # no secret
    quiet = 2 * rate / (1 + times_as_many)
    busy = quiet * times_as_many
    time = generator.expovariate(busy)
    while time < seconds:
        is_busy = time % period < period / 2
        if is_busy or generator.random() < quiet / busy:  # thinned to the quiet rate
            yield time
        time += generator.expovariate(busy)
