"""Measures on this machine what a search costs while nothing waits, in a minute and a half.

A real server with its default models holds the documentation of the running Python. Searches go to
it one at a time; the reranker's speed is measured in this process, on the pairs that these searches
have, with two batches at once, by as many threads and by one. Then searches come after pauses of
several lengths.
"""

import asyncio
import os
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from twopass._core import available_cpus, gather_packed, plan_packed
from twopass.benchmarks.in_process import pairs_of
from twopass.benchmarks.queries import queries_of_collection
from twopass.benchmarks.scale.node_constants import NodeConstants
from twopass.benchmarks.scale.resting import NO_REST, Paused, rested
from twopass.benchmarks.scale.waking import measure_waking
from twopass.benchmarks.workload import CandidateTexts
from twopass.client import AsyncClient, Client, Fields, Retrieve, SearchResult
from twopass.commands.stdlib_docs import passages
from twopass.engines.base import Float32s, LoadedReranker, TokenBatch
from twopass.engines.loading import load_model
from twopass.server.config_loading import load_config

COLLECTION = "python-docs"
TOP_N = 10
# Without the cache, in which a query that comes again would be found.
SERVER_FLAGS = ("--query-cache-bytes", "0", "--score-cache-bytes", "0")
_CHUNK = 64
_WARM_UP = 20
_TIMEOUT_SECONDS = 60.0
# Before searches that are to find the machine idle; the first for those they are compared with.
PAUSES_SECONDS = (0.0, 0.01, 0.03, 0.06, 0.12, 0.25)
_PAUSED_QUERIES = 50
_BATCH_SECONDS = 0.020
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Ingest:
    """What it cost to write the documents.

    Attributes:
        num_documents: How many.
        core_ms: Processor time of the server a document, embedding included.
        disk_bytes: Of all files, a document.
    """

    num_documents: int
    core_ms: float
    disk_bytes: float


def core_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def machine_core_seconds() -> float:
    """Processor time that all processes of the machine have used, the kernel's included."""
    user, nice, system, _idle, _waiting, irq, softirq, *_ = _machine_ticks()
    return (user + nice + system + irq + softirq) / _TICKS


def stolen_seconds() -> float:
    """Processor time that other guests of the same host have had instead of this machine."""
    return _machine_ticks()[7] / _TICKS


def _machine_ticks() -> list[int]:
    (line, *_) = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    return list(map(int, line.split()[1:]))


def fill(client: Client, pid: int, data: Path) -> Ingest:
    """Writes the documents, embedded by the server."""
    documents = passages()
    began = core_seconds(pid)
    client.create_collection(COLLECTION)
    for start in range(0, len(documents), _CHUNK):
        client.upsert(COLLECTION, documents[start : start + _CHUNK])
    used = core_seconds(pid) - began
    size = sum(file.stat().st_size for file in data.rglob("*") if file.is_file())
    return Ingest(len(documents), 1000 * used / len(documents), size / len(documents))


def queries_of(target: str, count: int) -> list[str]:
    """So many queries: the first words of documents."""

    async def listed() -> list[str]:
        async with AsyncClient(target) as client:
            return await queries_of_collection(client, COLLECTION)

    return asyncio.run(listed())[:count]


def measure(
    client: Client, target: str, pid: int, queries: Sequence[str], depth: int
) -> NodeConstants:
    """Measures every constant of one node; the server does nothing else meanwhile."""
    first = _alone(target, pid, queries, depth, rerank=False)
    pairs = pairs_of_queries(client, queries, depth)
    lengths = [each.lengths.tolist() for each in pairs]
    num_cores = available_cpus()
    busy_us, alone_us = (_core_us_per_token(pairs, threads) for threads in (num_cores, 1))
    both = _alone(target, pid, queries, depth, rerank=True)
    engine_core_ms = statistics.fmean(map(sum, lengths)) * busy_us / 1000
    waking = measure_waking(num_cores)
    constants = NodeConstants(
        num_cores=num_cores,
        tokenize_ms=first.mean("tokenize_ms"),
        embed_ms=first.mean("embed_ms"),
        retrieve_ms=first.mean("retrieve_ms"),
        load_ms=both.mean("load_ms"),
        rest_ms=max(0.0, first.rest_ms),
        wire_ms=first.wire_ms,
        front_core_ms=first.server_core_ms,
        client_core_ms=first.client_core_ms,
        core_us_per_token=busy_us,
        alone_us_per_token=alone_us,
        second_core_ms=max(0.0, both.server_core_ms - first.server_core_ms - engine_core_ms),
        turn_ms=waking.turn_ms,
        packing=waking.packing,
        rests=(NO_REST,),
        rerank_lengths=lengths,
    )
    asked = queries[:_PAUSED_QUERIES]
    paused = [
        _alone(target, pid, asked, depth, rerank=True, pause=pause) for pause in PAUSES_SECONDS
    ]
    return rested(constants, [p.paused for p in paused])


