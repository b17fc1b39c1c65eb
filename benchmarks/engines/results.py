"""What was measured, and how ours compares with each peer."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from twopass.benchmarks.engines.batching import Order
from twopass.benchmarks.engines.roster import SUBJECT, Contender
from twopass.benchmarks.machine import Machine
from twopass.engines.base.engine import Precision

PACKED = "packed"
"""The order of an engine that computes no padding: any order is the same to it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A contender with one model.

    Attributes:
        model: The model's name.
        device: The device it reports; empty where it refused.
        refusal: Why it was not measured, or not to the end; empty where all went well.
    """

    contender: Contender
    model: str
    versions: dict[str, str]
    device: str = ""
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """An engine's speed at a workload.

    Attributes:
        label: The contender's label.
        order: The order in which it got the sequences, a value of `Order`, or `PACKED`.
        rounds: The speed in each round, in the workload's unit.
        largest_difference: Of a result to the f32 reference's; None where that was not measured.
    """

    label: str
    order: str
    rounds: tuple[float, ...]
    largest_difference: float | None

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.rounds)


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as fast one engine was as another, round by round.

    Attributes:
        label: The engine that is compared.
        against: The other one.
        order: The other one's.
        rounds: More than 1 where `label` was faster.
    """

    label: str
    against: str
    order: str
    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.rounds)

    def __str__(self) -> str:
        """Median and spread."""
        return f"{self.median:.2f} ({min(self.rounds):.2f} to {max(self.rounds):.2f})"


@dataclass(frozen=True, slots=True)
class Measured:
    """A workload and everyone's speed.

    Attributes:
        name: The workload's.
        title: What is in it.
        model: Name of the model that computed it.
        num_threads: Of every engine, on as many CPUs.
        unit: Of the figures.
        is_latency: Whether less is better.
        num_sequences: Pairs or passages.
        num_tokens: Of all of them, padding left out.
        sha256: Of the token ids that everyone was given.
        figures: In the order of the roster, once for each order of the sequences.
    """

    name: str
    title: str
    model: str
    num_threads: int
    unit: str
    is_latency: bool
    num_sequences: int
    num_tokens: int
    sha256: str
    figures: tuple[Figure, ...]

    def ratio(self, label: str, figure: Figure) -> Ratio | None:
        """Compares an engine with a figure taken in the same rounds; None where it has none."""
        ours = self._comparable(label, figure.order)
        if ours is None or ours == figure:
            return None
        pairs = zip(ours.rounds, figure.rounds, strict=True)
        quotients = (b / a if self.is_latency else a / b for a, b in pairs)
        return Ratio(label, figure.label, figure.order, tuple(quotients))

    def best(self, labels: set[str], order: str) -> Figure | None:
        """The fastest of these engines with the sequences in this order, or packed."""
        figures = [f for f in self.figures if f.label in labels and f.order in (order, PACKED)]
        fastest = min if self.is_latency else max
        return fastest(figures, key=lambda f: f.median, default=None)

    def _comparable(self, label: str, order: str) -> Figure | None:
        figures = [f for f in self.figures if f.label == label]
        return next((f for f in figures if f.order in (order, PACKED)), None)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One of ours against the best of the peers, at a workload in one order."""

    workload: str
    model: str
    num_threads: int
    order: str
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Scaling:
    """An engine's speed at a workload with a number of threads, beside that with the fewest.

    Attributes:
        times: Its speed as a multiple of that with the fewest threads.
        efficiency: Share of the speed that it would have if it grew as the threads do.
    """

    model: str
    workload: str
    label: str
    order: str
    num_threads: int
    median: float
    unit: str
    times: float
    efficiency: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to tell.

    Attributes:
        num_cores: That the CPUs used are threads of.
        engines: Everyone, for each model and number of threads.
    """

    machine: Machine
    num_cores: int
    engines: tuple[Engine, ...]
    measured: tuple[Measured, ...]

    def comparisons(self) -> list[Comparison]:
        """int8 against the best peer of all, bf16 against the best that computes in bf16."""
        peers = {e.contender.label: e.contender for e in self.engines if not e.contender.is_ours}
        bf16 = {label for label, peer in peers.items() if peer.precision is Precision.BF16}
        rivals = ((SUBJECT, set(peers)), (SUBJECT.replace("int8", "bf16"), bf16))
        found = []
        for label, labels in rivals:
            for m in self.measured:
                for order in Order:
                    best = m.best(labels, order)
                    ratio = m.ratio(label, best) if best else None
                    if ratio:
                        row = Comparison(m.name, m.model, m.num_threads, order.value, ratio)
                        found.append(row)
        return found

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the models measured, in order."""
        return tuple(dict.fromkeys(m.model for m in self.measured))

    @property
    def thread_counts(self) -> tuple[int, ...]:
        """Numbers of threads measured, in order."""
        return tuple(dict.fromkeys(m.num_threads for m in self.measured))

    def scalings(self) -> list[Scaling]:
        """Every engine's speed by threads; nothing where one number of threads was measured."""
        if len(self.thread_counts) < 2:
            return []
        speeds: dict[tuple[str, str, str, str], list[tuple[Measured, Figure]]] = {}
        for m in self.measured:
            for f in m.figures:
                speeds.setdefault((m.model, m.name, f.label, f.order), []).append((m, f))
        return [row for key, rows in speeds.items() for row in _scaling(key, rows)]

    def as_json(self) -> dict[str, Any]:
        """The whole report in what JSON has, medians and ratios included."""
        content = dataclasses.asdict(self)
        content["scalings"] = [dataclasses.asdict(s) for s in self.scalings()]
        for measured, written in zip(self.measured, content["measured"], strict=True):
            for figure, row in zip(measured.figures, written["figures"], strict=True):
                ratio = measured.ratio(SUBJECT, figure)
                row["median"] = figure.median
                row["subject_is_times_as_fast"] = ratio.rounds if ratio else None
        content["comparisons"] = [
            dataclasses.asdict(c) | {"median": c.ratio.median} for c in self.comparisons()
        ]
        return content


def _scaling(
    key: tuple[str, str, str, str], rows: list[tuple[Measured, Figure]]
) -> Iterator[Scaling]:
    """Compares an engine's figures with that of the fewest threads."""
    rows = sorted(rows, key=lambda row: row[0].num_threads)
    least, base = rows[0]
    model, workload, label, order = key
    for m, f in rows:
        times = base.median / f.median if m.is_latency else f.median / base.median
        yield Scaling(
            model=model,
            workload=workload,
            label=label,
            order=order,
            num_threads=m.num_threads,
            median=f.median,
            unit=m.unit,
            times=times,
            efficiency=times * least.num_threads / m.num_threads,
        )
