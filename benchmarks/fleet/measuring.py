"""Loads a server in front of engines, whole and while one of them is killed."""

import asyncio
import itertools
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twopass.benchmarks.fleet.process import (
    ServerProcess,
    engine_command,
    front_command,
    running,
    slowed_command,
)
from twopass.benchmarks.load import OK, ClosedLoop, Load, OpenLoop, Sample, Window, record
from twopass.benchmarks.workload import RerankWorkload, Texts
from twopass.client import AsyncClient, Client
from twopass.engines.base.engine import EngineChoice
from twopass.engines.loading import load_model

_SEED = 7
# Requests under way for each engine: enough that none waits for the next one.
_REQUESTS_PER_ENGINE = 3
_NUM_CANDIDATES, _PASSAGE_TOKENS = 24, 100
_WARM_UP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Throughput:
    """What came of a load on a number of engines.

    Attributes:
        num_engines: How many there were.
        level: Requests under way, or requests a second that were sent.
        requests_per_second: Answered.
        pairs_per_second: Pairs of them.
        milliseconds: Latency at p50 and p99.
        failures: Failed calls by status.
        front_cores: Processor time of the server in front, a second.
    """

    num_engines: int
    level: float
    requests_per_second: float
    pairs_per_second: float
    milliseconds: tuple[float, float]
    failures: dict[str, int]
    front_cores: float


@dataclass(frozen=True, slots=True)
class Loss:
    """What killing one engine cost.

    Attributes:
        num_engines: How many there were before.
        num_calls: Calls sent while it was measured.
        failures: Failed calls by status.
        before: Latency at p50 and p99 before the kill, milliseconds.
        slowed: Latency at p50 and p99 of what was under way at the kill, or sent within a second.
        slowest: The longest call that was under way when the engine was killed, milliseconds.
        after: Latency at p50 and p99 from a second after the kill, milliseconds.
    """

    num_engines: int
    num_calls: int
    failures: dict[str, int]
    before: tuple[float, float]
    slowed: tuple[float, float]
    slowest: float
    after: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bits:
    """Logits of engines apart against those of an engine in this process.

    Attributes:
        num_logits: How many were compared.
        num_different: How many differ in any bit.
    """

    num_logits: int
    num_different: int


def throughput(
    num_engines: int, tokens_per_second: float, seconds: float, load: Load | None = None
) -> Throughput:
    """Loads a server in front of slowed engines.

    Args:
        num_engines: How many.
        tokens_per_second: The speed of each.
        seconds: How long it is recorded, after a warm-up.
        load: When requests are sent; None for a closed loop that keeps all engines busy.
    """
    load = load or ClosedLoop(_REQUESTS_PER_ENGINE * num_engines)
    with ExitStack() as stack:
        front, _ = _started(stack, num_engines, tokens_per_second)
        samples, cores = asyncio.run(_recorded(front, load, seconds))
    answered = [sample for sample in samples if sample.status == OK]
    pairs = sum(sample.answer.num_pairs for sample in answered if sample.answer is not None)
    return Throughput(
        num_engines=num_engines,
        level=load.level,
        requests_per_second=len(answered) / seconds,
        pairs_per_second=pairs / seconds,
        milliseconds=_percentiles(answered),
        failures=_failures(samples),
        front_cores=cores,
    )


def loss(num_engines: int, tokens_per_second: float, seconds: float, rate: float) -> Loss:
    """Kills one of several engines under an open loop.

    Args:
        num_engines: How many there are before.
        tokens_per_second: The speed of each.
        seconds: How long it is recorded before the kill, and again as long after it.
        rate: Requests a second.
    """
    with ExitStack() as stack:
        front, engines = _started(stack, num_engines, tokens_per_second)
        killed: list[float] = []

        def kill() -> None:
            killed.append(time.perf_counter())
            engines[0].kill()

        load = OpenLoop(rate, _SEED)
        samples, _ = asyncio.run(_recorded(front, load, 2 * seconds, kill_after=seconds, kill=kill))
    moment = killed[0]
    before = [s for s in samples if s.ended < moment]
    during = [s for s in samples if s.intended < moment + 1 and s.ended >= moment]
    after = [s for s in samples if s.intended >= moment + 1]
    return Loss(
        num_engines=num_engines,
        num_calls=len(samples),
        failures=_failures(samples),
        before=_percentiles(before),
        slowed=_percentiles(during),
        slowest=1e3 * max((s.latency for s in during), default=0.0),
        after=_percentiles(after),
    )


