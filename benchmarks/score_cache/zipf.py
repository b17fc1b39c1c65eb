"""Searches a second by how much the cache of scores holds: few queries are asked often."""

import random
import statistics
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from twopass.benchmarks.words import COMMON_WORDS
from twopass.client import Client, Document, Retrieve
from twopass.server.local import LocalServer

COLLECTION = "zipf"
K = 50
_PASSAGE_WORDS = 80
_QUERY_WORDS = 8
_CALLERS = 4
_ENTRY_BYTES = 21


@dataclass(frozen=True, slots=True)
class Asked:
    """The queries of a run.

    Attributes:
        queries: All of them.
        order: Which is asked when; the first are asked most.
    """

    queries: Sequence[str]
    order: Sequence[int]

    @classmethod
    def zipf(cls, num_queries: int, num_searches: int, exponent: float) -> "Asked":
        """Queries whose frequency falls with their rank to the power of an exponent."""
        chance = random.Random(1)  # noqa: S311  # the same queries every time
        queries = [
            " ".join(chance.choices(COMMON_WORDS, k=_QUERY_WORDS)) for _ in range(num_queries)
        ]
        weights = [1 / rank**exponent for rank in range(1, num_queries + 1)]
        return cls(queries, chance.choices(range(num_queries), weights, k=num_searches))

    @property
    def most_hits(self) -> float:
        """The share of searches that were asked before."""
        return 1 - len(set(self.order)) / len(self.order)


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Attributes:
        cache_bytes: Memory of the cache.
        hit_rate: Pairs that were known, of all.
        searches: Searches a second, by four callers who wait for each answer.
        p50: Median latency, ms.
        p99: As much as 99 of 100 took at most, ms.
        core_ms: Processor time of the server for each search, ms.
        twice: Pairs computed though another call was computing them already, of all.
    """

    cache_bytes: int
    hit_rate: float
    searches: float
    p50: float
    p99: float
    core_ms: float
    twice: float


def fill(folder: Path, num_documents: int) -> None:
    """Makes the collection that all runs search."""
    chance = random.Random(0)  # noqa: S311
    with LocalServer(folder) as server, Client(server.target, timeout=600) as client:
        client.create_collection(COLLECTION)
        client.upsert(
            COLLECTION,
            (
                Document(str(i), " ".join(chance.choices(COMMON_WORDS, k=_PASSAGE_WORDS)))
                for i in range(num_documents)
            ),
        )


def sizes(asked: Asked) -> list[int]:
    """Memory to measure with: none, parts of what all pairs need, and more than that."""
    whole = len(set(asked.order)) * K * _ENTRY_BYTES
    return [0, whole // 50, whole // 10, whole // 3, 64 * 1024 * 1024]


def measure(folder: Path, cache_bytes: int, asked: Asked) -> Measured:
    """Asks all queries of a server with so much memory."""
    flags = ("--score-cache-bytes", str(cache_bytes), "--http-address", "127.0.0.1:0")
    with LocalServer(folder, flags=flags) as server, Client(server.target, timeout=60) as client:
        for number in range(4):  # what is slow once
            client.search(COLLECTION, f"warm {number}", retrieve=Retrieve(k=K))
        known = pairs = 0

        def ask(number: int) -> tuple[float, int, int]:
            began = time.perf_counter()
            found = client.search(COLLECTION, asked.queries[number], retrieve=Retrieve(k=K))
            return time.perf_counter() - began, found.num_cached, found.num_reranked

        cores, began = _cpu_seconds(server.pid), time.perf_counter()
        with ThreadPoolExecutor(_CALLERS) as callers:
            answers = list(callers.map(ask, asked.order))
        seconds = time.perf_counter() - began
        cores = _cpu_seconds(server.pid) - cores
        twice = _metric(server.http_url, 'twopass_cache_computed_twice_total{cache="scores"}')
    took = sorted(1_000 * each[0] for each in answers)
    known, pairs = sum(each[1] for each in answers), sum(each[2] for each in answers)
    return Measured(
        cache_bytes,
        known / pairs,
        len(took) / seconds,
        statistics.median(took),
        took[min(len(took) - 1, round(0.99 * len(took)))],
        1_000 * cores / len(took),
        twice / pairs,
    )


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _metric(url: str, name: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics") as answer:  # noqa: S310  # a server of our own
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)
