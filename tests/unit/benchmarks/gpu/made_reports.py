"""Reports of the ledger that never were measured, for tests of what is made of them."""

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.report import About, Report
from twopass.benchmarks.gpu.variants import VARIANTS


def figure(median, spread=0.1, turns=3):
    return {
        "median": median,
        "least": median * (1 - spread),
        "most": median * (1 + spread),
        "turns": turns,
    }


def about(**others):
    known = {
        "date": "2026-11-30",
        "commit": "0123abc",
        "gpu": "NVIDIA X",
        "compute_capability": (9, 0),
        "driver": "580.1",
        "cuda": "13.0",
        "cpu": "a processor",
        "num_cores": 16,
        "flags": ("amx_int8",),
        "versions": {"python": "3.12.3", "torch": "2.11.0"},
        "minutes": 9,
        "seconds": 500.5,
        "turns": 3,
    }
    return About(**known | others)


def outcomes(*, speed=45_000.0, gain=1.5, apart=0.005, plain_apart=0.005, failed=0, failed_of=()):
    """Of every check that a goal or a row of `shown.json` is read from.

    Args:
        speed: Pairs a second of the slowest way to launch.
        gain: By which each further way is faster than the one before.
        apart: Of the results, from float32.
        plain_apart: The same of what launches every kernel by itself.
        failed: Tests that failed.
        failed_of: Paths that they were of.
    """
    speeds = [speed * gain**number for number in range(len(VARIANTS))]
    latencies = [2.7 / gain**number for number in range(len(VARIANTS))]
    ours = list(zip(VARIANTS, speeds, latencies, strict=True))
    return (
        Outcome(
            names.TENSORRT,
            [
                {
                    "tensorrt": "tensorrt_rtx 1.7.1",
                    "refused": True,
                    "plans built": 0,
                    "seconds": 0.4,
                    "seconds when asked again": 0.001,
                    "words": "tensorrt_rtx 1.7.1 does not run on NVIDIA X: it names 8.9",
                }
            ],
        ),
        Outcome(
            names.TESTS,
            [
                {
                    "tests": "a",
                    names.LAUNCH_PATHS: names.of_paths(variant.paths),
                    "passed": 9,
                    "failed": failed if variant.paths == failed_of else 0,
                }
                for variant in VARIANTS
            ],
            "",
            20.0,
        ),
        Outcome(names.CEILING, [{"TFLOP/s": figure(600.0)}], "", 5.0),
        Outcome(
            names.ALIKE,
            [
                {"engine": v.name, "furthest logit": apart if v.paths else plain_apart}
                for v, _, _ in ours
            ],
        ),
        Outcome(
            names.LATENCY,
            [
                *({"engine": v.name, "passages": 40, "p50 ms": figure(p)} for v, _, p in ours),
                {"engine": names.CORE, "passages": 40, "p50 ms": figure(0.1)},
            ],
        ),
        Outcome(
            names.MIXED,
            [
                *({"engine": v.name, "pairs/s": figure(s)} for v, s, _ in ours),
                {"engine": f"{names.PLAIN}, batches of 32", "pairs/s": figure(8_000.0)},
                {"engine": f"{names.PLAIN}, batches of 128", "pairs/s": figure(18_000.0)},
                {"engine": names.CORE, "pairs/s": figure(4_500.0)},
            ],
        ),
        Outcome(
            names.FIXED,
            [
                {"engine": v.name, "tokens": 128, "batch": 512, "pairs/s": figure(s)}
                for v, s, _ in ours
            ],
        ),
        Outcome(names.SERVED, [{"engine": v.name, "pairs/s": figure(s)} for v, s, _ in ours]),
        *(
            Outcome(
                names.server_of(v.name),
                [
                    {"wire": "gRPC", "passages": 40, "under way": 1, "p50 ms": figure(3 * p)},
                    {"wire": "HTTP", "passages": 40, "under way": 1, "p50 ms": figure(p / 2)},
                    {"wire": "gRPC", "passages": 100, "under way": 32, "pairs/s": figure(s / 2)},
                ],
            )
            for v, s, p in ours
        ),
        Outcome(names.TRAINING, [{"way": "packed", "pairs/s": figure(60_000.0)}]),
    )


def report(**others):
    return Report(about=about(), checks=outcomes(**others))
