"""Loads a real server, open loop and closed, as the simulation is loaded."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

from twopass._core import available_cpus
from twopass.benchmarks.load import OK, ClosedLoop, Load, OpenLoop, Sample, Window, record
from twopass.benchmarks.scale.alone import COLLECTION, core_seconds
from twopass.benchmarks.scale.measuring import machine_core_seconds, stolen_seconds
from twopass.benchmarks.scale.node import STAGES
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
        stages_ms: How long searches were in each stage of `node.STAGES`, in the mean; what waited
            to be embedded counts to the second pass.
        core_ms: Processor time of a search, the caller's included.
        others: Part of the machine's processor time that neither server nor caller used.
        stolen: Part of it that the machine itself did not get, as a guest of another.
    """

    summary: Summary
    stages_ms: dict[str, float]
    core_ms: float
    others: float
    stolen: float


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
        before, stolen = _used(pid), stolen_seconds()
        machine = machine_core_seconds()
        window = Window(began + WARM_UP_SECONDS, began + WARM_UP_SECONDS + seconds)
        samples = await record(load, client, requests, window)
        others = max(0.0, _used(pid) - before)
        own = machine_core_seconds() - machine - others
        there = available_cpus() * (time.perf_counter() - began)
        return Loaded(
            summarize(load.level, samples, window),
            _stages_ms([s for s in samples if s.status == OK and s.intended >= window.start]),
            1000 * own / max(1, len(samples)),
            others / there,
            (stolen_seconds() - stolen) / there,
        )


def _stages_ms(samples: Sequence[Sample]) -> dict[str, float]:
    """Means by stage."""
    stages = dict.fromkeys(STAGES, 0.0)
    for sample in samples:
        assert sample.answer is not None
        t = sample.answer.timings
        parts = (t.tokenize_ms, t.embed_ms, t.retrieve_ms, t.load_ms)
        known = [part or 0.0 for part in parts]
        known.append((t.queue_ms or 0.0) + (t.rerank_ms or 0.0))
        known.append(sample.latency * 1000 - sum(known))
        for stage, milliseconds in zip(STAGES, known, strict=True):
            stages[stage] += milliseconds / len(samples)
    return stages


def _used(pid: int) -> float:
    """Processor time of everything but the server and this process."""
    return machine_core_seconds() - core_seconds(pid) - time.process_time()


__all__ = ["ClosedLoop", "Loaded", "OpenLoop", "load_server"]