@dataclass(frozen=True, slots=True)
class _Alone:
    """Searches one at a time, with a pause before each."""

    pause: float
    results: list[SearchResult]
    seconds: list[float]
    server_core_ms: float
    client_core_ms: float

    def mean(self, stage: str) -> float:
        """Milliseconds of a stage; of searches that did not meet it none."""
        return statistics.fmean(getattr(r.timings, stage) or 0.0 for r in self.results)

    @property
    def core_ms(self) -> float:
        """Processor time of a search, the caller's included."""
        return self.server_core_ms + self.client_core_ms

    @property
    def paused(self) -> Paused:
        """What its pause costs."""
        second = self.mean("queue_ms") + self.mean("rerank_ms")
        front = 1000 * statistics.fmean(self.seconds) - second
        return Paused(self.pause, len(self.seconds), front, second, self.core_ms)

    @property
    def rest_ms(self) -> float:
        """What is left of the server's own time."""
        stages = ("tokenize_ms", "queue_ms", "embed_ms", "retrieve_ms", "load_ms", "rerank_ms")
        return self.mean("total_ms") - sum(map(self.mean, stages))

    @property
    def wire_ms(self) -> float:
        """What is left of the caller's time."""
        return 1000 * statistics.fmean(self.seconds) - self.mean("total_ms")


def _alone(
    target: str,
    pid: int,
    queries: Sequence[str],
    depth: int,
    *,
    rerank: bool,
    pause: float = 0.0,
) -> _Alone:
    """Asks by the client that loads are made with, one search at a time."""
    return asyncio.run(_ask_all(target, pid, queries, depth, rerank=rerank, pause=pause))


async def _ask_all(
    target: str, pid: int, queries: Sequence[str], depth: int, *, rerank: bool, pause: float
) -> _Alone:
    async with AsyncClient(target, timeout=_TIMEOUT_SECONDS) as client:
        for query in queries[:_WARM_UP]:
            await client.search(COLLECTION, query, **_asked(depth, TOP_N, rerank=rerank))
        server, own = core_seconds(pid), time.process_time()
        results, seconds = [], []
        for query in queries:
            intended = time.perf_counter() + pause
            if pause:  # as an open loop waits: how late it wakes is in its latencies
                await asyncio.sleep(pause)
            asked = _asked(depth, TOP_N, rerank=rerank)
            results.append(await client.search(COLLECTION, query, **asked))
            seconds.append(time.perf_counter() - intended)
        used, mine = core_seconds(pid) - server, time.process_time() - own
    number = len(queries)
    return _Alone(pause, results, seconds, 1000 * used / number, 1000 * mine / number)


def _asked(depth: int, top_n: int, *, rerank: bool) -> dict[str, Any]:
    """What is asked of a search, as `SearchWorkload` asks it."""
    return {
        "top_n": top_n,
        "retrieve": Retrieve(k=depth),
        "rerank": rerank,
        "allow_fallback": False,
        "fields": Fields(text=True, metadata=False),
    }


def _loaded_reranker(num_threads: int = 0) -> LoadedReranker:
    """The server's default reranker, in this process."""
    config = load_config({})
    reranker = load_model(
        config.reranker,
        num_threads=num_threads or config.threads,
        engine=config.engine,
        precision=config.precision,
    )
    assert isinstance(reranker, LoadedReranker)
    return reranker


def pairs_of_queries(client: Client, queries: Sequence[str], depth: int) -> list[TokenBatch]:
    """The pairs that the second pass of each query reads."""
    reranker = _loaded_reranker()
    try:
        return [_pairs(client, reranker, query, depth) for query in queries]
    finally:
        reranker.engine.close()


def _pairs(client: Client, reranker: LoadedReranker, query: str, depth: int) -> TokenBatch:
    hits = client.search(COLLECTION, query, **_asked(depth, depth, rerank=False)).hits
    texts = [f"{hit.title} {hit.text}" if hit.title else hit.text for hit in hits]
    return pairs_of(reranker, CandidateTexts(query, texts))


def _core_us_per_token(pairs: Sequence[TokenBatch], num_threads: int) -> float:
    """Processor time of a token while so many threads are never without a batch."""
    reranker = _loaded_reranker(num_threads)
    try:
        batches = list(_batches(pairs, _tokens_in_time(reranker, pairs)))
        _compute(reranker, batches[: len(batches) // 10])
        began = time.process_time()
        _compute(reranker, batches)
        used = time.process_time() - began
        return 1e6 * used / sum(batch.num_tokens for batch in batches)
    finally:
        reranker.engine.close()


def _tokens_in_time(reranker: LoadedReranker, pairs: Sequence[TokenBatch]) -> int:
    """Tokens of a batch of the size that the arbiter chooses."""
    info = reranker.engine.info
    began = time.perf_counter()
    tried = list(_batches(pairs[:_WARM_UP], info.min_batch_tokens))
    _compute(reranker, tried)
    speed = sum(batch.num_tokens for batch in tried) / (time.perf_counter() - began)
    return min(max(int(speed * _BATCH_SECONDS), info.min_batch_tokens), info.max_batch_tokens)


def _batches(pairs: Sequence[TokenBatch], max_tokens: int) -> Iterator[TokenBatch]:
    for each in pairs:
        plan = plan_packed(each.lengths, max_tokens)
        for begin, end in zip(plan.batch_offsets[:-1], plan.batch_offsets[1:], strict=True):
            rows = np.array(plan.order[begin:end])
            gathered = gather_packed(each.token_ids, each.offsets, each.query_lengths, rows)
            yield TokenBatch(*gathered)


def _compute(reranker: LoadedReranker, batches: Sequence[TokenBatch]) -> None:
    """Computes batches with as many at once as the engine takes."""
    under_way: deque[Future[Float32s]] = deque()
    for batch in batches:
        if len(under_way) == reranker.engine.info.max_in_flight:
            under_way.popleft().result()
        under_way.append(reranker.engine.submit(batch))
    for future in under_way:
        future.result()
