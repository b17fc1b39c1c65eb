"""What a collection of one index kind costs: to build, to start, to hold, to search."""

import json
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import apsw
import numpy as np
from rich.console import Console
from rich.progress import track

from twopass.benchmarks.size.own_store import own_store
from twopass.client import Client, Fields, Retrieve
from twopass.engines.base.sequences import Float32s
from twopass.index.kinds import IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.vectors.merging import MergePolicy
from twopass.server.local import COMPUTES_ALL, LocalServer

K = 10
# An approximate index is shown where it finds this much with the least effort.
WANTED_RECALL = 0.95
COLLECTION = "vectors"
_CONCURRENCY = 8
# An exact search of millions on a busy machine may take long; none is given up.
_TIMEOUT = 600.0
_EF_SEARCH = (16, 32, 64, 128, 256, 512)
_NPROBE_SHARES = (64, 32, 16, 8, 4, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Queries:
    """What is searched for.

    Attributes:
        vectors: float32 `[num_queries, dimension]`.
        nearest: Ids of the `K` truly nearest documents of each vector.
        words: A question for each vector.
    """

    vectors: Float32s
    nearest: Sequence[set[str]]
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Searches:
    """Searches for the best ten, without a second pass.

    Attributes:
        setting: Such as "ef_search=64"; "exact" where nothing is left to chance; or "lexical", or
            "hybrid" and the setting of its dense half.
        recall: Share of the ten truly nearest that were found, mean over the queries; None where
            words decide, too.
        p50_ms: Median time from call to answer, one search at a time, in milliseconds.
        p99_ms: 99th percentile of that time, in milliseconds.
        per_second: Searches answered a second with eight under way at once.
    """

    setting: str
    recall: float | None
    p50_ms: float
    p99_ms: float
    per_second: float


@dataclass(frozen=True, slots=True)
class KindReport:
    """One index kind.

    Attributes:
        index_kind: Its faiss factory string.
        build_seconds: Time to build and save the index from documents on disk.
        start_seconds: Time from the process's start to SERVING, models included.
        load_seconds: The part of it that loads the index from its file.
        memory_bytes: Resident memory of the server, less that of one without documents.
        index_bytes: The index's file on disk.
        documents_bytes: The documents' file on disk.
        words_bytes: The files of their words on disk.
        searches: By setting.
        searches_for_words: Lexical, and hybrid with the chosen of the settings above.
    """

    index_kind: str
    build_seconds: float
    start_seconds: float
    load_seconds: float
    memory_bytes: int
    index_bytes: int
    documents_bytes: int
    words_bytes: int
    searches: tuple[Searches, ...]
    searches_for_words: tuple[Searches, ...]


def chosen(searches: Sequence[Searches]) -> Searches:
    """The setting with the least effort that finds enough; the best where none does."""
    enough = [s for s in searches if (s.recall or 0) >= WANTED_RECALL]
    if enough:
        return min(enough, key=lambda s: s.p50_ms)
    return max(searches, key=lambda s: s.recall or 0)


def copy_as(source: Path, folder: Path, index_kind: str) -> None:
    """Makes a data folder of another one, its collection of another index kind and unbuilt."""
    collection = folder / "collections" / COLLECTION
    # Words stay what they are; without the vectors' file, these are read from the documents.
    others = shutil.ignore_patterns("vectors.base*")
    shutil.copytree(source / "collections" / COLLECTION, collection, ignore=others)
    connection = apsw.Connection(str(collection / "documents.sqlite"))
    with connection:
        ((schema,),) = connection.execute("SELECT value FROM meta WHERE name = 'schema'")
        changed = replace(CollectionSchema.from_json(schema), index_kind=index_kind)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (changed.to_json(),))
    connection.close()


def build(folder: Path, num_threads: int) -> float:
    """Builds and saves the index of a folder's collection; returns how long that took."""
    began = time.perf_counter()
    never = MergePolicy(min_changes=2**62, num_threads=num_threads)
    with own_store(folder, merge_policy=never) as store:
        store.get(COLLECTION).merge().result()
    return time.perf_counter() - began


