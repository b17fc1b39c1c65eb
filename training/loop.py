"""The training loop: steps, measurements, checkpoints."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from twopass.training.ahead import prepared
from twopass.training.cross_encoder import AveragedWeights, CrossEncoder
from twopass.training.devices import part_size
from twopass.training.examples import Examples
from twopass.training.measuring import Measured, measure
from twopass.training.objective import listwise_loss
from twopass.training.options import TrainingOptions
from twopass.training.padding import Part, parts
from twopass.training.reading import read_groups
from twopass.training.teachers import Teach, first_pass_teaches

# A GPU computes while the examples of later steps are made. A step on a CPU takes all cores: there
# would be nothing to make them with.
_STEPS_AHEAD = {"cuda": 3}
_WARM_UP = 0.05


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a training.

    Attributes:
        step: Updates made.
        loss: Mean over about the last 50 steps.
        pairs_per_second: Since the last report.
        best: The best measurement so far; None before the first.
    """

    step: int
    loss: float
    pairs_per_second: float
    best: Measured | None


@dataclass(frozen=True, slots=True)
class PreparedStep:
    """What a step computes.

    Attributes:
        parts: The groups, laid out.
        num_groups: Number of groups.
        num_pairs: Number of pairs.
    """

    parts: list[Part]
    num_groups: int
    num_pairs: int


class TrainingLoop:
    """Trains one model, and resumes after an interruption from what it wrote into its folder."""

    def __init__(
        self,
        model: CrossEncoder,
        examples: Examples,
        development: Examples,
        options: TrainingOptions,
        folder: Path,
        teach: Teach = first_pass_teaches,
    ) -> None:
        """Prepares a run, or resumes the run that the folder holds.

        Args:
            model: The model to train.
            examples: Examples to train on.
            development: Examples to measure on.
            options: Options of the training.
            folder: Gets `checkpoint.pt`, `log.jsonl` and `best/`.
            teach: Sets the teacher's logits in the examples of each step.
        """
        self._model = model
        self._examples = examples
        self._development = development
        self._options = options
        self._folder = folder
        self._teach = teach
        self._optimizer = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=0.01, fused=True
        )
        self._averaged = AveragedWeights(model, options.average)
        self._size = part_size(model.device, options.tokens_a_part)
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
        """
        options = self._options
        if self._best is None:
            self._measure()
        steps = prepared(
            self._prepare,
            range(self._step, options.steps),
            _STEPS_AHEAD.get(self._model.device.type, 0),
        )
        with closing(steps):
            self._train(steps, report)
        assert self._best is not None
        return self._best

    def _train(self, steps: Iterator[PreparedStep], report: Callable[[Progress], None]) -> None:
        options = self._options
        begun, num_pairs = time.monotonic(), 0
        while self._step < options.steps and self._num_worse < options.patience:
            num_pairs += self._train_step(next(steps))
            is_last = self._step == options.steps
            measures = self._step % options.measure_every == 0 or is_last
            if not measures and self._step % 20:
                continue
            loss = float(self._loss)  # the device has done all that was asked of it
            seconds = time.monotonic() - begun
            self._spent += seconds
            if self._step % 20 == 0:
                rate = num_pairs / seconds
                progress = Progress(self._step, loss, rate, self._best)
                self._log({"step": self._step, "loss": loss, "pairs_per_second": rate})
                report(progress)
            if measures:
                self._measure()
            begun, num_pairs = time.monotonic(), 0

    def _prepare(self, step: int) -> PreparedStep:
        examples = self._teach(self._examples.of_step(step))
        return PreparedStep(
            list(parts(examples, self._size, self._examples.pad_id)),
            num_groups=len(examples),
            num_pairs=sum(len(example.pairs) for example in examples),
        )

    def _train_step(self, prepared_step: PreparedStep) -> int:
        """Updates the weights; returns the number of pairs. Waits for nothing on a GPU."""
        options = self._options
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule(self._step, options.steps)
        self._model.module.train()
        value = torch.zeros_like(self._loss)
        for part in prepared_step.parts:
            loss = listwise_loss(
                self._model.logits(part), part.groups, teacher_weight=options.teacher_weight
            ) * (part.num_groups / prepared_step.num_groups)
            loss.backward()
            value += loss.detach()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._averaged.update()
        self._step += 1
        self._loss = value if self._step == 1 else torch.lerp(self._loss, value, 0.02)
        return prepared_step.num_pairs

    def _measure(self) -> None:
        """Measures the averaged weights, keeps them if they are the best, writes a checkpoint."""
        current = self._folder / "current"
        self._averaged.exchange()
        self._model.save(current)
        self._averaged.exchange()
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
            "averaged": self._averaged.values,
            "optimizer": self._optimizer.state_dict(),
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
        for value, kept in zip(self._averaged.values, state["averaged"], strict=True):
            value.copy_(kept)
        self._optimizer.load_state_dict(state["optimizer"])


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate: linear up over the first 5 %, linear down to 0 at the end."""
    return min((step + 1) / max(_WARM_UP * steps, 1), 1 - step / steps)
