"""The training loop: steps, measurements, checkpoints."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from twopass.training.cross_encoder import AveragedWeights, CrossEncoder
from twopass.training.examples import Examples
from twopass.training.measuring import Measured, measure
from twopass.training.objective import listwise_loss
from twopass.training.options import TrainingOptions
from twopass.training.padding import padded_parts
from twopass.training.reading import read_groups
from twopass.training.teachers import Teach, first_pass_teaches

# Parts are computed and derived one by one, so this bounds the memory of activations: about 1 GiB
# for a hidden size of 384. Fewer tokens keep the arithmetic units of a GPU waiting.
_TOKENS_A_PART = 4_096
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
        self._step = 0
        self._loss = 0.0
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
        begun, num_pairs = time.monotonic(), 0
        while self._step < options.steps and self._num_worse < options.patience:
            started = time.monotonic()
            num_pairs += self._train_step()
            self._spent += time.monotonic() - started
            if self._step % 20 == 0:
                rate = num_pairs / (time.monotonic() - begun)
                progress = Progress(self._step, self._loss, rate, self._best)
                self._log({"step": self._step, "loss": self._loss, "pairs_per_second": rate})
                report(progress)
                begun, num_pairs = time.monotonic(), 0
            if self._step % options.measure_every == 0 or self._step == options.steps:
                self._measure()
                begun, num_pairs = time.monotonic(), 0
        assert self._best is not None
        return self._best

    def _train_step(self) -> int:
        options = self._options
        for group in self._optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule(self._step, options.steps)
        examples = self._teach(self._examples.of_step(self._step))
        self._model.module.train()
        value = 0.0
        for part in padded_parts(examples, _TOKENS_A_PART, self._examples.pad_id):
            loss = listwise_loss(
                self._model.logits(part),
                part.examples,
                teacher_weight=options.teacher_weight,
            ) * (len(part.examples) / len(examples))
            loss.backward()
            value += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._averaged.update()
        self._step += 1
        self._loss = value if self._step == 1 else 0.98 * self._loss + 0.02 * value
        return sum(len(example.pairs) for example in examples)

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
            "loss": self._loss,
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
        self._step, self._loss, self._spent = state["step"], state["loss"], state["spent"]
        self._best = None if state["best"] is None else Measured(**state["best"])
        self._num_worse = state["num_worse"]
        self._model.module.load_state_dict(state["model"])
        for value, kept in zip(self._averaged.values, state["averaged"], strict=True):
            value.copy_(kept)
        self._optimizer.load_state_dict(state["optimizer"])


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate: linear up over the first 5 %, linear down to 0 at the end."""
    return min((step + 1) / max(_WARM_UP * steps, 1), 1 - step / steps)
