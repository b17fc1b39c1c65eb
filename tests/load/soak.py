"""`make soak`: every kind of request for a while. Prints how memory and open files went."""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from twopass.client import AsyncClient, Document, Retrieve
from twopass.server.local import LocalServer

from .driver import (
    NO_RETRIES,
    Outcome,
    closed_loop,
    num_files,
    passages,
    print_statuses,
    resident_bytes,
    statuses,
    step_back,
)

DOCUMENTS = 300
# By default vectors of 5,000 writes are kept until they are merged: at the pace of this test that
# takes minutes and 8 MiB, and where they stand between two merges would decide what is measured.
MERGE_CHANGES = 200


async def run(server: LocalServer, *, seconds: float) -> None:
    """Searches, reranks, embeds, writes, deletes, and cancels without end."""
    texts = passages(0, DOCUMENTS, num_words=30)

    async def ask(client: AsyncClient, number: int) -> object:
        match number % 6:
            case 0:
                return await client.search(
                    "docs", texts[number % DOCUMENTS][:40], retrieve=Retrieve(k=10)
                )
            case 1:
                return await client.rerank("which", texts[:10])
            case 2:
                return await client.embed(texts[number % 50 : number % 50 + 3])
            case 3:
                document = Document(str(number % DOCUMENTS), texts[number % DOCUMENTS])
                return await client.upsert("docs", [document])
            case 4:
                return await client.delete("docs", [str((number * 7) % DOCUMENTS)])
        return await client.search("docs", "late", timeout=0.005)

    samples: list[tuple[int, int]] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(min(1.0, seconds / 60))
            samples.append((resident_bytes(server.pid), num_files(server.pid)))

    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        await client.create_collection("docs")
        await client.upsert("docs", [Document(str(i), text) for i, text in enumerate(texts)])
        await closed_loop(client, ask, 4, seconds / 4)  # caches and allocators fill
        watching = asyncio.create_task(watch())
        began = time.perf_counter()
        outcomes: list[Outcome] = await closed_loop(client, ask, 4, seconds)
        watching.cancel()
    print_statuses(outcomes, time.perf_counter() - began)
    _report(samples, seconds)
    assert set(statuses(outcomes)) <= {"OK", "DEADLINE_EXCEEDED", "NOT_FOUND", "RESOURCE_EXHAUSTED"}


def _report(samples: list[tuple[int, int]], seconds: float) -> None:
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    memory = [statistics.median(m for m, _ in part) for part in (first, last)]
    files = [statistics.median(f for _, f in part) for part in (first, last)]
    drift = memory[1] / memory[0] - 1
    mib = [bytes_ / 2**20 for bytes_ in memory]
    print(f"memory: {mib[0]:.1f} MiB in the first third, {mib[1]:.1f} in the last")
    print(f"drift: {drift:+.2%} (wanted: under 2 %); files: {files[0]:g} and {files[1]:g}")
    # In the first minutes what is measured is how caches, pools and allocators fill.
    is_settled = seconds >= 600
    assert files[1] <= files[0] + (2 if is_settled else 8)
    assert drift < (0.02 if is_settled else 0.10)


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        LocalServer(Path(data), flags=("--merge-changes", str(MERGE_CHANGES))) as server,
    ):
        step_back()
        asyncio.run(run(server, **vars(options)))


if __name__ == "__main__":
    main()
