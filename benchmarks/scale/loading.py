"""Loads a real server, open loop and closed, as the simulation is loaded."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from twopass._core import available_cpus
from twopass.benchmarks.load import ClosedLoop, Load, OpenLoop, Window, record
from twopass.benchmarks.scale.measuring import COLLECTION, core_seconds, machine_core_seconds
from twopass.benchmarks.summary import Summary, summarize
from twopass.benchmarks.workload import SearchWorkload
from twopass.client import AsyncClient

WARM_UP_SECONDS = 2.0
_TIMEOUT_SECONDS = 60.0
_NO_RETRIES = (("grpc.enable_retries", 0),)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a server did under one load.

    Attributes:
        summary: Its figures.
        others: Part of the machine's processor time that neither server nor caller used.
    """

    summary: Summary
    others: float


def load_server(
    target: str, pid: int, load: Load, queries: Sequence[str], depth: int, seconds: float
) -> Loaded:
    """Puts a load on a server, and looks at the time after the warm-up."""
    return asyncio.run(_load(target, pid, load, queries, depth, seconds))


async def _load(
    target: str, pid: int, load: Load, queries: Sequence[str], depth: int, seconds: float
) -> Loaded:
    async with AsyncClient(target, timeout=_TIMEOUT_SECONDS, options=_NO_RETRIES) as client:
        workload = SearchWorkload(COLLECTION, queries, num_candidates=depth)
        requests = map(workload.request, itertools.count())
        began = time.perf_counter()
        before = _used(pid)
        window = Window(began + WARM_UP_SECONDS, began + WARM_UP_SECONDS + seconds)
        samples = await record(load, client, requests, window)
        passed = time.perf_counter() - began
        others = (_used(pid) - before) / (available_cpus() * passed)
        return Loaded(summarize(load.level, samples, window), max(0.0, others))


def _used(pid: int) -> float:
    """Processor time of everything but the server and this process."""
    return machine_core_seconds() - core_seconds(pid) - time.process_time()


__all__ = ["ClosedLoop", "Loaded", "OpenLoop", "load_server"]
