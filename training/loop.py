"""The training loop: steps, measurements, checkpoints."""

import json
import math
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from twopass.training.computing.cross_encoder import CrossEncoder
from twopass.training.computing.devices import (
    Computing,
    Copies,
    num_workers,
    page_locker,
    use_deterministic_kernels,
)
from twopass.training.computing.update import Update
from twopass.training.examples.ahead import prepared
from twopass.training.examples.layout import most_elements
from twopass.training.examples.pool import PreparedStep, Steps, prepared_by, prepared_here
from twopass.training.examples.tokenized import Examples
from twopass.training.examples.worker import Source
from twopass.training.measuring import Measured, measure
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.reading import read_groups
from twopass.training.teachers import Teach

# A teacher reads the examples of later steps, in a thread, without the interpreter.
_STEPS_TAUGHT_AHEAD = {"cuda": 2}


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a training.

    Attributes:
        step: Updates made.
        loss: Mean over about the last 50 steps.
        pairs_per_second: Since the last report or measurement.
        waited: Share of the time since then in which the device had nothing to do but wait for
            examples.
        best: The best measurement so far; None before the first.
    """

    step: int
    loss: float
    pairs_per_second: float
    waited: float
    best: Measured | None


class TrainingLoop:
    """Trains one model, and resumes after an interruption from what it wrote into its folder."""

    def __init__(
        self,
        model: CrossEncoder,
        examples: Examples,
        development: Examples,
        options: TrainingOptions,
        folder: Path,
        teach: Teach | None = None,
        computing: Computing | None = None,
    ) -> None:
        """Prepares a run, or resumes the run that the folder holds.

        Args:
            model: The model to train.
            examples: Examples to train on.
            development: Examples to measure on.
            options: Options of the training.
            folder: Gets `checkpoint.pt`, `log.jsonl` and `best/`.
            teach: Sets the teacher's logits in the parts of each step; None where the first pass
                teaches.
            computing: How it is computed; None for the default.
        """
        self._model = model
        self._development = development
        self._options = options
        self._folder = folder
        self._teach = teach
        self._computing = computing or Computing()
        if self._computing.deterministic:
            use_deterministic_kernels(model.device)
        self._size = model.part_size(options.tokens_a_part)
        self._source = Source(examples.sampler(), self._size, examples.pad_id)
        self._update = Update(model, options)
        self._copies = Copies(model.device)
        self._step = 0
        # On the device: to read it is to wait until the device has computed it.
        self._loss = torch.zeros((), device=model.device)
        self._best: Measured | None = None
        self._num_worse = 0
        self._spent = 0.0
        self._resume()

    @property
    def seconds(self) -> float:
        """Seconds spent on steps, in this and interrupted runs together."""
        return self._spent

    def run(self, report: Callable[[Progress], None]) -> Measured:
        """Trains to the last step, or until `patience` measurements in a row bring no gain.

        Args:
            report: Called every 20 steps.

        Returns:
            The measurement of the weights in `best/`.

        Raises:
            TrainingError: A process that prepares examples ended, or the loss is no number.
        """
        if self._best is None:
            self._measure()
        with closing(self._steps()) as steps:
            self._train(steps, report)
        assert self._best is not None
        return self._best

    def _steps(self) -> Steps:
        """The steps that are left, prepared."""
        steps = range(self._step, self._options.steps)
        device = self._model.device
        workers = num_workers(device, self._computing.workers)
        ahead = 0 if self._teach is None else _STEPS_TAUGHT_AHEAD.get(device.type, 0)
        if workers:
            found = prepared_by(
                workers,
                self._source,
                steps,
                most_elements(self._options, self._size),
                page_locker(device),
                ahead=ahead,
            )
        else:
            found = prepared_here(self._source, steps)
        return found if self._teach is None else _taught(found, self._teach, steps, ahead)

    def _train(self, steps: Steps, report: Callable[[Progress], None]) -> None:
        options = self._options
        begun, num_pairs, waited = time.monotonic(), 0, 0.0
        while self._step < options.steps and self._num_worse < options.patience:
            asked = time.monotonic()
            prepared_step = next(steps)
            if self._update.is_done():
                waited += time.monotonic() - asked
            num_pairs += self._train_step(prepared_step)
            is_last = self._step == options.steps
            measures = self._step % options.measure_every == 0 or is_last
            if not measures and self._step % 20:
                continue
            loss = float(self._loss)  # the device has done all that was asked of it
            if not math.isfinite(loss):
                raise TrainingError(
                    f"learning_rate: with {options.learning_rate:g} the loss is {loss} after step "
                    f"{self._step:,}; take another --out and a lower --learning-rate"
                )
            seconds = time.monotonic() - begun
            self._spent += seconds
            if self._step % 20 == 0:
                rate, share = num_pairs / seconds, waited / seconds
                progress = Progress(self._step, loss, rate, share, self._best)
                entry: dict[str, object] = {
                    "step": self._step,
                    "loss": loss,
                    "pairs_per_second": rate,
                }
                self._log(entry | {"waited_for_examples": round(share, 3)})
                report(progress)
            if measures:
                self._measure()
            begun, num_pairs, waited = time.monotonic(), 0, 0.0

    def _train_step(self, prepared_step: PreparedStep) -> int:
        """Updates the weights; returns the number of pairs. Waits for nothing on a GPU."""
        arrays = [part.array for part in prepared_step.parts]
        num_pairs = prepared_step.num_pairs
        tensors = self._copies.to_device(arrays, prepared_step.free)
        parts = self._model.parts(prepared_step.parts, tensors, self._size)
        value = self._update(parts, self._step)
        self._step += 1
        self._loss = value if self._step == 1 else torch.lerp(self._loss, value, 0.02)
        return num_pairs

    def _measure(self) -> None:
        """Measures the averaged weights, keeps them if they are the best, writes a checkpoint."""
        current = self._folder / "current"
        self._update.averaged.exchange()
        self._model.save(current)
        self._update.averaged.exchange()
        logits = read_groups(current, self._development)
        measured = measure(self._development.similarity(), logits, self._step)
        if self._best is None or measured.ndcg > self._best.ndcg:
            self._best, self._num_worse = measured, 0
            shutil.rmtree(self._folder / "best", ignore_errors=True)
            current.rename(self._folder / "best")
        else:
            self._num_worse += 1
        self._log({"step": self._step, "development": asdict(measured)})
        self._checkpoint()

    def _log(self, entry: dict[str, object]) -> None:
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(entry) + "\n")

    def _checkpoint(self) -> None:
        state = {
            "step": self._step,
            "loss": float(self._loss),
            "spent": self._spent,
            "best": None if self._best is None else asdict(self._best),
            "num_worse": self._num_worse,
            "model": self._model.module.state_dict(),
            "averaged": self._update.averaged.values,
            "optimizer": self._update.optimizer.state_dict(),
        }
        partial = self._folder / "checkpoint.partial"
        torch.save(state, partial)
        partial.rename(self._folder / "checkpoint.pt")

    def _resume(self) -> None:
        file = self._folder / "checkpoint.pt"
        if not file.is_file():
            return
        state = torch.load(file, map_location=self._model.device, weights_only=True)
        self._step, self._spent = state["step"], state["spent"]
        self._loss.fill_(state["loss"])
        self._best = None if state["best"] is None else Measured(**state["best"])
        self._num_worse = state["num_worse"]
        self._model.module.load_state_dict(state["model"])
        for value, kept in zip(self._update.averaged.values, state["averaged"], strict=True):
            value.copy_(kept)
        self._update.optimizer.load_state_dict(state["optimizer"])


def _taught(steps: Steps, teach: Teach, numbers: range, ahead: int) -> Steps:
    """Has a teacher read each step, in order."""

    def next_taught(_: int) -> PreparedStep:
        found = next(steps)
        for part in found.parts:
            teach(part)
        return found

    with closing(steps), closing(prepared(next_taught, numbers, ahead)) as taught:
        yield from taught
