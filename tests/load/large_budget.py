"""Searches of a large collection with a time budget and filters; a part of `make budget`.

Every kind of search is asked once without a budget. What is answered within one and says that its
first pass is complete must then be of the same candidates.
"""

import asyncio
import itertools
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.table import Table

from twopass.client import (
    AsyncClient,
    Fields,
    Retrieve,
    RetrieveMode,
    SearchResult,
    document_ids,
)
from twopass.commands.terminal.tables import print_table
from twopass.v1.filter_pb2 import Filter

from .driver import NO_RETRIES, Outcome, ask_once, percentile, statuses, step_back
from .isolation.corpus import heavy_filter, light_filter, query
from .isolation.serving import MeasuredServer

_CANDIDATES = 50
_QUESTION = "why is the sea salt"
_CALLERS = 2
# A heavy filter alone takes seconds of a processor.
_PATIENCE = 120.0
_MODES: tuple[RetrieveMode, ...] = ("dense", "lexical", "hybrid")
_FILTERS: dict[str, Filter | None] = {
    "none": None,
    "light": light_filter(),
    "heavy": heavy_filter(),
    "ids": Filter(must=[document_ids(f"d{number}" for number in range(5_000)).message]),
}


@dataclass(slots=True)
class Kind:
    """One kind of search and what became of it.

    Attributes:
        mode: How candidates are found.
        filter_name: Of `_FILTERS`.
        candidates: Ids of what a search without a budget finds.
        outcomes: Of the searches with one.
    """

    mode: RetrieveMode
    filter_name: str
    candidates: frozenset[str] = frozenset()
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def answers(self) -> list[SearchResult]:
        """Of the searches that were answered."""
        return [o.answer for o in self.outcomes if isinstance(o.answer, SearchResult)]

    async def search(self, client: AsyncClient, budget: float | None) -> SearchResult:
        """Searches, all candidates being asked for."""
        return await client.search(
            "searched",
            _QUESTION,
            vector=query(0).values,
            top_n=_CANDIDATES,
            retrieve=Retrieve(mode=self.mode, k=_CANDIDATES),
            filter=_FILTERS[self.filter_name],
            fields=Fields(text=False, metadata=False),
            time_budget=budget,
            timeout=_PATIENCE,
        )

    def untruths(self) -> Iterator[str]:
        """Yields what answers say of themselves and is not so."""
        for answer in self.answers:
            ids = {hit.id for hit in answer.hits}
            if answer.retrieve_status == "complete" and ids != self.candidates:
                missed = len(self.candidates - ids)
                yield f"{self}: first pass complete, but {missed} candidates are missing"
            scored = sum(hit.logit is not None for hit in answer.hits)
            if scored != answer.num_reranked:
                yield f"{self}: {answer.num_reranked} said to be reranked, {scored} have a logit"
            if answer.rerank_status == "complete" and scored < len(answer.hits):
                yield f"{self}: second pass complete, but {len(answer.hits) - scored} not reranked"
            if answer.rerank_status == "skipped_deadline" and scored:
                yield f"{self}: second pass skipped, but {scored} reranked"
        # Late is what has found nothing in its time: never an empty answer.
        if unexpected := set(statuses(self.outcomes)) - {"OK", "DEADLINE_EXCEEDED"}:
            yield f"{self}: ended with {', '.join(sorted(unexpected))}"
        if self.candidates and not all(answer.hits for answer in self.answers):
            yield f"{self}: answered without hits, though there are some"

    def __str__(self) -> str:
        return f"{self.mode}, filter {self.filter_name}"


async def run(server: MeasuredServer, sender: ProcessPoolExecutor, budget: float) -> list[Kind]:
    """Searches in every mode with every filter, first without a budget and then with one."""
    await server.start(sender)
    kinds = [Kind(mode, name) for mode, name in itertools.product(_MODES, _FILTERS)]
    setting = server.setting
    try:
        async with AsyncClient(setting.target, api_key=setting.key, options=NO_RETRIES) as client:
            for kind in kinds:
                found = await kind.search(client, None)
                kind.candidates = frozenset(hit.id for hit in found.hits)
            await asyncio.gather(
                *(_search_on(client, kinds, n, budget, setting.seconds) for n in range(_CALLERS))
            )
    finally:
        server.stop()
    return kinds


async def _search_on(
    client: AsyncClient, kinds: list[Kind], first: int, budget: float, seconds: float
) -> None:
    end = time.perf_counter() + seconds
    for number in itertools.count(first):
        if time.perf_counter() >= end:
            return
        kind = kinds[number % len(kinds)]

        async def ask(client: AsyncClient, _: int, kind: Kind = kind) -> SearchResult:
            return await kind.search(client, budget)

        kind.outcomes.append(await ask_once(client, ask, number))


def measure(*, documents: int, seconds: float, budget: float, tree: Path | None) -> None:
    """Measures, prints, and fails where an answer is untrue."""
    spawning = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory() as scratch,
        ProcessPoolExecutor(1, mp_context=spawning, initializer=step_back) as sender,
    ):
        server = MeasuredServer(Path(scratch), num_documents=documents, seconds=seconds, tree=tree)
        kinds = asyncio.run(run(server, sender, budget))
    report(kinds, documents, budget)
    untruths = sorted({untruth for kind in kinds for untruth in kind.untruths()})
    assert not untruths, "\n".join(untruths)


def report(kinds: list[Kind], documents: int, budget: float) -> None:
    """Prints how long searches took in the server, and what became of them."""
    print(f"budget {1000 * budget:g} ms, {documents:,} documents, {_CALLERS} callers:")
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("mode", "filter"):
        table.add_column(column)
    for column in ("searches", "late", "p50 ms", "p99 ms", "slowest ms"):
        table.add_column(column, justify="right")
    table.add_column("first pass")
    table.add_column("second pass")
    for kind in kinds:
        table.add_row(
            kind.mode,
            kind.filter_name,
            str(len(kind.outcomes)),
            str(len(kind.outcomes) - len(kind.answers)),
            *(f"{percentile(_seconds(kind), percent):,.1f}" for percent in (50, 99, 100)),
            _counted(Counter(str(answer.retrieve_status) for answer in kind.answers)),
            _counted(Counter(str(answer.rerank_status) for answer in kind.answers)),
        )
    print_table(table)
    seconds = [each for kind in kinds for each in _seconds(kind)]
    figures = "  ".join(f"p{p:g} {percentile(seconds, p):.1f}" for p in (50, 99, 99.9))
    wanted = 1000 * budget + 10
    print(f"  all {len(seconds):,}, ms: {figures} (wanted at p99.9: {wanted:g})")
    print("  in the server; of late ones, which tell no timings, on their way there and back too")


def _seconds(kind: Kind) -> list[float]:
    """In the server, or until the status came."""
    return [
        (o.answer.timings.total_ms or 0.0) / 1000
        if isinstance(o.answer, SearchResult)
        else o.seconds
        for o in kind.outcomes
    ]


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
