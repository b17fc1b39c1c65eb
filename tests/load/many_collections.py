"""`make many-collections`: thousands of small collections in one server, most of them closed.

Fills them, starts the server anew, and searches every one. Prints how long each takes, and what
memory, files and threads the server needs for it.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from twopass.client import AsyncClient, Document, Schema
from twopass.server.local import LocalServer

from .driver import NO_RETRIES, num_files, percentile, resident_bytes, stolen_share

DIMENSION = 384
SCHEMA = Schema(client_vectors=True, dimension=DIMENSION)
# So long a start may take on a machine that does nothing else.
START_SECONDS = 10.0


def name_of(number: int) -> str:
    """The name of a collection."""
    return f"tenant-{number:05}"


def vector_of(number: int, document: int) -> list[float]:
    """The embedding of a document: none has that of another."""
    drawn = np.random.default_rng((number, document)).standard_normal(DIMENSION)
    return drawn.astype(np.float32).tolist()


async def fill(client: AsyncClient, number: int, num_documents: int) -> None:
    """Makes a collection and writes its documents."""
    await client.create_collection(name_of(number), SCHEMA)
    documents = [
        Document(f"{number}-{i}", f"note {i} of {number}", vector=vector_of(number, i))
        for i in range(num_documents)
    ]
    await client.upsert(name_of(number), documents)


async def search(client: AsyncClient, number: int) -> None:
    """Searches a collection for its first document, by its words and its vector at once."""
    found = await client.search(
        name_of(number),
        f"note 0 of {number}",
        vector=vector_of(number, 0),
        retrieve="hybrid",
        rerank=False,
    )
    assert found.hits[0].id == f"{number}-0", found
    assert found.retrieve_status == "complete", found


async def each(numbers: list[int], concurrency: int, do: Callable[[int], Awaitable[None]]) -> str:
    """Does something for each number; returns how long it took."""
    times: list[float] = []
    waiting = list(reversed(numbers))

    async def one_after_another() -> None:
        while waiting:
            number, began = waiting.pop(), time.perf_counter()
            await do(number)
            times.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
    took = time.perf_counter() - began
    figures = "  ".join(f"p{p} {percentile(times, p):.1f}" for p in (50, 99, 100))
    return f"{len(times):,} in {took:.1f} s, {len(times) / took:,.0f}/s, ms: {figures}"


def needs(server: LocalServer) -> str:
    """What the server's process has of the machine."""
    threads = len(list(Path(f"/proc/{server.pid}/task").iterdir()))
    return (
        f"{resident_bytes(server.pid) / 2**20:,.0f} MiB, {num_files(server.pid):,} files, "
        f"{threads} threads"
    )


async def write_all(server: LocalServer, collections: int, documents: int) -> None:
    """Fills all collections."""
    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        figures = await each(
            list(range(collections)), 8, lambda number: fill(client, number, documents)
        )
    print(f"  filled:   {figures}; {needs(server)}")


async def search_all(server: LocalServer, collections: int, documents: int) -> None:
    """Searches all collections in a shuffled order, lists them, and searches a few again."""
    order = np.random.default_rng(1).permutation(collections).tolist()
    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        figures = await each(order, 4, lambda number: search(client, number))
        print(f"  searched: {figures}; {needs(server)}")
        began = time.perf_counter()
        listed = await client.list_collections(timeout=120)
        print(f"  listed:   {time.perf_counter() - began:.2f} s; {needs(server)}")
        assert sorted(each.name for each in listed) == [name_of(i) for i in range(collections)]
        assert {each.num_documents for each in listed} == {documents}
        figures = await each(order[-50:] * 10, 4, lambda number: search(client, number))
        print(f"  again:    {figures}; {needs(server)}")


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=int, default=10_000)
    parser.add_argument("--documents", type=int, default=10, help="in each collection")
    parser.add_argument("--max-open", type=int, default=1_000)
    options = parser.parse_args()
    flags = ("--max-open-collections", str(options.max_open))
    print(
        f"{options.collections:,} collections of {options.documents} documents, at most "
        f"{options.max_open:,} open:"
    )
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        began = time.perf_counter()
        with LocalServer(data / "empty") as server:
            took = time.perf_counter() - began
            print(f"  a server without any starts in {took:.1f} s and needs {needs(server)}")
        with LocalServer(data / "full", flags=flags) as server:
            asyncio.run(write_all(server, options.collections, options.documents))
        stolen, began = stolen_share(), time.perf_counter()
        with LocalServer(data / "full", flags=flags) as server:
            started = time.perf_counter() - began
            print(f"  started:  {started:.1f} s; {needs(server)}")
            asyncio.run(search_all(server, options.collections, options.documents))
            began = time.perf_counter()
        print(f"  stopped:  {time.perf_counter() - began:.1f} s")
        print(f"  the host took {stolen():.1%} of the processors")
    assert started < START_SECONDS, f"the start took {started:.1f} s, at most {START_SECONDS:g} s"


if __name__ == "__main__":
    main()
