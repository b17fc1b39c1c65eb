"""Throughput and latency of one engine, without a server around it."""

import time
from collections import deque
from collections.abc import Callable

from twopass.engines.base.engine import Engine, PaddedLayout
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.model.architecture import Architecture
from twopass.engines.onnx.bucket_grid import BucketGrid

_LEAST_REQUESTS = 2  # a median wants two

Compute = Callable[[TokenBatch], object]
"""Scores a batch and returns when its results are there."""


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


def latency(
    compute: Compute, batch: TokenBatch, requests: int, seconds: float = float("inf")
) -> list[float]:
    """Asks again and again, each time when the answer is there; milliseconds, ascending.

    Args:
        compute: What is asked.
        batch: What it is asked for.
        requests: How often.
        seconds: After which no more are made, once there are two.
    """
    compute(batch)  # warms up
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < requests and (len(times) < _LEAST_REQUESTS or time.perf_counter() < end):
        began = time.perf_counter()
        compute(batch)
        times.append(1e3 * (time.perf_counter() - began))
    return sorted(times)


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
