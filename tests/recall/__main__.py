"""`make recall`: do vector searches find the nearest, whatever is filtered out or deleted?

Indexes of every kind, filled with vectors in topics, then worn: a tenth deleted, then half, whole
topics among it, then a tenth of the rest written again. In each state searches without a filter and
with filters whose members lie anywhere, near the query, or far from it. Everything is compared with
brute force. A second pass over the filters lets comparing with all seem ten times as dear, and
never cheap, as among many more vectors: else few searches of so few would approximate.

Prints a line for each kind, state and filter: the least recall@10 of any number of members, how
many searches found fewer than 10 where there were 10, or fewer than there were, the times of all,
and what share compared with all. Exits with 1 if any recall is below 0.95 or any search found too
few, or what it may not.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np

from twopass.benchmarks.machine import this_machine
from twopass.index.kinds import IndexKind
from twopass.index.lanes import Lanes
from twopass.index.vectors import effort

from .topics import Topics, Where
from .trial import Outcome, Trial

KINDS = ["Flat", "SQfp16", "HNSW32", "HNSW32,SQfp16", "IVF256,Flat", "IVF256,SQfp16"]
QUICK_KINDS = ["Flat", "HNSW32", "IVF64,SQfp16"]
COUNTS = [10, 1_000, 5_001, 10_000, 50_000, 90_000]
QUICK_COUNTS = [10, 5_001, 10_000]
LEAST_RECALL = 0.95
_TIMES_DEAR = 10
_HEAD = (
    f"{'kind':<14} {'deleted %':>9} {'updated %':>9} {'filter':<7} {'exact seems':<11} "
    f"{'recall@10':>9} {'short':>5} {'p50 ms':>7} {'p99 ms':>7} {'exact %':>7}"
)
# What is deleted of all by then, and what of the rest is written again.
_STATES = [(0.0, 0.0), (0.1, 0.0), (0.5, 0.0), (0.5, 0.1)]
_QUICK_STATES = [(0.0, 0.0), (0.1, 0.0), (0.5, 0.1)]


def main() -> int:
    """Tries every kind; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="make recall", formatter_class=argparse.RawTextHelpFormatter, description=__doc__
    )
    parser.add_argument("--vectors", type=int, default=100_000, help="how many (100,000)")
    parser.add_argument("--dimension", type=int, default=128, help="components of each (128)")
    parser.add_argument("--queries", type=int, default=25, help="for each filter (25)")
    parser.add_argument("--kinds", nargs="+", default=KINDS, help="index kinds")
    parser.add_argument("--threads", type=int, default=2, help="threads of a search (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the vectors and the queries")
    parser.add_argument("--quick", action="store_true", help="20,000 vectors, three kinds")
    options = parser.parse_args()
    if options.quick:
        options.vectors, options.dimension, options.queries = 20_000, 64, 10
        options.kinds = QUICK_KINDS
    print("\n".join(this_machine().lines()))
    print(
        f"{options.vectors:,} vectors of {options.dimension}, {options.queries} queries for each "
        f"number of members, {options.threads} threads a search, seed {options.seed}"
    )
    sample = Topics.draw(options.vectors, options.dimension, options.queries, options.seed)
    lanes = Lanes.for_cpus(options.threads)
    print(_HEAD, flush=True)
    plan = (QUICK_COUNTS, _QUICK_STATES) if options.quick else (COUNTS, _STATES)
    missed = sum(_try(kind, sample, lanes, options.threads, *plan) for kind in options.kinds)
    print(f"{missed} missed" if missed else "every neighbour that must be found was found")
    return 1 if missed else 0


def _try(
    kind: str,
    sample: Topics,
    lanes: Lanes,
    num_threads: int,
    counts: list[int],
    states: list[tuple[float, float]],
) -> int:
    """Prints the lines of one kind; returns how many of its searches missed what they must find."""
    began = time.perf_counter()
    missed = 0
    with tempfile.TemporaryDirectory(prefix="twopass-recall-") as folder:
        _progress(f"{kind}: building")
        trial = Trial(kind, sample, Path(folder), lanes, num_threads)
        built = time.perf_counter() - began
        for state, (deleted, updated) in enumerate(states):
            if deleted > trial.deleted:
                trial.delete(deleted, seed=state)
            if updated:
                trial.update(updated, seed=state)
            for where in [None, *Where]:
                approximates = where and not IndexKind.parse(kind).is_exact
                for times_dear in (1, _TIMES_DEAR) if approximates else (1,):
                    _progress(f"{kind}: {deleted:.0%} deleted, filter {where or 'none'}")
                    with _seeming_dear(times_dear):
                        outcomes = _search_all(trial, sample, where, counts)
                    seems = f"{times_dear} x" if times_dear > 1 else "as it is"
                    line = f"{kind:<14} {100 * deleted:9.0f} {100 * updated:9.0f} "
                    line += f"{where or 'none':<7} {seems:<11} "
                    missed += _report(line, outcomes)
        trial.close()
    _progress("")
    print(f"{kind:<14} built in {built:.0f} s, tried in {time.perf_counter() - began:.0f} s")
    return missed


def _search_all(
    trial: Trial, sample: Topics, where: Where | None, counts: list[int]
) -> dict[int, Outcome]:
    """Searches with each query among each number of members, by that number; 0 for no filter."""
    num_vectors = len(sample.vectors)
    counts = [count for count in counts if count <= num_vectors] if where else [0]
    outcomes = {count: Outcome() for count in counts}
    for query in range(len(sample.queries)):
        if where is None:
            trial.search(query, None, outcomes[0])
            continue
        for count, rows in zip(counts, sample.members(where, counts, query), strict=True):
            trial.search(query, rows, outcomes[count])
    return outcomes


def _report(line: str, outcomes: dict[int, Outcome]) -> int:
    """Prints a line of the table, and what was missed; returns how many."""
    seconds = np.concatenate([outcome.seconds for outcome in outcomes.values()])
    num_short = sum(outcome.num_short for outcome in outcomes.values())
    exact = sum(outcome.num_exact for outcome in outcomes.values()) / len(seconds)
    p50, p99 = np.percentile(1e3 * seconds, [50, 99])
    least = min(outcome.recall for outcome in outcomes.values())
    _progress("")
    print(f"{line}{least:9.3f} {num_short:5} {p50:7.2f} {p99:7.2f} {100 * exact:7.0f}", flush=True)
    missed = 0
    for count, outcome in outcomes.items():
        low = outcome.recall < LEAST_RECALL
        if low or outcome.num_short or outcome.num_wrong:
            missed += low + outcome.num_short + outcome.num_wrong
            print(
                f"  missed: {count or 'no'} members, recall {outcome.recall:.3f}, "
                f"{outcome.num_short} short, {outcome.num_wrong} wrong"
            )
    return missed


@contextmanager
def _seeming_dear(times: int) -> Iterator[None]:
    """Lets an exact search seem so many times as dear as it is."""
    exact = effort.Effort.exact

    def seeming(self: effort.Effort, num_answerable: int) -> float:
        return times * exact(self, num_answerable)

    cheap = effort.CHEAP_COMPONENTS if times == 1 else 0
    with (
        mock.patch.object(effort, "CHEAP_COMPONENTS", cheap),
        mock.patch.object(effort.Effort, "exact", seeming),
    ):
        yield


def _progress(text: str) -> None:
    """Shows what is being done, on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
