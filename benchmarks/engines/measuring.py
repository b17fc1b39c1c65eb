"""Rounds in which every engine has its turn at the same token ids."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeAlias

import numpy as np

from twopass.benchmarks.engines.adapters.base import Source
from twopass.benchmarks.engines.batching import Order
from twopass.benchmarks.engines.processes import EngineProcess, EngineRefusedError
from twopass.benchmarks.engines.results import PACKED, Engine, Figure, Measured
from twopass.benchmarks.engines.roster import REFERENCE, Contender
from twopass.benchmarks.engines.worker import Case, Turn
from twopass.benchmarks.engines.workloads import Workload, digest
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.model.folder import ModelFolder

Progress: TypeAlias = Callable[[str], None]
"""Is told what comes next."""


@dataclass(frozen=True, slots=True)
class Model:
    """What all engines of a field load.

    Attributes:
        folder: The weights.
        exports: An empty folder for other formats of them.
        calibration: Typical inputs, for quantisers that ask for some.
    """

    folder: ModelFolder
    exports: Path
    calibration: tuple[TokenBatch, ...]


class EngineField:
    """The engines that could be loaded with one model, each in its process."""

    def __init__(self, progress: Progress, model: Model, num_threads: int) -> None:
        """Starts empty; engines `enter` it."""
        self._progress = progress
        self._model = model
        self._num_threads = num_threads
        self._processes: dict[str, EngineProcess] = {}
        self._engines: dict[str, Engine] = {}

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Everyone who entered or was refused, in order."""
        return tuple(self._engines.values())

    def enter(self, contender: Contender) -> None:
        """Loads a contender of the field's model; where it refuses, its reason is noted."""
        name = self._model.folder.spec.id
        self._progress(f"{name}: loading {contender.label}")
        engine = Engine(contender, name, contender.versions())
        self._engines[contender.label] = engine
        source = Source(
            self._model.folder,
            contender.precision,
            self._model.exports,
            self._model.calibration,
        )
        try:
            process = EngineProcess(contender, source, self._num_threads)
        except EngineRefusedError as error:
            self._refuse(contender.label, error)
            return
        self._processes[contender.label] = process
        self._engines[contender.label] = dataclasses.replace(engine, device=process.device)

    def measure(self, workload: Workload) -> Measured:
        """Gives everyone its turns, round by round; who fails midway is left out."""
        figures: list[Figure] = []
        reference = self._reference(workload)
        for order in workload.orders:
            packed = {f.label for f in figures if f.order == PACKED}
            labels = [
                label
                for label in self._processes
                if label not in packed and not self._engines[label].contender.only_reference
            ]
            turns = self._turns(workload, order, labels)
            if reference is None and REFERENCE in turns:
                reference = turns[REFERENCE][-1].results
            for label, taken in turns.items():
                is_packed = self._processes[label].is_packed
                figure = Figure(
                    label,
                    PACKED if is_packed else order.value,
                    tuple(_speed(workload, turn) for turn in taken),
                    _largest_difference(taken[-1], reference),
                )
                figures.append(figure)
        return Measured(
            name=workload.name,
            title=workload.title,
            model=self._model.folder.spec.id,
            num_threads=self._num_threads,
            unit=workload.unit,
            is_latency=workload.is_latency,
            num_sequences=len(workload.batch),
            num_tokens=workload.batch.num_tokens,
            sha256=digest(workload.batch),
            figures=tuple(figures),
        )

    def close(self) -> None:
        """Ends all processes."""
        for process in self._processes.values():
            process.close()
        self._processes.clear()

    def _reference(self, workload: Workload) -> Float32s | None:
        """Results of a reference whose speed is not asked for, in one pass; None of any other."""
        if REFERENCE not in self._processes:
            return None
        if not self._engines[REFERENCE].contender.only_reference:
            return None
        order = workload.orders[-1]
        case = Case(f"{workload.name}, reference", workload.batch, order, 1, warm_up=False)
        self._progress(f"{workload.name}: results of {REFERENCE}")
        try:
            return self._processes[REFERENCE].take_turn(case).results
        except EngineRefusedError as error:
            self._drop(REFERENCE, error)
            return None

    def _turns(
        self, workload: Workload, order: Order, labels: Sequence[str]
    ) -> dict[str, list[Turn]]:
        """Turns of those who came to the end. Who begins changes, lest that be an advantage."""
        name = f"{workload.name}, {order}"
        case = Case(name, workload.batch, order, workload.passes)
        turns: dict[str, list[Turn]] = {label: [] for label in labels}
        for number in range(workload.num_rounds):
            for label in (*labels[number % len(labels) :], *labels[: number % len(labels)]):
                if label not in turns:
                    continue
                self._progress(f"{name}: round {number + 1} of {workload.num_rounds}, {label}")
                try:
                    turns[label].append(self._processes[label].take_turn(case))
                except EngineRefusedError as error:
                    del turns[label]
                    self._drop(label, error)
        return turns

    def _drop(self, label: str, error: EngineRefusedError) -> None:
        self._processes.pop(label).close()
        self._refuse(label, error)

    def _refuse(self, label: str, error: EngineRefusedError) -> None:
        self._engines[label] = dataclasses.replace(self._engines[label], refusal=str(error))


@contextmanager
def engine_field(progress: Progress, model: Model, num_threads: int) -> Iterator[EngineField]:
    """An empty field, whose processes end with the block."""
    field = EngineField(progress, model, num_threads)
    try:
        yield field
    finally:
        field.close()


def _speed(workload: Workload, turn: Turn) -> float:
    """Of a median pass: milliseconds, or sequences a second."""
    seconds = median(turn.seconds)
    return 1000 * seconds if workload.is_latency else len(workload.batch) / seconds


def _largest_difference(turn: Turn, reference: np.ndarray | None) -> float | None:
    if reference is None:
        return None
    return float(np.abs(turn.results - reference).max())
