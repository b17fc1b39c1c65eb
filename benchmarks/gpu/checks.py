"""What the ledger measures: each check gives rows of a table, or raises what stood in its way."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from twopass._core import available_cpus
from twopass.benchmarks.gpu.made_pairs import mixed_lengths, pairs_of
from twopass.benchmarks.gpu.plain_pytorch import PlainPyTorch
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.speed import (
    computed_per_second,
    latency,
    padding_share,
    pairs_per_second,
    products_of,
)
from twopass.benchmarks.latency import Sweep, measure
from twopass.benchmarks.workload import RerankWorkload, Texts
from twopass.client import AsyncClient
from twopass.engines.base import Engine, Float32s
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.gpu.cuda_device import find_gpu
from twopass.engines.gpu.plan_cache import PlanCache, default_plan_folder
from twopass.engines.gpu.tensorrt_api import BuildLog, find_tensorrt
from twopass.engines.gpu.tensorrt_engine import TensorRtEngine
from twopass.engines.gpu.tensorrt_plans import PlanRequest, cached_plan
from twopass.engines.gpu.torch_engine import TorchEngine, find_torch
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.index.arrays import Int64s
from twopass.index.kinds import FLAT, Breadth
from twopass.index.vectors.gpu_replica import gpu_cloner
from twopass.index.vectors.search_threads import SearchThreads
from twopass.index.vectors.segments import Segment
from twopass.server.local import COMPUTES_ALL, LocalServer

Row = dict[str, Any]
RERANKER = "twopass-minilm-l6"
_LATENCY_PAIRS, _LATENCY_TOKENS = (40, 100), 128


def tensorrt_accepts_the_gpu(scale: Scale) -> list[Row]:
    """Whether TensorRT opens a plan on this GPU, in its own words."""
    tensorrt = find_tensorrt()
    gpu = str(find_gpu()) if scale.on_gpu else "none"
    request = PlanRequest(open_model(scale.model(RERANKER)), tensorrt, gpu)
    plan = cached_plan(PlanCache(default_plan_folder()), request)
    row: Row = {"tensorrt": f"{tensorrt.name} {tensorrt.version}", "gpu": gpu}
    if not scale.on_gpu:
        return [row | {"plan": f"{len(plan):,} bytes built", "opens": "not tried: no GPU"}]
    log = BuildLog()
    runtime = tensorrt.module.Runtime(log.logger(tensorrt))
    if tensorrt.is_portable:
        validity, diagnostics = runtime.get_engine_validity(plan)
        row |= {"validity": str(validity), "diagnostics": str(diagnostics)}
    opened = runtime.deserialize_cuda_engine(plan)
    return [row | {"opens": opened is not None, "words": "; ".join(log.errors)}]


def matmul_ceiling(scale: Scale) -> list[Row]:
    """Products of large square matrices by PyTorch: what the device can do at most."""
    torch = find_torch()
    device, dtype = ("cuda", torch.float16) if scale.on_gpu else ("cpu", torch.float32)
    size = scale.matrix_size
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def wait() -> None:
        if scale.on_gpu:
            torch.cuda.synchronize()

    torch.matmul(left, right)
    wait()
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < scale.seconds:
        for _ in range(10):
            torch.matmul(left, right)
        wait()
        done += 10
    speed = done * 2 * size**3 / (time.perf_counter() - began)
    return [{"type": str(dtype), "size": size, "TFLOP/s": speed / 1e12}]


EngineMaker = Callable[[ModelFolder], Engine]


def engines_of(scale: Scale) -> dict[str, EngineMaker]:
    """The engines to compare, by what the report calls them."""
    cpu: dict[str, EngineMaker] = {"cpu int8": CpuEngine}
    host: dict[str, EngineMaker] = {
        "torch f32 on the CPU": lambda folder: TorchEngine(folder, device="cpu")
    }
    gpu: dict[str, EngineMaker] = {
        "tensorrt fp16": TensorRtEngine,
        "tensorrt fp16, no CUDA graphs": lambda folder: TensorRtEngine(folder, use_graphs=False),
        "torch fp16": TorchEngine,
        "torch fp16, CUDA graphs": lambda folder: TorchEngine(folder, use_graphs=True),
    }
    return (gpu if scale.on_gpu else host) | cpu


@contextmanager
def _opened(scale: Scale, make: EngineMaker) -> Iterator[Engine]:
    engine = make(open_model(scale.model(RERANKER)))
    try:
        yield engine
    finally:
        engine.close()


def speed_by_shape(scale: Scale, make: EngineMaker) -> list[Row]:
    """Pairs a second for every length and batch size."""
    architecture = read_architecture(open_model(scale.model(RERANKER)).config)
    rows = []
    with _opened(scale, make) as engine:
        for seq_len in scale.seq_lens:
            for size in scale.batch_sizes:
                if size * seq_len > max(engine.info.max_batch_tokens, seq_len):
                    continue
                batch = pairs_of([seq_len] * size)
                speed = pairs_per_second(engine, batch, scale.seconds)
                flops = speed * products_of(architecture, batch) / size
                rows.append(
                    {"tokens": seq_len, "batch": size, "pairs/s": speed, "TFLOP/s": flops / 1e12}
                )
    return rows


def speed_at_mixed_lengths(scale: Scale, make: EngineMaker) -> list[Row]:
    """Pairs a second at the lengths of web passages, and what overlapping copies brings."""
    batch = pairs_of(mixed_lengths(scale.mixed_pairs, 512))
    with _opened(scale, make) as engine:
        overlapped = pairs_per_second(engine, batch, scale.seconds)
        single = pairs_of(batch.lengths[:128])
        return [
            {
                "pairs/s": overlapped,
                "padding": padding_share(engine, batch),
                "pairs/s of batches of 128, one in flight": pairs_per_second(
                    engine, single, scale.seconds, in_flight=1
                ),
                "pairs/s of batches of 128, overlapped": pairs_per_second(
                    engine, single, scale.seconds
                ),
            }
        ]


def latency_of_requests(scale: Scale, make: EngineMaker) -> list[Row]:
    """Milliseconds for 40 and 100 passages of 128 tokens, one request after another."""
    rows = []
    with _opened(scale, make) as engine:
        for count in _LATENCY_PAIRS:
            batch = pairs_of([_LATENCY_TOKENS] * count)
            found = latency(lambda b: engine.submit(b).result(), batch, scale.latency_requests)
            rows.append({"passages": count, "p50 ms": found.p50, "p99 ms": found.p99})
    return rows


def plain_pytorch(scale: Scale) -> list[Row]:
    """Transformers in half precision, padded and sorted, on the same weights and pairs."""
    folder = open_model(scale.model(RERANKER)).path
    device = "cuda" if scale.on_gpu else "cpu"
    mixed = pairs_of(mixed_lengths(scale.mixed_pairs, 512))
    rows = []
    for batch_size, compiled in ((32, False), (128, False), (128, True)):
        if compiled and not scale.on_gpu:
            continue  # minutes of compilation for a figure that means nothing
        model = PlainPyTorch(folder, device=device, batch_size=batch_size, compiled=compiled)
        row: Row = {"batch": batch_size, "torch.compile": compiled}
        row["pairs/s at mixed lengths"] = computed_per_second(model, mixed, scale.seconds)
        for count in _LATENCY_PAIRS:
            batch = pairs_of([_LATENCY_TOKENS] * count)
            row[f"p50 ms, {count} passages"] = latency(model, batch, scale.latency_requests).p50
        rows.append(row)
    return rows


def through_grpc(scale: Scale, engine: str) -> list[Row]:
    """The whole server on the engine: Rerank of 40 and 100 passages, several under way."""
    rows = []
    flags: tuple[str, ...] = (
        *COMPUTES_ALL,
        "--engine",
        engine,
        "--reranker",
        scale.model(RERANKER),
    )
    if scale.models is not None:
        flags += ("--encoder", scale.model("all-MiniLM-L6-v2"))
    with LocalServer(None, flags=flags) as server:
        for count in _LATENCY_PAIRS:
            rows += asyncio.run(_sweep(scale, server.target, count))
    return rows


async def _sweep(scale: Scale, target: str, count: int) -> list[Row]:
    # A passage of 100 tokens and a query of ten words make a pair of about 115.
    workload = RerankWorkload(Texts(1), num_candidates=count, passage_tokens=100)
    sweep = Sweep(
        concurrencies=scale.concurrencies,
        rates=(),
        seconds=scale.seconds,
        warm_up_seconds=scale.seconds / 3,
        seed=1,
    )
    async with AsyncClient(target) as client:
        report = await measure(target, client, workload, sweep, lambda *_: None)
    return [
        {
            "passages": count,
            "under way": int(summary.level),
            "pairs/s": summary.pairs_per_second,
            "p50 ms": summary.latency_ms.get("p50"),
            "p99 ms": summary.latency_ms.get("p99"),
            "errors": summary.num_errors,
        }
        | {f"{stage} ms": value for stage, value in summary.stages_ms.items()}
        for summary in report.closed_loop
    ]


def vector_search(scale: Scale) -> list[Row]:
    """Queries a second of an exact search, 64 a call: a segment on the CPU, and its copy's."""
    cloners = {
        f"GPU {'float16' if half else 'float32'}": gpu_cloner(use_float16=half)
        for half in (False, True)
        if scale.on_gpu
    }
    generator = np.random.default_rng(0)
    rows = []
    for count in scale.num_vectors:
        vectors, queries = (_unit_vectors(generator, number) for number in (count, 64))
        keys = np.arange(count)
        index = FLAT.create(vectors.shape[1])
        index.add(vectors)
        master = Segment(FLAT, index, keys, np.zeros(count, np.bool_))
        exact = _nearest(master, queries)
        row: Row = {"vectors": count, "CPU queries/s": _searches(master, queries, scale.seconds)}
        for name, clone in cloners.items():
            replica = Segment(FLAT, index, keys, np.zeros(count, np.bool_))
            replica.replicate(clone)
            found = _nearest(replica, queries)
            hits = [np.isin(a, b).mean() for a, b in zip(found, exact, strict=True)]
            row |= {
                f"{name} queries/s": _searches(replica, queries, scale.seconds),
                f"{name} recall@100": float(np.mean(hits)),
            }
        rows.append(row)
    return rows


def _unit_vectors(generator: np.random.Generator, count: int) -> Float32s:
    drawn: Float32s = generator.standard_normal((count, 384), np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _nearest(segment: Segment, queries: Float32s) -> Int64s:
    threads = SearchThreads(available_cpus())
    return segment.search(queries, 100, None, Breadth(), threads=threads).keys


def _searches(segment: Segment, queries: Float32s, seconds: float) -> float:
    began, done = time.perf_counter(), 0
    while not done or time.perf_counter() - began < seconds:
        _nearest(segment, queries)
        done += len(queries)
    return done / (time.perf_counter() - began)
