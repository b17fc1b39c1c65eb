"""Every check in order of worth, with the time that it takes: what does not fit is left out."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.contestants import Field
from twopass.benchmarks.gpu.device_checks import matmul_ceiling, tensorrts_word
from twopass.benchmarks.gpu.engine_checks import (
    compiled_pytorch,
    fixed_length,
    mixed,
    requests,
    results_alike,
    served_lengths,
    speed_by_shape,
)
from twopass.benchmarks.gpu.outcome import Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.search_checks import lists_and_graph, served_vectors, vector_search
from twopass.benchmarks.gpu.server_checks import Served, through_server
from twopass.benchmarks.gpu.tests_on_gpu import tests_of_search, tests_of_tensorrt, tests_of_torch
from twopass.benchmarks.gpu.training_check import training, training_compiled, training_twice
from twopass.benchmarks.gpu.variants import AFTER, BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Something to be measured.

    Attributes:
        name: In reports; one of `names`.
        run: Measures it, or raises what stood in its way.
        seconds: How long it takes on the ledger's first host, or is thought to.
        dry_seconds: The same on a CPU.
        is_alone: Whether it wants a process in which nothing was opened before.
        most_seconds: After which its process is killed, where that is far above `seconds`: what may
            have to be built first.
        wants_faiss_gpu: Whether its process has the package faiss-gpu in the place of faiss-cpu.
    """

    name: str
    run: Callable[[Scale, Field], list[Row]]
    seconds: float
    dry_seconds: float
    is_alone: bool = False
    most_seconds: float = 0.0
    wants_faiss_gpu: bool = False

    def expected(self, scale: Scale) -> float:
        """How long it takes at a scale."""
        return self.seconds if scale.on_gpu else self.dry_seconds


def checks_of(scale: Scale) -> list[Check]:
    """Every check, the most worth first."""
    *before_and_after, core, two_engines = _servers(scale)
    return [
        # Full TensorRT builds a plan, which later checks find.
        Check(
            name=names.TENSORRT,
            run=tensorrts_word,
            seconds=6,
            dry_seconds=3,
            is_alone=True,
            most_seconds=180,
        ),
        Check(name=names.TESTS, run=tests_of_torch, seconds=75, dry_seconds=10),
        Check(name=names.CEILING, run=matmul_ceiling, seconds=8, dry_seconds=4),
        # The first of the engines' checks opens them.
        Check(name=names.ALIKE, run=results_alike, seconds=45, dry_seconds=10),
        Check(name=names.LATENCY, run=requests, seconds=40, dry_seconds=15),
        Check(name=names.MIXED, run=mixed, seconds=65, dry_seconds=12),
        Check(name=names.FIXED, run=fixed_length, seconds=30, dry_seconds=8),
        Check(name=names.SERVED, run=served_lengths, seconds=10, dry_seconds=8),
        *before_and_after,
        Check(name=names.TRAINING, run=training, seconds=45, dry_seconds=15, is_alone=True),
        Check(
            name=names.SEARCH,
            run=vector_search,
            seconds=25,
            dry_seconds=4,
            is_alone=True,
            wants_faiss_gpu=True,
        ),
        Check(
            name=names.TESTS_SEARCH,
            run=tests_of_search,
            seconds=20,
            dry_seconds=8,
            is_alone=True,
            wants_faiss_gpu=True,
        ),
        Check(
            name=names.SEARCH_COPIES,
            run=lists_and_graph,
            seconds=30,
            dry_seconds=5,
            is_alone=True,
            wants_faiss_gpu=True,
        ),
        Check(
            name=names.SEARCH_SERVED,
            run=served_vectors,
            seconds=120,
            dry_seconds=15,
            is_alone=True,
            wants_faiss_gpu=True,
        ),
        core,
        Check(
            name=names.TRAINING_TWICE,
            run=training_twice,
            seconds=30,
            dry_seconds=15,
            is_alone=True,
        ),
        two_engines,
        Check(name=names.SHAPES, run=speed_by_shape, seconds=40, dry_seconds=8),
        Check(name=names.COMPILED, run=compiled_pytorch, seconds=75, dry_seconds=1, is_alone=True),
        Check(
            name=names.TRAINING_COMPILED,
            run=training_compiled,
            seconds=75,
            dry_seconds=1,
            is_alone=True,
        ),
        Check(
            name=names.TESTS_TENSORRT,
            run=tests_of_tensorrt,
            seconds=60,
            dry_seconds=10,
            is_alone=True,
        ),
    ]


def _servers(scale: Scale) -> list[Check]:
    """A server over the engine as it is now, as it was, over the core, and over two engines."""
    # Loads take 30 s; the rest is the start, in which each model's graphs are captured.
    served = [(Served(names.CORE, "cpu"), 40)]
    two = Served(names.TWO_ENGINES, "cpu", devices=("cpu", "cpu"))
    if scale.on_gpu:
        of_gpus = ((AFTER, 70), (BEFORE, 45))
        served = [
            *((Served(each.name, "torch", each.environment), took) for each, took in of_gpus),
            *served,
        ]
        two = Served(names.TWO_ENGINES, "torch", AFTER.environment, ("cuda:0", "cuda:0"))
    served.append((two, 90))

    def measured(scale: Scale, field: Field, each: Served) -> list[Row]:
        del field
        return through_server(scale, each)

    return [
        Check(
            name=names.server_of(each.name),
            run=partial(measured, each=each),
            seconds=seconds,
            dry_seconds=25,
            is_alone=True,
        )
        for each, seconds in served
    ]
