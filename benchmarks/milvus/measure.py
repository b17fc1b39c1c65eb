"""Measures a Milvus through the store's interface, and writes `report.json` and `report.md`.

python -m twopass.benchmarks.milvus.measure --store milvus://host:19530 --out report
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.milvus.made_documents import MadeDocuments
from twopass.index.base.collection import Collection
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.milvus.retrieval import MilvusRetrieval
from twopass.index.milvus.store import MilvusStore
from twopass.index.retrieved import Expected
from twopass.index.schema import CollectionSchema

NAME = "twopass-ledger"
K = 50
_RECALLED = 10
_WRITTEN_AT_ONCE = 500
_WRITES_UNDER_WAY = 4
_SHARES = (0.5, 0.1, 0.01, 0.001)


@dataclass(slots=True)
class Report:
    """What was measured.

    Attributes:
        store: Where, without the password.
        server: The version of Milvus.
        documents: How many there are.
        dimension: Components of a vector.
        index_kind: What they were searched by.
        machine: The machine that asked; Milvus may run elsewhere.
        rows: What was measured, its figure and its unit.
    """

    store: str
    server: str
    documents: int
    dimension: int
    index_kind: str
    machine: list[str]
    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def add(self, what: str, figure: float, unit: str) -> None:
        """Adds a figure, and shows it."""
        self.rows.append((what, round(figure, 3), unit))
        typer.echo(f"{what}: {figure:,.3f} {unit}")

    def markdown(self) -> str:
        """The report as a page."""
        head = (
            f"{self.documents:,} documents of {self.dimension} components, {self.index_kind}, "
            f"Milvus {self.server}, asked from {'; '.join(self.machine)}"
        )
        lines = [f"| {what} | {figure:,.3f} | {unit} |" for what, figure, unit in self.rows]
        return "\n".join([head, "", "| what | figure | unit |", "|---|--:|---|", *lines, ""])


async def measure(
    url: str,
    made: MadeDocuments,
    index_kind: str,
    *,
    keep: bool = False,
    num_queries: int = 100,
    callers: Sequence[int] = (1, 8, 32),
) -> Report:
    """Indexes documents, searches them in every way, and removes them.

    Args:
        url: As `--store` takes it.
        made: The documents.
        index_kind: What they are searched by.
        keep: Leaves the collection there.
        num_queries: How many queries of each kind are asked.
        callers: How many of them are under way at once, one after the other.
    """
    store = MilvusStore(url)
    await store.start()
    try:
        server = str(await store._connection.change("get_server_version"))
        machine = this_machine().lines()
        report = Report(store.place, server, made.number, made.dimension, index_kind, machine)
        schema = CollectionSchema(
            dimension=made.dimension, client_vectors=True, index_kind=index_kind
        )
        await store.create(NAME, schema)
        try:
            collection = (await store.acquire(NAME)).collection
            await _measure_writes(report, collection, made)
            await _measure_searches(report, collection, made, num_queries, callers)
            await _measure_filters(report, collection, made, num_queries)
            await _measure_own_writes(report, collection, made)
        finally:
            if not keep:
                await store.delete(NAME)
        return report
    finally:
        await store.close()


async def _measure_writes(report: Report, collection: Collection, made: MadeDocuments) -> None:
    began = time.perf_counter()
    under_way: list[Awaitable[Any]] = []
    for documents in made.blocks(_WRITTEN_AT_ONCE):
        under_way.append(await collection.submit_upsert(documents))
        if len(under_way) == _WRITES_UNDER_WAY:
            await under_way.pop(0)
    await asyncio.gather(*under_way)
    report.add("written", made.number / (time.perf_counter() - began), "documents/s")
    began = time.perf_counter()
    number = await collection.count(Filter())
    report.add("counted", 1_000 * (time.perf_counter() - began), "ms")
    if number != made.number:
        raise AssertionError(f"{made.number:,} documents written, {number:,} counted")


async def _measure_searches(
    report: Report,
    collection: Collection,
    made: MadeDocuments,
    num_queries: int,
    callers: Sequence[int],
) -> None:
    queries, texts = made.queries(num_queries), made.texts_to_ask(num_queries)

    async def dense(number: int) -> Any:
        return await collection.retrieval().nearest(queries[number], K)

    async def words(number: int) -> Any:
        return await collection.retrieval().with_words(texts[number], K)

    async def both(number: int) -> Any:
        retrieval = collection.retrieval(Expected())
        assert isinstance(retrieval, MilvusRetrieval)
        found = await retrieval.both(queries[number], texts[number], K)
        await retrieval.load(found.words.ranked.keys)
        return found

    for name, search in (("dense", dense), ("words", words), ("both, with tokens", both)):
        for count in callers:
            what = f"{name}, {count} under way"
            await _measure_latency(report, what, search, num_queries, count)
    recall = await _recall(collection, made, num_queries)
    report.add(f"recall@{_RECALLED}", recall, "of exact neighbours")


async def _measure_filters(
    report: Report, collection: Collection, made: MadeDocuments, num_queries: int
) -> None:
    queries = made.queries(num_queries)
    for share in _SHARES:
        wanted = Filter(must=(FieldCondition("permille", InRange(lt=round(1_000 * share))),))
        members = await collection.members(wanted)

        async def search(number: int, members: Any = members) -> Any:
            return await collection.retrieval().nearest(queries[number], K, members)

        await _measure_latency(report, f"dense, filter of {share:.1%}", search, num_queries, 1)
        recall = await _recall(collection, made, num_queries, wanted, share)
        report.add(f"recall@{_RECALLED}, filter of {share:.1%}", recall, "of exact neighbours")


async def _measure_own_writes(report: Report, collection: Collection, made: MadeDocuments) -> None:
    """How long it takes from an acknowledged write to the answer of a search that must see it."""
    documents = next(made.blocks(_WRITTEN_AT_ONCE))[:20]
    took = []
    for document in documents:
        written = await (await collection.submit_upsert([document]))
        began = time.perf_counter()
        retrieval = collection.retrieval(min_sequence=str(written.sequence))
        assert isinstance(document.vector, np.ndarray)
        found = await retrieval.nearest(document.vector, 1)
        took.append(time.perf_counter() - began)
        (found_id,) = (await retrieval.load(found.ranked.keys)).ids
        if found_id != document.id:
            raise AssertionError(f"{document.id} was written, {found_id} was found")
    report.add("search that must see a write, p50", 1_000 * float(np.median(took)), "ms")


async def _measure_latency(
    report: Report,
    name: str,
    search: Callable[[int], Awaitable[Any]],
    num_queries: int,
    count: int,
) -> None:
    """Asks all queries, so many under way."""
    took: list[float] = []
    waiting = iter(range(num_queries))

    async def caller() -> None:
        for number in waiting:
            began = time.perf_counter()
            await search(number)
            took.append(time.perf_counter() - began)

    await search(0)
    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(count)))
    seconds = time.perf_counter() - began
    report.add(f"{name}: p50", 1_000 * float(np.percentile(took, 50)), "ms")
    report.add(f"{name}: p99", 1_000 * float(np.percentile(took, 99)), "ms")
    report.add(f"{name}: throughput", num_queries / seconds, "searches/s")


async def _recall(
    collection: Collection,
    made: MadeDocuments,
    num_queries: int,
    wanted: Filter | None = None,
    share: float = 1.0,
) -> float:
    """The share of the exact neighbours that a search finds among its first."""
    queries = made.queries(num_queries)
    exact = made.nearest(queries, _RECALLED, _WRITTEN_AT_ONCE, share)
    members = None if wanted is None else await collection.members(wanted)
    shares = []
    for query, numbers in zip(queries, exact, strict=True):
        retrieval = collection.retrieval()
        found = await retrieval.nearest(query, len(numbers), members)
        ids: Sequence[str] = (await retrieval.load(found.ranked.keys)).ids
        expected = {f"document-{number}" for number in numbers.tolist()}
        shares.append(len(expected & set(ids)) / max(1, len(expected)))
    return float(np.mean(shares))


def main(
    store: Annotated[str, typer.Option(help="Where the Milvus is: milvus://host:19530.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    documents: Annotated[int, typer.Option(help="How many documents to index.")] = 1_000_000,
    dimension: Annotated[int, typer.Option(help="Components of a vector.")] = 384,
    index_kind: Annotated[str, typer.Option(help="What they are searched by.")] = "AUTOINDEX",
    keep: Annotated[bool, typer.Option(help="Leaves the collection there.")] = False,
) -> None:
    """Measures a Milvus behind the store's interface."""
    made = MadeDocuments(documents, dimension)
    report = asyncio.run(measure(store, made, index_kind, keep=keep))
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.json").write_text(json.dumps(asdict(report), indent=2) + "\n")
    (out / "report.md").write_text(report.markdown())


if __name__ == "__main__":
    typer.run(main)
