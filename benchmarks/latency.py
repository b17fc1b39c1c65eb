"""Measures a running server: latency and throughput under rising load. `twopass bench` runs it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from twopass.benchmarks.load import ClosedLoop, Load, OpenLoop, Window, record
from twopass.benchmarks.machine import Machine, this_machine
from twopass.benchmarks.summary import Summary, summarize
from twopass.benchmarks.workload import Shape, Workload
from twopass.client import AsyncClient, Model

# Rates of open loops that nobody has named, as parts of the highest throughput of a closed loop:
# from hardly any queue to one that grows long.
PARTS_OF_THROUGHPUT = (0.25, 0.5, 0.75, 0.9)
_PROGRESS_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Which loads are put on a server, one after another, each for the same time.

    Attributes:
        concurrencies: Requests under way, for each closed loop.
        rates: Mean requests a second, for each open loop; None for `PARTS_OF_THROUGHPUT` of what
            the closed loops find.
        seconds: How long each load is recorded.
        warm_up_seconds: How long each load runs before that.
        seed: Fixes the arrivals of the open loops.
    """

    concurrencies: tuple[int, ...]
    rates: tuple[float, ...] | None
    seconds: float
    warm_up_seconds: float
    seed: int

    @property
    def total_seconds(self) -> float:
        """How long all of it takes, but for the last answers of each load."""
        rates = PARTS_OF_THROUGHPUT if self.rates is None else self.rates
        return (len(self.concurrencies) + len(rates)) * self.load_seconds

    @property
    def load_seconds(self) -> float:
        """How long one load takes, but for its last answers."""
        return self.warm_up_seconds + self.seconds


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, and on what.

    Attributes:
        target: The server.
        machine: The one that sent the requests.
        models: What the server holds.
        shape: The kind and size of a request.
        sweep: The loads.
        closed_loop: Figures at each concurrency.
        open_loop: Figures at each rate.
    """

    target: str
    machine: Machine
    models: tuple[Model, ...]
    shape: Shape
    sweep: Sweep
    closed_loop: tuple[Summary, ...]
    open_loop: tuple[Summary, ...]


OnProgress = Callable[[str, float], None]
"""Takes the load under way, in words, and the seconds of the sweep that are done."""


async def measure(
    target: str, client: AsyncClient, workload: Workload, sweep: Sweep, on_progress: OnProgress
) -> Report:
    """Runs a sweep.

    Args:
        target: Where the server is, for the report.
        client: Connected to it, without retries: they would hide failures in latencies.
        workload: What is asked; no request of it is sent twice.
        sweep: The loads.
        on_progress: Called several times a second.

    Raises:
        TwopassError: The server does not answer even one request, sent before all others. Once it
            has, a request that fails is a figure, no error.
    """
    models = await client.models()
    numbers = itertools.count()
    await workload.request(next(numbers))(client)
    requests = map(workload.request, numbers)
    num_done = 0

    async def figures(load: Load, words: str) -> Summary:
        nonlocal num_done
        start = time.perf_counter() + sweep.warm_up_seconds
        window = Window(start, start + sweep.seconds)
        async with _reporting(on_progress, words, num_done * sweep.load_seconds, window.end):
            samples = await record(load, client, requests, window)
        num_done += 1
        return summarize(load.level, samples, window)

    closed = [await figures(ClosedLoop(c), f"{c} under way") for c in sweep.concurrencies]
    rates = _rates_for(closed) if sweep.rates is None else sweep.rates
    opened = [await figures(OpenLoop(r, sweep.seed), f"{r:.3g} requests/s") for r in rates]
    return Report(
        target, this_machine(), models, workload.shape, sweep, tuple(closed), tuple(opened)
    )


def _rates_for(closed: Sequence[Summary]) -> tuple[float, ...]:
    """Rates below the highest throughput; none where nothing was answered."""
    highest = max((s.requests_per_second for s in closed), default=0.0)
    return tuple(part * highest for part in PARTS_OF_THROUGHPUT) if highest else ()


@asynccontextmanager
async def _reporting(
    on_progress: OnProgress, words: str, before: float, end: float
) -> AsyncIterator[None]:
    """Reports progress while the block runs; `before` seconds were done when it began."""
    began = time.perf_counter()

    async def report() -> None:
        while True:
            on_progress(words, before + min(time.perf_counter(), end) - began)
            await asyncio.sleep(_PROGRESS_SECONDS)

    reporting = asyncio.create_task(report())
    try:
        yield
    finally:
        reporting.cancel()
