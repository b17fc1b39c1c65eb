"""Measures on this machine what a search costs while nothing waits, in a minute and a half.

A real server with its default models holds the documentation of the running Python. Searches go to
it one at a time; the reranker's speed is measured in this process, on the pairs that these searches
have, with two batches at once, by as many threads and by one. Then searches come after pauses of
several lengths, in a random order.
"""

import asyncio
import os
import random
import statistics
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twopass._core import available_cpus, gather_packed, plan_packed
from twopass.benchmarks.in_process import pairs_of
from twopass.benchmarks.queries import queries_of_collection
from twopass.benchmarks.scale.alone import (
    COLLECTION,
    Alone,
    Answered,
    ask_alone,
    asked,
    core_seconds,
)
from twopass.benchmarks.scale.node_constants import NodeConstants
from twopass.benchmarks.scale.passes import told_apart
from twopass.benchmarks.scale.resting import NO_REST, Paused, rested
from twopass.benchmarks.scale.waking import measure_waking
from twopass.benchmarks.workload import CandidateTexts
from twopass.client import AsyncClient, Client
from twopass.commands.stdlib_docs import passages
from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.loading import load_model
from twopass.server.config_loading import load_config

# Without the cache, in which a query that comes again would be found.
SERVER_FLAGS = ("--query-cache-bytes", "0", "--score-cache-bytes", "0")
_CHUNK = 64
_WARM_UP_PAIRS = 20
# Before searches that are to find the machine idle: each before this part of the queries.
PAUSES_SECONDS = (0.01, 0.03, 0.06, 0.12, 0.25)
_PAUSED_PART = 0.25
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
    at_once = [(0.0, query) for query in queries]
    first = ask_alone(target, pid, at_once, depth, rerank=False)
    pairs = pairs_of_queries(client, queries, depth)
    lengths = [each.lengths.tolist() for each in pairs]
    num_cores = available_cpus()
    busy_us, alone_us = (_core_us_per_token(pairs, threads) for threads in (num_cores, 1))
    both = ask_alone(target, pid, at_once, depth, rerank=True)
    engine_core_ms = statistics.fmean(map(sum, lengths)) * busy_us / 1000
    passes = told_apart(first, both, engine_core_ms)
    waking = measure_waking(num_cores)
    constants = NodeConstants(
        num_cores=num_cores,
        tokenize_ms=both.stage("tokenize_ms"),
        embed_ms=both.stage("embed_ms"),
        retrieve_ms=both.stage("retrieve_ms"),
        load_ms=both.stage("load_ms"),
        rest_ms=max(0.0, both.rest_ms),
        wire_ms=both.wire_ms,
        front_core_ms=passes.front,
        loop_core_ms=passes.front_loop,
        client_core_ms=both.client_core_ms,
        core_us_per_token=busy_us,
        alone_us_per_token=alone_us,
        second_core_ms=passes.second,
        second_loop_core_ms=passes.second_loop,
        loop_turns=both.loop_turns,
        turn_ms=waking.turn_ms,
        packing=waking.packing,
        rests=(NO_REST,),
        rerank_lengths=lengths,
    )
    paused = queries[: round(_PAUSED_PART * len(queries))]
    after = ask_alone(target, pid, _with_pauses(paused), depth, rerank=True)
    return rested(constants, [_paused(0.0, both.searches), *_by_pause(after)])


def _with_pauses(queries: Sequence[str]) -> list[tuple[float, str]]:
    """Each query after each pause, in an order in which no pause tells the next.

    Processors and systems that learn how long a machine will be idle fall into a deeper sleep
    before pauses that are all alike than before searches that come at random.
    """
    searches = [(pause, query) for pause in PAUSES_SECONDS for query in queries]
    random.Random(0).shuffle(searches)  # noqa: S311  # no secret
    return searches


def _by_pause(after: Alone) -> list[Paused]:
    return [
        _paused(pause, [search for search in after.searches if search.pause == pause])
        for pause in PAUSES_SECONDS
    ]


def _paused(pause: float, searches: Sequence[Answered]) -> Paused:
    """What a pause costs."""
    alone = Alone(searches)
    core_ms = alone.server_core_ms + alone.client_core_ms
    return Paused(pause, len(searches), alone.waited_ms - alone.second_ms, alone.second_ms, core_ms)


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
    hits = client.search(COLLECTION, query, **asked(depth, depth, rerank=False)).hits
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
    tried = list(_batches(pairs[:_WARM_UP_PAIRS], info.min_batch_tokens))
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
