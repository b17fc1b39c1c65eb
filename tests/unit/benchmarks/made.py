"""Samples and reports made by hand, for tests of what is made of them."""

from twopass.benchmarks.latency import Report, Sweep
from twopass.benchmarks.load import Sample, Window
from twopass.benchmarks.machine import Machine
from twopass.benchmarks.summary import Summary, summarize
from twopass.benchmarks.workload import Answer, Shape
from twopass.client import Model, Timings

WINDOW = Window(100.0, 110.0)


def timings(**stages_ms: float) -> Timings:
    """Timings of an answer; stages that are not named did not run."""
    names = ("total", "tokenize", "queue", "embed", "retrieve", "load", "rerank")
    return Timings(**{f"{name}_ms": stages_ms.get(name) for name in names})


def answered(
    intended: float,
    seconds: float,
    *,
    late: float = 0.0,
    pairs: int = 10,
    cached: int = 0,
    **stages_ms: float,
) -> Sample:
    """A request that was answered so many seconds after its intended start."""
    answer = Answer(pairs, timings(**stages_ms), cached)
    return Sample(intended, intended + late, intended + seconds, "OK", answer)


def failed(intended: float, status: str) -> Sample:
    return Sample(intended, intended, intended + 0.5, status, None)


def summary(level: float, samples: list[Sample]) -> Summary:
    return summarize(level, samples, WINDOW)


def report(closed_loop: tuple[Summary, ...] = (), open_loop: tuple[Summary, ...] = ()) -> Report:
    sweep = Sweep(concurrencies=(1,), rates=(5.0,), seconds=10, warm_up_seconds=2, seed=1)
    machine = Machine("A CPU", 2, ("avx2",), {"python": "3.11"}, "")
    model = Model("small", "reranker", True, "cpu", "int8", "avx2", "", 512, 256, 512, 0, 0.0)
    shape = Shape("Rerank", 10, "Rerank of 10 candidates")
    return Report("here:1", machine, (model,), shape, sweep, closed_loop, open_loop)
