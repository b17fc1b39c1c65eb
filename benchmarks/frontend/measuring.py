"""One figure: a server under a load, its pairs a second and what a pair costs it."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twopass.benchmarks.frontend.holding import watched
from twopass.benchmarks.frontend.processes import (
    Load,
    Server,
    answers_of,
    begin,
    callers_ready,
)

_WARM_UP_SECONDS = 1.0
# The load goes on for so long: who looks at the process begins a moment late.
_AFTER_SECONDS = 1.0
_ALONE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        case: What was asked.
        num_cores: Processors of the server.
        pairs_per_second: In answers.
        core_us: Processor time of a pair by what spent it, microseconds.
        gil_us: Time in which some thread held the interpreter, microseconds a pair; None where
            nobody looked.
        functions: What held it, by its share of the time.
        alone_ms: Median time of a request that nobody else's is beside, as its caller sees it.
    """

    case: str
    num_cores: int
    pairs_per_second: float
    core_us: Mapping[str, float]
    gil_us: float | None
    functions: Mapping[str, float]
    alone_ms: float

    @property
    def total_us(self) -> float:
        """Processor time of a pair in all, microseconds."""
        return sum(self.core_us.values())

    def most_pairs(self, num_cores: int) -> float:
        """Pairs a second that so many processors bear, the interpreter being one."""
        by_cores = num_cores * 1e6 / self.total_us
        return by_cores if self.gil_us is None else min(by_cores, 1e6 / self.gil_us)


def measured(server: Server, load: Load, num_cores: int) -> Figures:
    """Loads a server, and takes the figures once it is warm.

    Args:
        server: The server.
        load: The load; its seconds are those that count.
        num_cores: Processors of the server.
    """
    seconds = load.seconds
    whole = Load(
        load.case,
        load.num_callers,
        load.concurrency,
        load.cpus,
        _WARM_UP_SECONDS + seconds + _AFTER_SECONDS,
    )
    alone_ms = _alone_ms(server, load)
    with callers_ready(server, whole) as callers:
        begin(callers)
        time.sleep(_WARM_UP_SECONDS)
        with watched(server.pid, seconds) as holding:
            before, began = server.thread_seconds(), time.monotonic()
            time.sleep(seconds)
            after, ended = server.thread_seconds(), time.monotonic()
        answered = answers_of(callers)
    num_answers = sum(began <= moment < ended for _, moment in answered)
    num_pairs = max(1, num_answers * load.case.num_pairs)
    spent = _by_purpose(lambda name: after[name] - before.get(name, 0.0), after)
    per_pair = 1e6 / num_pairs
    elapsed = ended - began
    return Figures(
        case=load.case.name,
        num_cores=num_cores,
        pairs_per_second=num_pairs / elapsed,
        core_us={name: value * per_pair for name, value in spent.items()},
        gil_us=None if holding.share is None else holding.share * elapsed * per_pair,
        functions=holding.functions,
        alone_ms=alone_ms,
    )


def _alone_ms(server: Server, load: Load) -> float:
    """Median time of a request that nobody else's is beside."""
    alone = Load(load.case, 1, 1, load.cpus, _ALONE_SECONDS)
    with callers_ready(server, alone) as callers:
        begin(callers)
        took = sorted(answered - sent for sent, answered in answers_of(callers))
    return statistics.median(took) * 1000


# What the threads of a server are for, by what their names begin with.
_PURPOSES = {
    "MainThread": "event loop",
    "tokenizing": "tokenising",
    "engine": "engine",
    "native": "gRPC",
    "Thread-": "gRPC",  # the one that waits for gRPC's events has no name of its own
    "questions": "",
}


def _by_purpose(spent: Callable[[str], float], names: Mapping[str, float]) -> dict[str, float]:
    found = dict.fromkeys(("event loop", "tokenising", "engine", "gRPC", "other lanes"), 0.0)
    for name in names:
        purpose = next(
            (what for start, what in _PURPOSES.items() if name.startswith(start)), "other lanes"
        )
        if purpose:
            found[purpose] += max(0.0, spent(name))
    return found
