"""One update of the weights, from a step's parts on the device: nothing in it waits for the device.

Gradients are clipped, AdamW moves the weights, and their mean over the last steps follows, each by
launches for all weights together.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from twopass.training.computing.cross_encoder import AveragedWeights, CrossEncoder
from twopass.training.computing.objective import listwise_loss
from twopass.training.computing.packed_encoder import PartTensors
from twopass.training.options import TrainingOptions

_WARM_UP = 0.05
_LARGEST_GRADIENT = 1.0


class Update:
    """Updates one model.

    Attributes:
        optimizer: AdamW.
        averaged: The mean of the weights.
    """

    def __init__(self, model: CrossEncoder, options: TrainingOptions) -> None:
        """Starts from the model's weights.

        Args:
            model: The model.
            options: Options of the training.
        """
        self._model = model
        self._options = options
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=options.learning_rate, weight_decay=0.01, fused=True
        )
        self.averaged = AveragedWeights(model, options.average)
        self._done: Any = torch.cuda.Event() if model.device.type == "cuda" else None

    def __call__(self, parts: Sequence[PartTensors], step: int) -> torch.Tensor:
        """Makes one update; returns the step's loss, a scalar on the device.

        Args:
            parts: The parts of the step; together they hold its groups.
            step: Its number, from 0.
        """
        loss = self.gradients(parts)
        for group in self.optimizer.param_groups:
            group["lr"] = self._options.learning_rate * schedule(step, self._options.steps)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        self.averaged.update()
        if self._done is not None:
            self._done.record()
        return loss

    def gradients(self, parts: Sequence[PartTensors]) -> torch.Tensor:
        """Computes the gradients of a step, and returns its loss."""
        self._model.begin_step()
        losses = []
        for loss in self.losses(parts):
            self._model.backward(loss)
            losses.append(loss.detach())
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def losses(self, parts: Sequence[PartTensors]) -> Iterator[torch.Tensor]:
        """The loss of each part, whose sum is the step's: the mean over its groups."""
        num_groups = sum(part.shape.groups for part in parts)
        for part in parts:
            loss = listwise_loss(
                self._model.logits(part),
                part.arrays.rows,
                part.arrays.teaching,
                teacher_weight=self._options.teacher_weight,
            )
            yield loss / num_groups

    def is_done(self) -> bool:
        """Whether the device has nothing left to do of earlier updates. Does not wait."""
        return self._done is None or bool(self._done.query())


def schedule(step: int, steps: int) -> float:
    """Share of the learning rate: linear up over the first 5 %, linear down to 0 at the end."""
    return min((step + 1) / max(_WARM_UP * steps, 1), 1 - step / steps)
