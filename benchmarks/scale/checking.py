"""The one-node case: predicted, measured, compared.

The prediction is made before the load and from constants alone. It has the same arrivals as the
load, since both follow from the seed: what differs is then the model's, or the machine's.
"""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twopass.benchmarks.load import ClosedLoop, OpenLoop, poisson_arrivals
from twopass.benchmarks.scale.loading import WARM_UP_SECONDS, Loaded, load_server
from twopass.benchmarks.scale.node import STAGES, Node
from twopass.benchmarks.scale.node_constants import NodeConstants
from twopass.benchmarks.scale.simulation.callers import Outcome, Status
from twopass.benchmarks.scale.simulation.estimates import quantile

CONCURRENCY = 8
CORE_MS = "processor time"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one round.

    Attributes:
        load: The load, in words that are the same in each round.
        what: The figure, with its unit.
        predicted: By the simulation.
        measured: By the load; None where too few searches were answered.
        others: Part of the machine that other programs used meanwhile.
        stolen: Part of it that other guests of its host used.
    """

    load: str
    what: str
    predicted: float
    measured: float | None
    others: float
    stolen: float

    @property
    def error(self) -> float | None:
        """How far the prediction is off, as a part of what was measured."""
        return None if not self.measured else self.predicted / self.measured - 1


@dataclass(frozen=True, slots=True)
class Part:
    """Where the time of a search goes under one load: not judged, but tells what is off.

    Attributes:
        load: The load, in words that are the same in each round.
        stage: One of `STAGES` in milliseconds, or processor time in core-ms, in the mean.
        predicted: By the simulation.
        measured: By the load.
    """

    load: str
    stage: str
    predicted: float
    measured: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure over all rounds: medians, and how far its errors are apart.

    A machine is not as fast in one minute as in the next, above all a guest of another: so one
    round says as much about the machine as about the model.

    Attributes:
        load: The load, in words.
        what: The figure, with its unit.
        predicted: The median prediction.
        measured: The median of what was measured; None where a round has none.
        error: The median error; None where a round has none.
        least_error: The least of the rounds.
        most_error: The most.
        others: Part of the machine that other programs used, in the worst round.
        stolen: Part of it that other guests of its host used, in the worst round.
    """

    load: str
    what: str
    predicted: float
    measured: float | None
    error: float | None
    least_error: float | None
    most_error: float | None
    others: float
    stolen: float

    def is_within(self, tolerance: float) -> bool:
        """Whether the median error is as small as asked."""
        return self.error is not None and abs(self.error) <= tolerance


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Of the rows of all rounds, in the order of the first round."""
    return [
        _verdict([row for row in rows if (row.load, row.what) == key])
        for key in dict.fromkeys((row.load, row.what) for row in rows)
    ]


def _verdict(rows: Sequence[Row]) -> Verdict:
    measured = [row.measured for row in rows if row.measured]
    errors = [row.error for row in rows if row.error is not None]
    is_whole = len(errors) == len(rows)
    return Verdict(
        rows[0].load,
        rows[0].what,
        statistics.median(row.predicted for row in rows),
        statistics.median(measured) if is_whole else None,
        statistics.median(errors) if is_whole else None,
        min(errors) if is_whole else None,
        max(errors) if is_whole else None,
        max(row.others for row in rows),
        max(row.stolen for row in rows),
    )


def median_parts(parts: Sequence[Part]) -> list[Part]:
    """Medians over all rounds, in the order of the first round."""
    found = []
    for load, stage in dict.fromkeys((part.load, part.stage) for part in parts):
        same = [part for part in parts if (part.load, part.stage) == (load, stage)]
        found.append(
            Part(
                load,
                stage,
                statistics.median(part.predicted for part in same),
                statistics.median(part.measured for part in same),
            )
        )
    return found


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
    """Of one load.

    Attributes:
        load: The load.
        words: The same for people.
        figures: What is judged.
        parts: Where the time goes, by `Part.stage`.
    """

    load: ClosedLoop | OpenLoop
    words: str
    figures: dict[str, float]
    parts: dict[str, float]


def predictions(constants: NodeConstants, plan: Plan) -> list[Prediction]:
    """What every load will show: throughput at saturation, then latencies below it."""
    node = Node(constants)
    end = WARM_UP_SECONDS + plan.seconds
    outcomes = node.closed_loop(CONCURRENCY, end)
    saturated = sum(WARM_UP_SECONDS <= o.ended < end for o in outcomes) / plan.seconds
    figures = {"searches/s": saturated}
    load: ClosedLoop | OpenLoop = ClosedLoop(CONCURRENCY)
    predicted = [Prediction(load, f"{CONCURRENCY} under way", figures, _parts(node))]
    for part in plan.rates:
        load = OpenLoop(part * saturated, plan.seed)
        words = f"{part:.0%} of the most"
        node = Node(constants)
        figures = _latencies(node, load, plan.seconds)
        predicted.append(Prediction(load, words, figures, _parts(node)))
    return predicted


def _latencies(node: Node, load: OpenLoop, seconds: float) -> dict[str, float]:
    arrivals = list(poisson_arrivals(load.rate, WARM_UP_SECONDS + seconds, load.seed))
    latencies = [o.latency * 1000 for o in _counted(node.open_loop(arrivals))]
    return {"p50, ms": quantile(latencies, 0.5), "p99, ms": quantile(latencies, 0.99)}


def _parts(node: Node) -> dict[str, float]:
    parts = {stage: 1000 * statistics.fmean(node.stages[stage]) for stage in STAGES}
    return {**parts, CORE_MS: 1000 * node.cores.busy_seconds / len(node.stages[STAGES[0]])}


def _counted(outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
    return (o for o in outcomes if o.intended >= WARM_UP_SECONDS and o.status is Status.OK)


def compared(
    prediction: Prediction, target: str, pid: int, queries: Sequence[str], depth: int, plan: Plan
) -> tuple[list[Row], list[Part]]:
    """Puts the load of a prediction on a server."""
    loaded = load_server(target, pid, prediction.load, queries, depth, plan.seconds)
    rows = [
        Row(prediction.words, what, value, _measured(loaded, what), loaded.others, loaded.stolen)
        for what, value in prediction.figures.items()
    ]
    measured = {**loaded.stages_ms, CORE_MS: loaded.core_ms}
    parts = [
        Part(prediction.words, stage, value, measured[stage])
        for stage, value in prediction.parts.items()
    ]
    return rows, parts


def _measured(loaded: Loaded, what: str) -> float | None:
    summary = loaded.summary
    if what == "searches/s":
        return summary.requests_per_second
    return summary.latency_ms[what.partition(",")[0]]