def bits(num_engines: int, num_sets: int) -> Bits:
    """Compares logits of real engines apart with those of the engine cpu in this process."""
    texts = Texts(_SEED)
    reranker = load_model("twopass-minilm-l3", num_threads=1, engine=EngineChoice.CPU)
    num_logits = num_different = 0
    with ExitStack() as stack:
        engines = [stack.enter_context(running(*engine_command(1))) for _ in range(num_engines)]
        data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        front = stack.enter_context(running(*front_command([e.address for e in engines], data)))
        client = stack.enter_context(Client(front.address))
        for number in range(num_sets):
            words = (8, 40, 120, 300)[number % 4]
            asked = texts.candidates(number, _NUM_CANDIDATES, words)
            result = client.rerank(asked.query, asked.passages, top_n=0)
            apart = {hit.index: np.float32(hit.logit) for hit in result.hits}
            for index, passage in enumerate(asked.passages):
                alone = _logit(reranker, asked.query, passage)
                num_logits += 1
                num_different += alone.tobytes() != apart[index].tobytes()
    reranker.engine.close()
    return Bits(num_logits, num_different)


def _logit(reranker: object, query: str, passage: str) -> np.float32:
    from twopass.engines.base.model import LoadedReranker
    from twopass.server.search.second_pass import max_pair_tokens

    assert isinstance(reranker, LoadedReranker)
    read = reranker.read_query(query)
    ids = reranker.tokenizer.encode([passage], reranker.spec.max_seq_len)
    most = max_pair_tokens(reranker, read)
    batch, _ = read.template.assemble(read.token_ids, ids, most)
    return np.float32(reranker.engine.submit(batch).result()[0])


def _started(
    stack: ExitStack, num_engines: int, tokens_per_second: float
) -> tuple[ServerProcess, Sequence[ServerProcess]]:
    command = slowed_command(tokens_per_second)
    engines = [stack.enter_context(running(*command)) for _ in range(num_engines)]
    data = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "data"
    front = stack.enter_context(running(*front_command([e.address for e in engines], data)))
    return front, engines


async def _recorded(
    front: ServerProcess,
    load: Load,
    seconds: float,
    *,
    kill_after: float = 0.0,
    kill: Callable[[], None] = lambda: None,
) -> tuple[list[Sample], float]:
    """Loads a server; the samples that began and ended in the window, and its cores in it."""
    workload = RerankWorkload(
        Texts(_SEED), num_candidates=_NUM_CANDIDATES, passage_tokens=_PASSAGE_TOKENS
    )
    requests = map(workload.request, itertools.count())
    start = time.perf_counter() + _WARM_UP_SECONDS
    window = Window(start, start + seconds)
    async with AsyncClient(front.address, timeout=60) as client:
        recording = asyncio.create_task(record(load, client, requests, window))
        await asyncio.sleep(start - time.perf_counter())
        before = front.processor_seconds
        if kill_after:
            await asyncio.sleep(start + kill_after - time.perf_counter())
            kill()
        await asyncio.sleep(window.end - time.perf_counter())
        cores = (front.processor_seconds - before) / seconds
        samples = await recording
    counted = [s for s in samples if window.start <= s.ended and s.intended < window.end]
    if not kill_after:
        counted = [s for s in counted if s.ended < window.end]
    return counted, cores


def _failures(samples: Sequence[Sample]) -> dict[str, int]:
    return dict(Counter(sample.status for sample in samples if sample.status != OK))


def _percentiles(samples: Sequence[Sample]) -> tuple[float, float]:
    """Latency at p50 and p99, milliseconds; 0 without samples."""
    if not samples:
        return 0.0, 0.0
    latencies = np.array([1e3 * sample.latency for sample in samples])
    p50, p99 = np.percentile(latencies, [50, 99])
    return float(p50), float(p99)
