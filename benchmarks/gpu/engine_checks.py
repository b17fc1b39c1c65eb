"""Engines in one process, without a server around them, in turns: before and after side by side."""

import time
from dataclasses import replace
from itertools import chain

import numpy as np

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.contestants import RERANKER, Field, Opened, furthest
from twopass.benchmarks.gpu.figures import figure_of, median_of
from twopass.benchmarks.gpu.made_pairs import mixed_lengths, pairs_of
from twopass.benchmarks.gpu.outcome import NotHereError, Row
from twopass.benchmarks.gpu.plain_pytorch import PlainPyTorch
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.speed import computed_per_second, latency, products_of
from twopass.benchmarks.gpu.variants import VARIANTS
from twopass.benchmarks.summary import percentile
from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model

_TOKENS, _LONGEST = 128, 512
# As the server is asked by `server_checks.py`: passages of 75 to 125 tokens, a query of ten, and
# the three tokens that stand around both.
_SERVED_PAIRS, _SHORTEST_SERVED, _LONGEST_SERVED = 2_048, 88, 138
# A shape is captured as a graph once it was missed twice and nothing waits: a pause lets it.
_WARM_UP_SECONDS, _WARM_UPS, _PAUSE_SECONDS = 0.3, 3, 0.05
_MIDDLE, _NEAR_THE_END = 500, 990
_MOST_TOKENS = 65_536  # of a batch in the table of shapes


def results_alike(scale: Scale, field: Field) -> list[Row]:
    """How far each engine's logits are from those of float32, at most, on one set of pairs."""
    batch = pairs_of(mixed_lengths(scale.alike_pairs, _LONGEST))
    expected = _float32_logits(scale, batch)
    found = field.in_turns(lambda opened: opened.compute(batch), 1, _is_no_core)
    return [
        {
            "engine": name,
            "pairs": len(batch),
            "furthest logit": furthest(logits, expected),
            "mean difference": float(np.mean(np.abs(logits - expected))),
        }
        for name, (logits,) in found.items()
    ]


def requests(scale: Scale, field: Field) -> list[Row]:
    """Milliseconds for 40 and 100 passages of 128 tokens, one request after another."""
    rows = []
    for count in scale.passages:
        batch = pairs_of([_TOKENS] * count)

        def times(opened: Opened, batch: TokenBatch = batch) -> tuple[list[float], bool]:
            warm_up(opened, batch)
            took = latency(opened.compute, batch, scale.latency_requests, 2 * scale.seconds)
            return took, opened.has_graphs

        for name, found in field.in_turns(times, scale.turns).items():
            turns = [took for took, _ in found]
            rows.append(
                {
                    "engine": name,
                    "passages": count,
                    "p50 ms": figure_of([percentile(each, _MIDDLE) for each in turns]),
                    "p99 ms": percentile(sorted(chain(*turns)), _NEAR_THE_END),
                    "CUDA graphs": found[-1][1],
                }
            )
    return rows


