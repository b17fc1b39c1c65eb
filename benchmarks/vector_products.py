"""Exact searches of vectors by how many wait together: one by one, and by products of matrices.

`python -m twopass.benchmarks.vector_products` prints a core's milliseconds for each query, in one
thread, as a collection's thread searches its base; both ways in turn, so that whatever else the
machine does costs both alike. What a server does around it is left out: see `vector_device`.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import faiss
import numpy as np
import typer

from twopass.benchmarks.machine import this_machine
from twopass.engines.base.sequences import Float32s
from twopass.index.kinds import FLAT, Breadth
from twopass.index.vectors.product_search import FEWEST_QUERIES
from twopass.index.vectors.segments import QUERIES_PER_CALL, Segment, Wanted

TOGETHER = (1, 8, 16, 32, 64)


def directions(count: int, dimension: int, seed: int) -> Float32s:
    """Vectors of length 1 in random directions, float32 `[count, dimension]`."""
    drawn = np.random.default_rng(seed).standard_normal((count, dimension), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def measured(
    num_vectors: int, dimension: int, k: int, repetitions: int
) -> dict[int, tuple[list[float], list[float]]]:
    """Measures both ways.

    Returns:
        By the number of queries that wait together: a core's milliseconds for each query, one by
        one and by products, each repetition's, ascending; no products where there are none.
    """
    index = FLAT.create(dimension)
    index.add(directions(num_vectors, dimension, 0))
    base = Segment(FLAT, index, np.arange(num_vectors), np.zeros(num_vectors, np.bool_))
    queries = directions(max(TOGETHER), dimension, 1)

    def one_by_one(count: int) -> None:
        for start in range(0, count, QUERIES_PER_CALL):
            end = min(count, start + QUERIES_PER_CALL)
            base.search(queries[start:end], k, None, Breadth())

    def by_products(count: int) -> None:
        asked = [Wanted(query[None, :], k, None, Breadth()) for query in queries[:count]]
        assert None not in base.search_together(asked)

    by_products(max(TOGETHER))  # how long vectors are is found out once
    taken: dict[int, tuple[list[float], list[float]]] = {count: ([], []) for count in TOGETHER}
    for _ in range(repetitions):
        for count, (alone, together) in taken.items():
            alone.append(_milliseconds(one_by_one, count))
            if count >= FEWEST_QUERIES:
                together.append(_milliseconds(by_products, count))
    return {count: (sorted(alone), sorted(both)) for count, (alone, both) in taken.items()}


def _milliseconds(search: Callable[[int], None], count: int) -> float:
    began = time.process_time()
    search(count)
    return 1_000 * (time.process_time() - began) / count


def main(
    vectors: Annotated[int, typer.Option(min=5_000, help="Vectors of the base.")] = 100_000,
    dimension: Annotated[int, typer.Option(min=1, help="Components of each.")] = 384,
    k: Annotated[int, typer.Option("--k", min=1, max=1_000, help="Neighbours of each.")] = 50,
    repetitions: Annotated[int, typer.Option(min=1, help="How often all is measured.")] = 5,
) -> None:
    """A core's milliseconds for each of several exact searches that wait together."""
    for line in this_machine().lines():
        print(line)
    print(f"faiss {faiss.__version__}, {vectors:,} vectors of {dimension:,}, k {k}, one thread")
    print(f"{repetitions} repetitions: median (least to most)")
    print(f"{'together':>8}  {'one by one, ms':>22}  {'by products, ms':>22}  ratio")
    for count, (alone, together) in measured(vectors, dimension, k, repetitions).items():
        ratio = f"{statistics.median(alone) / statistics.median(together):.1f}" if together else ""
        print(f"{count:>8}  {_told(alone):>22}  {_told(together):>22}  {ratio:>5}")


def _told(values: list[float]) -> str:
    if not values:
        return ""
    return f"{statistics.median(values):.2f} ({values[0]:.2f} to {values[-1]:.2f})"


if __name__ == "__main__":
    typer.run(main)
