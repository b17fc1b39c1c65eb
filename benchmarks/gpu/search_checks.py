"""The first pass on a GPU: exact searches of a copy against the same on the CPU."""

import time

import numpy as np

from twopass._core import available_cpus
from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.figures import figure_of
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.engines.base import Float32s
from twopass.index.arrays import Int64s
from twopass.index.kinds import FLAT, Breadth
from twopass.index.vectors.gpu_replica import GpuUnavailableError, gpu_cloner
from twopass.index.vectors.search_threads import SearchThreads
from twopass.index.vectors.segments import Segment

_DIMENSION, _QUERIES, _NEIGHBOURS = 384, 64, 100


def vector_search(scale: Scale, field: Field) -> list[Row]:
    """Queries a second of an exact search, 64 a call: a segment on the CPU, and its copies."""
    del field
    cloners = {}
    try:
        if scale.on_gpu:
            for half in (False, True):
                name = f"GPU {'float16' if half else 'float32'}"
                cloners[name] = gpu_cloner(use_float16=half)
    except GpuUnavailableError as error:
        raise NotHereError(str(error)) from error
    generator = np.random.default_rng(0)
    rows = []
    for count in scale.num_vectors:
        vectors, queries = (_unit_vectors(generator, number) for number in (count, _QUERIES))
        keys = np.arange(count)
        index = FLAT.create(_DIMENSION)
        index.add(vectors)
        master = Segment(FLAT, index, keys, np.zeros(count, np.bool_))
        exact = _nearest(master, queries)
        row: Row = {"vectors": count, "CPU queries/s": _searches(master, queries, scale, 1)}
        for name, clone in cloners.items():
            replica = Segment(FLAT, index, keys, np.zeros(count, np.bool_))
            replica.replicate(clone)
            found = _nearest(replica, queries)
            hits = [np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]
            row |= {
                f"{name} queries/s": _searches(replica, queries, scale, scale.turns),
                f"{name} recall@100": float(np.mean(hits)),
            }
        rows.append(row)
    return rows


def _unit_vectors(generator: np.random.Generator, count: int) -> Float32s:
    drawn: Float32s = generator.standard_normal((count, _DIMENSION), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _nearest(segment: Segment, queries: Float32s) -> Int64s:
    threads = SearchThreads(available_cpus())
    return segment.search(queries, _NEIGHBOURS, None, Breadth(), threads=threads).keys


def _searches(
    segment: Segment, queries: Float32s, scale: Scale, turns: int
) -> dict[str, float] | None:
    """The figure of so many turns of searches a second."""

    def speed() -> float:
        began, done = time.perf_counter(), 0
        while not done or time.perf_counter() - began < scale.seconds:
            _nearest(segment, queries)
            done += len(queries)
        return done / (time.perf_counter() - began)

    return figure_of([speed() for _ in range(turns)])
