"""`make budget`: searches with a time budget. Prints what became of both passes.

First of a large collection with filters, then of a small one at a multiple of what can be done.
"""

import argparse
import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from twopass.client import AsyncClient, Document, Retrieve, SearchResult
from twopass.server.local import COMPUTES_ALL, LocalServer

from . import large_budget
from .driver import (
    NO_RETRIES,
    closed_loop,
    open_loop,
    passages,
    percentile,
    statuses,
    step_back,
    stolen_share,
)

DOCUMENTS, CANDIDATES = 500, 50
FIFTY = Retrieve(k=CANDIDATES)


async def run(server: LocalServer, *, seconds: float, times: float, budget: float) -> None:
    """Fills a collection, finds the capacity, and searches at a multiple of it."""

    async def ask(client: AsyncClient, number: int) -> SearchResult:
        return await client.search("docs", f"w{number} w{number + 1}", retrieve=FIFTY)

    async def ask_soon(client: AsyncClient, number: int) -> SearchResult:
        return await client.search(
            "docs", f"w{number} w{number + 1}", retrieve=FIFTY, time_budget=budget
        )

    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        await client.create_collection("docs")
        texts = passages(0, DOCUMENTS)
        await client.upsert("docs", [Document(str(i), text) for i, text in enumerate(texts)])
        await closed_loop(client, ask, 2, 1.0)
        calm = await closed_loop(client, ask, 4, seconds / 2)
        rate = max(1.0, times * len(calm) / (seconds / 2))
        stolen = stolen_share()
        outcomes = await open_loop(client, ask_soon, rate, seconds)
    answers = [o.answer for o in outcomes if isinstance(o.answer, SearchResult)]
    became = Counter(str(answer.rerank_status) for answer in answers)
    totals = [(answer.timings.total_ms or 0.0) / 1000 for answer in answers]
    print(f"budget {1000 * budget:g} ms, {rate:.1f} searches a second, {times:g} x capacity:")
    print(f"  answered: {len(answers)} of {len(outcomes)}; {dict(statuses(outcomes))}")
    print(f"  second pass: {dict(became)}")
    partial = [a.num_reranked for a in answers if a.rerank_status == "partial"]
    print(f"  reranked where partial: {sum(partial) / max(1, len(partial)):.1f} of {CANDIDATES}")
    figures = "  ".join(f"p{p:g} {percentile(totals, p):.1f}" for p in (50, 99, 99.9))
    print(f"  in the server, ms: {figures}; the host took {stolen():.1%} of the processors")
    assert set(statuses(outcomes)) <= {"OK", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=2.0)
    parser.add_argument("--budget", type=float, default=0.05)
    parser.add_argument(
        "--documents", type=int, default=100_000, help="in the large collection; 0 leaves it out"
    )
    parser.add_argument("--tree", type=Path, help="where to import another version's server from")
    options = parser.parse_args()
    seconds, budget = options.seconds, options.budget
    if options.documents:
        large_budget.measure(
            documents=options.documents, seconds=seconds, budget=budget, tree=options.tree
        )
    with (
        tempfile.TemporaryDirectory() as data,
        LocalServer(Path(data), flags=COMPUTES_ALL) as server,
    ):
        step_back()
        asyncio.run(run(server, seconds=seconds, times=options.times, budget=budget))


if __name__ == "__main__":
    main()
