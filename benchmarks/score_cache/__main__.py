"""Prints what the cache of scores gives, what it costs, and whether any score was stale."""

import json
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from twopass._core import ScoreTable, sequence_digests
from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.score_cache.staleness import compare
from twopass.benchmarks.score_cache.zipf import Asked, K, fill, measure, sizes

_NUM_TOKENS = 128
_NUM_PAIRS = 50


def _microseconds() -> dict[str, float]:
    """What a pair of 128 tokens costs, in batches of 50: digest, look-up, keeping; medians."""
    chance = np.random.default_rng(0)
    table = ScoreTable(64 * 1024 * 1024)
    offsets = np.arange(0, (_NUM_PAIRS + 1) * _NUM_TOKENS, _NUM_TOKENS, dtype=np.int32)
    lengths = np.full(_NUM_PAIRS, 20, np.int32)
    logits = np.zeros(_NUM_PAIRS, np.float32)
    took: dict[str, list[float]] = {"digest": [], "look up": [], "keep": []}
    for _ in range(4_000):
        ids = chance.integers(0, 30_000, offsets[-1], dtype=np.int32)
        moments = [time.perf_counter()]
        digests = sequence_digests(bytes(16), ids, offsets, lengths)
        moments.append(time.perf_counter())
        table.find(digests)
        moments.append(time.perf_counter())
        table.insert(digests, logits)
        moments.append(time.perf_counter())
        for name, seconds in zip(took, np.diff(moments).tolist(), strict=True):
            took[name].append(seconds)
    return {name: float(np.median(each)) / _NUM_PAIRS * 1e6 for name, each in took.items()}


def main(
    documents: Annotated[int, typer.Option(help="Documents of the collection.", min=K)] = 1_000,
    queries: Annotated[int, typer.Option(help="Distinct queries.", min=1)] = 1_000,
    searches: Annotated[int, typer.Option(help="Searches of each row.", min=1)] = 600,
    exponent: Annotated[float, typer.Option(help="Of Zipf's law.", min=0)] = 1.0,
    updates: Annotated[int, typer.Option(help="Random updates between searches.", min=0)] = 10_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure the cache of scores: searches a second by hit rate, its cost, and stale scores."""
    asked, costs = Asked.zipf(queries, searches, exponent), _microseconds()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        fill(folder / "zipf", documents)
        measured = [measure(folder / "zipf", size, asked) for size in sizes(asked)]
        compared = compare(folder, updates) if updates else None
    machine = this_machine()
    if as_json:
        found: dict[str, object] = {"machine": vars(machine), "microseconds": costs}
        found |= {"zipf": [asdict(each) for each in measured]}
        found |= {"compared": asdict(compared)} if compared else {}
        print(json.dumps(found))
    else:
        print("\n".join(machine.lines()))
        print(f"a pair of {_NUM_TOKENS} tokens, microseconds: ", end="")
        print(", ".join(f"{name} {cost:.2f}" for name, cost in costs.items()))
        print(
            f"{searches} searches of {queries} queries, Zipf {exponent}, k {K}, 4 callers; ", end=""
        )
        print(f"{asked.most_hits:.0%} were asked before")
        print(" cache bytes  hits  searches/s  pairs/s  p50 ms  p99 ms  core ms/search  twice")
        for row in measured:
            print(
                f"{row.cache_bytes:>12,}  {row.hit_rate:>4.0%}  {row.searches:>10.1f}  "
                f"{row.searches * K:>7,.0f}  {row.p50:>6.1f}  {row.p99:>6.1f}  "
                f"{row.core_ms:>14.1f}  {row.twice:>5.1%}"
            )
        if compared:
            print(
                f"{compared.num_updates:,} updates, {compared.num_answers:,} answers between them: "
                f"{compared.num_scores:,} scores compared, {compared.num_cached:,} of them from "
                f"the cache, {compared.num_stale} stale"
            )
    sys.exit(1 if compared and compared.num_stale else 0)


if __name__ == "__main__":
    typer.run(main)