def fixed_length(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second at 128 tokens, as many batches under way as an engine takes; ours alone."""
    return _by_shape(scale, field, [(_TOKENS, size) for size in scale.batch_sizes[-2:]])


def served_lengths(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second at the lengths of what the server is asked: the server's share is of these."""
    count = min(_SERVED_PAIRS, 4 * scale.mixed_pairs)
    generator = np.random.default_rng(1)
    batch = pairs_of(generator.integers(_SHORTEST_SERVED, _LONGEST_SERVED, count).astype(np.int32))
    found = field.in_turns(lambda opened: _speed(opened, batch, scale), scale.turns, _is_served)
    return [{"engine": name, "pairs/s": figure_of(turns)} for name, turns in found.items()]


def mixed(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second at the lengths of web passages, and what overlapping batches brings."""
    batch = pairs_of(mixed_lengths(scale.mixed_pairs, _LONGEST))
    single = pairs_of(batch.lengths[:_TOKENS])

    def speeds(opened: Opened) -> tuple[float, float, float, float | None]:
        whole = _speed(opened, batch, scale)
        warm_up(opened, single)
        return (
            whole,
            opened.per_second(single, scale.seconds / 2, in_flight=1),
            opened.per_second(single, scale.seconds / 2),
            opened.padding(batch),
        )

    rows = []
    for name, turns in field.in_turns(speeds, scale.turns).items():
        whole, alone, overlapped, shares = zip(*turns, strict=True)
        rows.append(
            {
                "engine": name,
                "pairs/s": figure_of(whole),
                "padding": shares[-1],
                "pairs/s of batches of 128, one in flight": figure_of(alone),
                "pairs/s of batches of 128, overlapped": figure_of(overlapped),
            }
        )
    return rows


def speed_by_shape(scale: Scale, field: Field) -> list[Row]:
    """Pairs a second for every length and batch size, engines of GPUs alone."""
    shapes = [(tokens, size) for tokens in scale.seq_lens for size in scale.batch_sizes]
    fitting = [(tokens, size) for tokens, size in shapes if tokens * size <= _MOST_TOKENS]
    shorter = replace(scale, turns=1, seconds=scale.seconds / 2)
    return _by_shape(shorter, field, fitting)


def _by_shape(scale: Scale, field: Field, shapes: list[tuple[int, int]]) -> list[Row]:
    architecture = read_architecture(open_model(scale.model(RERANKER)).config)
    rows = []
    for tokens, size in shapes:
        batch = pairs_of([tokens] * size)
        teraflop = products_of(architecture, batch) / size / 1e12

        def speed(opened: Opened, batch: TokenBatch = batch) -> float:
            return _speed(opened, batch, scale)

        for name, turns in field.in_turns(speed, scale.turns, names.is_ours).items():
            figure = figure_of(turns)
            rows.append(
                {
                    "engine": name,
                    "tokens": tokens,
                    "batch": size,
                    "pairs/s": figure,
                    "TFLOP/s": (median_of(figure) or 0.0) * teraflop,
                }
            )
    return rows


def compiled_pytorch(scale: Scale, field: Field) -> list[Row]:
    """Transformers' model through `torch.compile`, which takes a minute to begin."""
    del field
    if not scale.on_gpu:
        raise NotHereError("minutes of compilation on a CPU, for a figure that means nothing")
    folder = open_model(scale.model(RERANKER)).path
    model = PlainPyTorch(folder, device="cuda", batch_size=128, compiled=True)
    batch = pairs_of(mixed_lengths(scale.mixed_pairs, _LONGEST))
    began = time.perf_counter()
    model(batch)
    seconds = time.perf_counter() - began
    speeds = [computed_per_second(model, batch, scale.seconds) for _ in range(scale.turns)]
    return [
        {
            "engine": f"{names.PLAIN}, compiled, batches of 128",
            "pairs/s": figure_of(speeds),
            "compiled in s": seconds,
        }
    ]


def warm_up(opened: Opened, batch: TokenBatch) -> None:
    """Computes a batch until nothing of it is done for the first time."""
    end, count = time.perf_counter() + _WARM_UP_SECONDS, 0
    while count < _WARM_UPS and time.perf_counter() < end:
        opened.compute(batch)
        count += 1
    time.sleep(_PAUSE_SECONDS)
    opened.compute(batch)


def _speed(opened: Opened, batch: TokenBatch, scale: Scale) -> float:
    warm_up(opened, batch)
    return opened.per_second(batch, scale.seconds)


def _float32_logits(scale: Scale, batch: TokenBatch) -> Float32s:
    folder = open_model(scale.model(RERANKER))
    device = "cuda" if scale.on_gpu else "cpu"
    engine = TorchEngine(folder, device=device, precision=Precision.F32)
    try:
        return engine.submit(batch).result()
    finally:
        engine.close()


def _is_served(engine: str) -> bool:
    """The ways to launch that no server is measured with are left out."""
    return names.is_ours(engine) and engine not in {each.name for each in VARIANTS[1:-1]}


def _is_no_core(engine: str) -> bool:
    """The engine cpu computes in int8, and promises something else."""
    return engine != names.CORE
