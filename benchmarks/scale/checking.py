"""The one-node case: predicted, measured, compared.

The prediction is made before the load and from constants alone. It has the same arrivals as the
load, since both follow from the seed: what differs is then the model's, or the machine's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twopass.benchmarks.load import ClosedLoop, OpenLoop, poisson_arrivals
from twopass.benchmarks.scale.loading import WARM_UP_SECONDS, Loaded, load_server
from twopass.benchmarks.scale.node import Node, NodeConstants
from twopass.benchmarks.scale.simulation.callers import Outcome, Status
from twopass.benchmarks.scale.simulation.estimates import quantile

CONCURRENCY = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    Attributes:
        load: The load, in words.
        what: The figure, with its unit.
        predicted: By the simulation.
        measured: By the load; None where too few searches were answered.
        others: Part of the machine that other programs used meanwhile.
    """

    load: str
    what: str
    predicted: float
    measured: float | None
    others: float

    @property
    def error(self) -> float | None:
        """How far the prediction is off, as a part of what was measured."""
        return None if not self.measured else self.predicted / self.measured - 1

    def is_within(self, tolerance: float) -> bool:
        """Whether the prediction is as good as asked."""
        return self.error is not None and abs(self.error) <= tolerance


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be loaded.

    Attributes:
        rates: Searches a second, as parts of the most that is predicted.
        seconds: How long each load is measured.
        seed: Of the arrivals.
    """

    rates: Sequence[float]
    seconds: float
    seed: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """Of one load."""

    load: ClosedLoop | OpenLoop
    words: str
    figures: dict[str, float]


def predictions(constants: NodeConstants, plan: Plan) -> list[Prediction]:
    """What every load will show: throughput at saturation, then latencies below it."""
    saturated = _closed(constants, plan.seconds)
    predicted = [
        Prediction(ClosedLoop(CONCURRENCY), f"{CONCURRENCY} under way", {"searches/s": saturated})
    ]
    for part in plan.rates:
        load = OpenLoop(part * saturated, plan.seed)
        words = f"{load.rate:.3g} a second ({part:.0%})"
        predicted.append(Prediction(load, words, _open(constants, load, plan.seconds)))
    return predicted


def _closed(constants: NodeConstants, seconds: float) -> float:
    end = WARM_UP_SECONDS + seconds
    outcomes = Node(constants).closed_loop(CONCURRENCY, end)
    return sum(WARM_UP_SECONDS <= o.ended < end for o in outcomes) / seconds


def _open(constants: NodeConstants, load: OpenLoop, seconds: float) -> dict[str, float]:
    arrivals = list(poisson_arrivals(load.rate, WARM_UP_SECONDS + seconds, load.seed))
    outcomes = Node(constants).open_loop(arrivals)
    latencies = [o.latency * 1000 for o in _counted(outcomes)]
    return {"p50, ms": quantile(latencies, 0.5), "p99, ms": quantile(latencies, 0.99)}


def _counted(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    return (o for o in outcomes if o.intended >= WARM_UP_SECONDS and o.status is Status.OK)


def compared(
    prediction: Prediction, target: str, pid: int, queries: Sequence[str], depth: int, plan: Plan
) -> list[Row]:
    """Puts the load of a prediction on a server."""
    loaded = load_server(target, pid, prediction.load, queries, depth, plan.seconds)
    return [
        Row(prediction.words, what, predicted, _measured(loaded, what), loaded.others)
        for what, predicted in prediction.figures.items()
    ]


def _measured(loaded: Loaded, what: str) -> float | None:
    summary = loaded.summary
    if what == "searches/s":
        return summary.requests_per_second
    return summary.latency_ms[what.partition(",")[0]]
