"""What was measured, and how ours compares with each peer."""

import dataclasses
from dataclasses import dataclass
from statistics import median
from typing import Any

from twopass.benchmarks.engines.batching import Order
from twopass.benchmarks.engines.roster import SUBJECT, Contender
from twopass.benchmarks.machine import Machine
from twopass.engines.base import ModelKind, Precision

PACKED = "packed"
"""The order of an engine that computes no padding: any order is the same to it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A contender with one kind of model.

    Attributes:
        kind: The model's kind.
        device: The device it reports; empty where it refused.
        refusal: Why it was not measured, or not to the end; empty where all went well.
    """

    contender: Contender
    kind: ModelKind
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
        kind: Of the model that computed it.
        unit: Of the figures.
        is_latency: Whether less is better.
        num_sequences: Pairs or passages.
        num_tokens: Of all of them, padding left out.
        sha256: Of the token ids that everyone was given.
        figures: In the order of the roster, once for each order of the sequences.
    """

    name: str
    title: str
    kind: ModelKind
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
    order: str
    ratio: Ratio


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to tell.

    Attributes:
        num_threads: Of every engine, on as many CPUs.
        models: Name of the model by kind.
        engines: Everyone, for each kind of model that was measured.
    """

    machine: Machine
    num_threads: int
    models: dict[str, str]
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
                        found.append(Comparison(m.name, order.value, ratio))
        return found

    def as_json(self) -> dict[str, Any]:
        """The whole report in what JSON has, medians and ratios included."""
        content = dataclasses.asdict(self)
        for measured, written in zip(self.measured, content["measured"], strict=True):
            for figure, row in zip(measured.figures, written["figures"], strict=True):
                ratio = measured.ratio(SUBJECT, figure)
                row["median"] = figure.median
                row["subject_is_times_as_fast"] = ratio.rounds if ratio else None
        content["comparisons"] = [
            dataclasses.asdict(c) | {"median": c.ratio.median} for c in self.comparisons()
        ]
        return content
