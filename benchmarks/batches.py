"""Queries a second: one call for each query, against many queries in one call.

All on one connection, one call under way at a time, so that what differs is what a batch shares. No
query comes twice. Run it as `python -m twopass.benchmarks.batches`.
"""

import itertools
import json
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import typer

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.words import COMMON_WORDS
from twopass.client import Client, Document, Search
from twopass.server.local import COMPUTES_ALL, LocalServer

_COLLECTION = "batches"
_PASSAGE_WORDS = 100
_QUERY_WORDS = 8
_SIZES = (1, 4, 16, 64, 256)


def _texts(chance: random.Random, num_words: int) -> Iterator[str]:
    while True:
        yield " ".join(chance.choices(COMMON_WORDS, k=num_words))


def _answer(client: Client, queries: Sequence[str], size: int, *, rerank: bool) -> float:
    """Seconds for all queries, in batches of `size`; 0 for a call of `Search` each."""
    began = time.perf_counter()
    if size == 0:
        for query in queries:
            client.search(_COLLECTION, query, rerank=rerank)
    for start in range(0, len(queries) if size else 0, size or 1):
        searches = [
            Search(collection=_COLLECTION, query=query, rerank=rerank)
            for query in queries[start : start + size]
        ]
        for found in client.batch_search(searches):
            found.result()
    return time.perf_counter() - began


def _per_second(
    client: Client, queries: Iterator[str], count: int, rounds: int, *, rerank: bool
) -> dict[int, float]:
    """Median queries a second by size of the batch, measured in turns."""
    rates: dict[int, list[float]] = {size: [] for size in (0, *_SIZES) if size <= count}
    for _ in range(rounds):
        for size, of_size in rates.items():
            wanted = list(itertools.islice(queries, count))
            of_size.append(count / _answer(client, wanted, size, rerank=rerank))
    return {size: statistics.median(of_size) for size, of_size in rates.items()}


def main(
    documents: Annotated[int, typer.Option(help="Documents of the collection.", min=1)] = 5_000,
    queries: Annotated[int, typer.Option(help="Queries of a round.", min=1)] = 256,
    rounds: Annotated[int, typer.Option(help="Rounds; medians are printed.", min=1)] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure queries a second by the number of queries in a call, first pass alone and both."""
    chance = random.Random(0)  # noqa: S311  # the same texts every time
    passages = itertools.islice(_texts(chance, _PASSAGE_WORDS), documents)
    asked = _texts(chance, _QUERY_WORDS)
    with (
        LocalServer(None, flags=COMPUTES_ALL) as server,
        Client(server.target, timeout=600) as client,
    ):
        client.create_collection(_COLLECTION)
        client.upsert(_COLLECTION, (Document(str(i), text) for i, text in enumerate(passages)))
        figures = {
            "first pass": _per_second(client, asked, queries, rounds, rerank=False),
            "both passes": _per_second(client, asked, max(1, queries // 8), 1, rerank=True),
        }
    machine = this_machine()
    if as_json:
        print(json.dumps({"machine": vars(machine), "queries_per_second": figures}))
        return
    print("\n".join(machine.lines()))
    print(f"{documents:,} documents of {_PASSAGE_WORDS} words; hybrid search; queries a second")
    for passes, rates in figures.items():
        single = rates.pop(0)
        of_sizes = ", ".join(f"{size}: {rate:.0f}" for size, rate in rates.items())
        print(f"{passes}: a call each {single:.0f}; by queries in a call {of_sizes}")


if __name__ == "__main__":
    typer.run(main)