def measure(
    folder: Path,
    index_kind: str,
    build_seconds: float,
    queries: Queries,
    empty_bytes: int,
) -> KindReport:
    """Starts a server on a folder whose index is built, and searches it."""
    log = folder / "server.log"
    began = time.perf_counter()
    with (
        LocalServer(folder, flags=COMPUTES_ALL, log=log) as server,
        Client(server.target, timeout=_TIMEOUT) as client,
    ):
        start_seconds = time.perf_counter() - began
        settings = _settings(IndexKind.parse(index_kind))
        searches = tuple(_search(client, setting, queries) for setting in settings)
        best = settings[searches.index(chosen(searches))]
        for_words = tuple(
            _search(client, setting, queries)
            for setting in (Retrieve("lexical", k=K), replace(best, mode="hybrid"))
        )
        memory_bytes = resident_bytes(server.pid) - empty_bytes
    collection = folder / "collections" / COLLECTION
    return KindReport(
        index_kind=index_kind,
        build_seconds=build_seconds,
        start_seconds=start_seconds,
        load_seconds=_load_seconds(log),
        memory_bytes=memory_bytes,
        index_bytes=(collection / "vectors.base").stat().st_size,
        documents_bytes=(collection / "documents.sqlite").stat().st_size,
        words_bytes=sum(file.stat().st_size for file in collection.glob("words-*/*")),
        searches=searches,
        searches_for_words=for_words,
    )


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return 1024 * int(line.split()[1])


def empty_server_bytes(folder: Path) -> int:
    """Resident memory of a server without documents."""
    with LocalServer(folder) as server:
        return resident_bytes(server.pid)


def _settings(kind: IndexKind) -> list[Retrieve]:
    if kind.num_links:
        return [Retrieve("dense", k=K, ef_search=ef) for ef in _EF_SEARCH]
    if kind.num_lists:
        probes = sorted({max(1, kind.num_lists // share) for share in _NPROBE_SHARES})
        return [Retrieve("dense", k=K, nprobe=nprobe) for nprobe in probes]
    return [Retrieve("dense", k=K)]


def _search(client: Client, retrieve: Retrieve, queries: Queries) -> Searches:
    setting = _name(retrieve)

    def ids(number: int) -> set[str]:
        found = client.search(
            COLLECTION,
            "" if retrieve.mode == "dense" else queries.words[number],
            vector=None if retrieve.mode == "lexical" else queries.vectors[number],
            top_n=K,
            retrieve=retrieve,
            rerank=False,
            fields=Fields(text=False, metadata=False),
        )
        return {hit.id for hit in found.hits}

    took, found = [], []
    numbers = range(len(queries.words))
    for number in track(numbers, f"searching, {setting}", console=Console(stderr=True)):
        began = time.perf_counter()
        found.append(ids(number))
        took.append(1e3 * (time.perf_counter() - began))
    began = time.perf_counter()
    with ThreadPoolExecutor(_CONCURRENCY) as threads:
        list(threads.map(ids, numbers))
    per_second = len(numbers) / (time.perf_counter() - began)
    recall = None
    if retrieve.mode == "dense":
        shares = [len(a & b) / K for a, b in zip(found, queries.nearest, strict=True)]
        recall = float(np.mean(shares))
    p50, p99 = np.percentile(took, [50, 99])
    return Searches(setting, recall, float(p50), float(p99), per_second)


def _name(retrieve: Retrieve) -> str:
    breadth = {"ef_search": retrieve.ef_search, "nprobe": retrieve.nprobe}
    given = [f"{name}={value}" for name, value in breadth.items() if value is not None]
    if retrieve.mode == "dense":
        return given[0] if given else "exact"
    return " ".join([str(retrieve.mode), *given])


def _load_seconds(log: Path) -> float:
    records = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    loaded = (r for r in records if r["message"] == "index loaded from its file")
    return float(next(loaded)["milliseconds"]) / 1e3
