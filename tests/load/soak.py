"""`make soak`: every kind of request for a while. Prints how memory and open files went."""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from twopass.client import AsyncClient, Document, Retrieve, Schema
from twopass.server.local import COMPUTES_ALL, LocalServer

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
# A collection of which a base of words is made, and made anew, again and again.
PLAIN_DOCUMENTS, PLAIN_CHUNK = 3_000, 100
PLAIN_DIMENSION = 8
SHORT_LIVED = 4
# By default vectors of 5,000 writes are kept until they are merged: at the pace of this test that
# takes minutes and 8 MiB, and where they stand between two merges would decide what is measured.
MERGE_CHANGES = 200


@dataclass(frozen=True, slots=True)
class _Sample:
    """Memory in RAM, open files and sockets, and files in the data folder, at one moment."""

    resident: int
    num_open: int
    num_entries: int


async def run(server: LocalServer, data: Path, *, seconds: float) -> None:
    """Searches, reranks, embeds, writes, deletes, and cancels without end."""
    texts = passages(0, DOCUMENTS, num_words=30)
    plain = Schema(dimension=PLAIN_DIMENSION, client_vectors=True)

    def chunk(number: int) -> list[Document]:
        first = number * PLAIN_CHUNK % PLAIN_DOCUMENTS
        return [
            Document(
                str(first + n),
                f"{text} version{number}",
                vector=[1.0 + (number + n + i) % 7 for i in range(PLAIN_DIMENSION)],
            )
            for n, text in enumerate(passages(number, PLAIN_CHUNK, num_words=20))
        ]

    async def live_shortly(client: AsyncClient, number: int) -> object:
        name = f"short-lived-{number % SHORT_LIVED}"
        try:
            await client.create_collection(name, plain)
            await client.upsert(name, chunk(number))
            return await client.search(name, "version1", retrieve="lexical", rerank=False)
        finally:
            await client.delete_collection(name)

    async def ask(client: AsyncClient, number: int) -> object:
        match number % 10:
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
            case 5:
                return await client.upsert("plain", chunk(number // 10))
            case 6:
                first = number * 7 % PLAIN_DOCUMENTS
                return await client.delete("plain", [str(first + n) for n in range(20)])
            case 7:
                return await client.search(
                    "plain", " ".join(texts[number % DOCUMENTS].split()[:5]), retrieve="lexical"
                )
            case 8:
                return await live_shortly(client, number // 10)
        return await client.search("docs", "late", timeout=0.005)

    samples: list[_Sample] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(min(1.0, seconds / 60))
            samples.append(
                _Sample(resident_bytes(server.pid), num_files(server.pid), _num_entries(data))
            )

    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        await client.create_collection("docs")
        await client.create_collection("plain", plain)
        for number in range(PLAIN_DOCUMENTS // PLAIN_CHUNK):
            await client.upsert("plain", chunk(number))
        await client.upsert("docs", [Document(str(i), text) for i, text in enumerate(texts)])
        await closed_loop(client, ask, 4, seconds / 4)  # caches and allocators fill
        watching = asyncio.create_task(watch())
        began = time.perf_counter()
        outcomes: list[Outcome] = await closed_loop(client, ask, 4, seconds)
        watching.cancel()
    print_statuses(outcomes, time.perf_counter() - began)
    _report(samples, seconds)
    assert set(statuses(outcomes)) <= {"OK", "DEADLINE_EXCEEDED", "NOT_FOUND", "RESOURCE_EXHAUSTED"}


def _report(samples: list[_Sample], seconds: float) -> None:
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    memory, opened, entries = (
        [statistics.median(getattr(sample, figure) for sample in part) for part in (first, last)]
        for figure in ("resident", "num_open", "num_entries")
    )
    drift = memory[1] / memory[0] - 1
    mib = [bytes_ / 2**20 for bytes_ in memory]
    print(f"memory: {mib[0]:.1f} MiB in the first third, {mib[1]:.1f} in the last")
    print(f"drift: {drift:+.2%} (wanted: under 2 %)")
    for where, files in (("open", opened), ("on disk", entries)):
        print(f"files {where}: {files[0]:g} and {files[1]:g}")
    # In the first minutes what is measured is how caches, pools and allocators fill. A base of
    # words has a dozen files more while its segments are merged.
    is_settled = seconds >= 600
    assert opened[1] <= opened[0] + (4 if is_settled else 12)
    assert entries[1] <= entries[0] + (12 if is_settled else 40)
    assert drift < (0.02 if is_settled else 0.10)


def _num_entries(data: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(data))


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as data,
        LocalServer(
            Path(data), flags=(*COMPUTES_ALL, "--merge-changes", str(MERGE_CHANGES))
        ) as server,
    ):
        step_back()
        asyncio.run(run(server, Path(data), **vars(options)))


if __name__ == "__main__":
    main()
