"""The first pass on a GPU: searches of copies against the same on the CPU, and through a server."""

import time
from collections.abc import Callable
from typing import Any

import faiss
import numpy as np

from twopass._core import available_cpus
from twopass.benchmarks.gpu.contestants import RERANKER, Field
from twopass.benchmarks.gpu.figures import figure_of
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.vector_device import KINDS, clustered_vectors, measured
from twopass.engines.base.sequences import Float32s
from twopass.engines.installing import how_to_install
from twopass.index.arrays import Int64s
from twopass.index.kinds import FLAT, Breadth, IndexKind
from twopass.index.vectors.answerable import Answerable
from twopass.index.vectors.device_search import DeviceSearch, GpuReplica
from twopass.index.vectors.gpu_device import GpuDevice, GpuUnavailableError, find_gpu
from twopass.index.vectors.search_threads import SearchThreads
from twopass.index.vectors.segments import Segment

_DIMENSION, _QUERIES, _NEIGHBOURS = 384, 64, 100
_LISTS, _VECTORS_PER_LIST = 256, 100


def vector_search(scale: Scale, field: Field) -> list[Row]:
    """Queries a second of an exact search, 64 a call: a segment on the CPU, and its copies."""
    del field
    cloners = {}
    if scale.on_gpu:
        for half in (False, True):
            name = f"GPU {'float16' if half else 'float32'}"
            cloners[name] = _device(use_float16=half)
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
            row |= {
                f"{name} queries/s": _searches(replica, queries, scale, scale.turns),
                f"{name} recall@100": _recall(found, exact),
            }
        rows.append(row)
    return rows


def lists_and_graph(scale: Scale, field: Field) -> list[Row]:
    """Queries a second of lists and of a graph, 64 a call: on the CPU, and as copies on a GPU.

    The graph is CAGRA whatever its size: a server has one above a million vectors alone.
    """
    if scale.on_gpu:
        _device()
    count = scale.num_vectors[0]
    vectors, queries = clustered_vectors(count, _QUERIES)
    nearest = np.argsort(-(queries @ vectors.T), axis=1)[:, :_NEIGHBOURS]
    lists = max(2, min(_LISTS, count // _VECTORS_PER_LIST))
    rows = []
    for factory in (f"IVF{lists},Flat", "HNSW32"):
        kind = IndexKind.parse(factory)
        index = kind.create(_DIMENSION)
        if kind.num_lists:
            index.train(vectors[: kind.max_training])
        index.add(vectors)
        master = Segment(kind, index, np.arange(count), np.zeros(count, np.bool_))
        row: Row = {
            "index": factory,
            "vectors": count,
            "CPU queries/s": _searches(master, queries, scale, 1),
            "CPU recall@100": _recall(_nearest(master, queries), nearest),
        }
        if kind.num_links and scale.on_gpu and not hasattr(faiss, "GpuIndexCagra"):
            field.missing["CAGRA"] = f"not in this faiss: {how_to_install('faiss-gpu-cuvs')}"
        elif scale.on_gpu:
            row |= _of_copy(kind, index, queries, nearest, scale)
        rows.append(row)
    return rows


def _of_copy(kind: IndexKind, index: Any, queries: Float32s, nearest: Int64s, scale: Scale) -> Row:
    """How long a copy takes to make, and how fast and how right its answers are."""
    began = time.perf_counter()
    copy = GpuReplica(index, kind, GpuDevice(graph_components=1))
    seconds = time.perf_counter() - began
    if not copy.is_on_gpu:  # it has warned of why
        return {"GPU form": "none: it was not made"}
    everything = Answerable(index.ntotal)
    wanted = DeviceSearch(queries, _NEIGHBOURS, everything, Breadth(), must_be_exact=False)

    def search() -> None:
        copy.answer([wanted])

    (found,) = copy.answer([wanted])
    if found is None:
        copy.close()
        return {"GPU form": "none: it failed"}
    row: Row = {
        "GPU form": str(copy.form),
        "copied in s": seconds,
        "GPU queries/s": figure_of([_speed(search, scale) for _ in range(scale.turns)]),
        "GPU recall@100": _recall(found.positions, nearest),
        "answered": float(found.answered.mean()),
    }
    copy.close()
    return row


def served_vectors(scale: Scale, field: Field) -> list[Row]:
    """Searches a second of a server with its vectors on a GPU, by kind, filter and load."""
    del field
    flags: tuple[str, ...] = ()
    if scale.models is not None:
        encoder = scale.model("all-MiniLM-L6-v2")
        flags = ("--reranker", scale.model(RERANKER), "--encoder", encoder)
    if scale.on_gpu:
        _device()
    return measured(
        device="gpu" if scale.on_gpu else "cpu",
        num_vectors=scale.num_vectors[0],
        kinds=tuple(KINDS) if scale.on_gpu else ("exact",),
        under_way=(1, 8, 64) if scale.on_gpu else (1, 8),
        seconds=scale.seconds,
        flags=flags,
        log=scale.logs and scale.logs / "server-of-vectors.log",
    )


def _device(*, use_float16: bool = False) -> GpuDevice:
    """The first GPU, as far as faiss has one.

    Raises:
        NotHereError: It has none; says what is lacking.
    """
    try:
        return find_gpu(use_float16=use_float16)
    except GpuUnavailableError as error:
        raise NotHereError(str(error)) from error


def _unit_vectors(generator: np.random.Generator, count: int) -> Float32s:
    drawn: Float32s = generator.standard_normal((count, _DIMENSION), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _nearest(segment: Segment, queries: Float32s) -> Int64s:
    threads = SearchThreads(available_cpus())
    return segment.search(queries, _NEIGHBOURS, None, Breadth(), threads=threads).keys


def _recall(found: Int64s, nearest: Int64s) -> float:
    """The share of the nearest that was found, of all queries."""
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(nearest, found, strict=True)]))


def _searches(
    segment: Segment, queries: Float32s, scale: Scale, turns: int
) -> dict[str, float] | None:
    """The figure of so many turns of searches a second."""
    return figure_of([_speed(lambda: _nearest(segment, queries), scale) for _ in range(turns)])


def _speed(search: Callable[[], object], scale: Scale) -> float:
    """Queries a second of calls of `_QUERIES` each."""
    began, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began < scale.seconds:
        search()
        done += _QUERIES
    return done / (time.perf_counter() - began)
