"""Throughput and latency of one engine, without a server around it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from twopass.benchmarks.summary import percentile
from twopass.engines.base import Engine, PaddedLayout, TokenBatch
from twopass.engines.gpu.torch_engine import TorchEngine
from twopass.engines.model.architecture import Architecture
from twopass.engines.onnx.bucket_grid import BucketGrid

Compute = Callable[[TokenBatch], object]
"""Scores a batch and returns when its results are there."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Of requests one after another, in milliseconds; None where the samples are too few."""

    p50: float | None
    p99: float | None


def pairs_per_second(
    engine: Engine, batch: TokenBatch, seconds: float, *, in_flight: int | None = None
) -> float:
    """Submits a batch over and over, as many at once as the engine overlaps, and one that waits."""
    most = in_flight or engine.info.max_in_flight + 1
    waiting = deque([engine.submit(batch)])
    waiting.popleft().result()  # warms up
    done = 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or waiting:
        while len(waiting) < most and time.perf_counter() - began < seconds:
            waiting.append(engine.submit(batch))
        if waiting:
            waiting.popleft().result()
            done += len(batch)
    return done / (time.perf_counter() - began)


def computed_per_second(compute: Compute, batch: TokenBatch, seconds: float) -> float:
    """The same for what can do but one thing at a time."""
    compute(batch)  # warms up
    done = 0
    began = time.perf_counter()
    while not done or time.perf_counter() - began < seconds:
        compute(batch)
        done += len(batch)
    return done / (time.perf_counter() - began)


def latency(compute: Compute, batch: TokenBatch, requests: int) -> Latency:
    """Asks again and again, each time when the answer is there."""
    compute(batch)  # warms up
    times = []
    for _ in range(requests):
        began = time.perf_counter()
        compute(batch)
        times.append(1e3 * (time.perf_counter() - began))
    times.sort()
    return Latency(percentile(times, 500), percentile(times, 990))


def padding_share(engine: Engine, batch: TokenBatch) -> float:
    """Share of the tokens computed that are padding, surplus rows of batch steps counted."""
    if isinstance(engine, TorchEngine):
        return 1 - batch.num_tokens / engine.num_computed_tokens(batch)
    layout = engine.info.layout
    if not isinstance(layout, PaddedLayout):
        return 0.0
    grid = BucketGrid(layout.buckets, engine.info.max_batch_tokens)
    computed = sum(
        launch.seq_len * grid.step(launch.seq_len, len(launch.rows)) for launch in grid.plan(batch)
    )
    return 1 - batch.num_tokens / computed


def products_of(architecture: Architecture, batch: TokenBatch) -> float:
    """Floating-point operations of the matrix products that a batch needs, padding not counted."""
    hidden, inner = architecture.hidden_size, architecture.intermediate_size
    lengths = batch.lengths.astype(float)
    in_mlp = 3 if architecture.gated else 2
    linear = 2.0 * (4 * hidden * hidden + in_mlp * hidden * inner) * lengths.sum()
    attention = 4.0 * hidden * (lengths**2).sum()
    return float(architecture.num_layers * (linear + attention))
