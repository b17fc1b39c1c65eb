"""The model in training: Hugging Face's, so that any BERT-family folder can be the base."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from twopass.training.computing.devices import Computing, part_size
from twopass.training.computing.packed_encoder import PackedEncoder, PartTensors
from twopass.training.computing.padded_encoder import PaddedEncoder
from twopass.training.examples.layout import Part, PartArrays, PartSize, rectangles
from twopass.training.pairs import TrainingError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class CrossEncoder:
    """A cross-encoder with one logit, in float32, computing in bfloat16."""

    def __init__(
        self,
        base: Path,
        *,
        frozen_embeddings: bool,
        layers: int | None = None,
        pad_id: int = 0,
        computing: Computing | None = None,
    ) -> None:
        """Loads a reranker, or an encoder that gets a new head.

        Args:
            base: A folder in Hugging Face's layout.
            frozen_embeddings: Whether word, position and type embeddings stay as they are.
            layers: How many of the base's layers to keep; None for all.
            pad_id: Token id of padding.
            computing: How it is computed; None for the default.

        Raises:
            TrainingError: The base has fewer layers, or none that can be dropped.
        """
        self._base = base
        computing = computing or Computing()
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module: Any = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=1,
            dtype=torch.float32,
            attn_implementation=_attention(self.device),
        ).to(self.device)
        # Without dropout: nothing is seen often enough to be learnt by heart, and on a CPU its
        # random numbers take as long as a third of the products.
        self.module.eval()
        if layers is not None:
            self._keep_layers(layers)
        if frozen_embeddings:
            self.module.base_model.embeddings.requires_grad_(False)
        self._encoder: PackedEncoder | PaddedEncoder
        if computing.packed and PackedEncoder.is_supported(self.module):
            self._encoder = PackedEncoder(self.module, self.device, compiled=computing.compiled)
        else:
            self._encoder = PaddedEncoder(self.module, self.device, pad_id)

    def _keep_layers(self, count: int) -> None:
        """Drops layers evenly; where more than one stays, the first and the last do."""
        base: Any = self.module.base_model
        encoder: Any = getattr(base, "encoder", None) or getattr(base, "transformer", None)
        if not hasattr(encoder, "layer"):
            raise TrainingError(
                f"layers: those of {self.module.config.model_type} can't be dropped one by one; "
                "leave --layers out"
            )
        there = len(encoder.layer)
        if not 1 <= count <= there:
            raise TrainingError(f"layers: {count} given, but {self._base.name} has {there}")
        kept = np.rint(np.linspace(0, there - 1, count)).astype(int)
        encoder.layer = torch.nn.ModuleList(encoder.layer[number] for number in kept)
        self.module.config.num_hidden_layers = count

    @property
    def is_packed(self) -> bool:
        """Whether sequences are computed end to end."""
        return isinstance(self._encoder, PackedEncoder)

    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters that are trained."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def part_size(self, tokens: int | None) -> PartSize:
        """How much is computed at once; `tokens` as in `TrainingOptions.tokens_a_part`."""
        return part_size(self.device, tokens, self._encoder.bytes_per_token)

    def parts(
        self, parts: Sequence[Part], tensors: Sequence[torch.Tensor], size: PartSize
    ) -> list[PartTensors]:
        """The parts of a step on the device.

        Args:
            parts: The parts, whose arrays are still what they were.
            tensors: Their arrays, on the device.
            size: How they were laid out.
        """
        return [
            PartTensors(
                part.shape,
                PartArrays.within(tensor, part.shape, torch.float32),
                rectangles(np.diff(part.arrays.offsets).astype(np.int64), size.per_rectangle)
                if self._encoder.pads_attention
                else [],
            )
            for part, tensor in zip(parts, tensors, strict=True)
        ]

    def begin_step(self) -> None:
        """Takes up what the last update made of the weights; gradients are summed anew."""
        self._encoder.renew()

    def logits(self, part: PartTensors) -> torch.Tensor:
        """Logits of a part's sequences, float32 `[sequences]`; those of padding mean nothing."""
        return self._encoder.logits(part)

    def backward(self, loss: torch.Tensor) -> None:
        """Adds the gradients of a part's loss, a scalar, to those of the step's earlier parts."""
        self._encoder.backward(loss)

    def save(self, folder: Path) -> None:
        """Writes a reranker's folder: weights in float16, configuration, the base's tokenizer."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: value.detach().half().contiguous().cpu()
            for name, value in self.module.state_dict().items()
            if value.is_floating_point()
        }
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        config = self.module.config
        config.dtype = "float16"
        config.architectures = [type(self.module).__name__]
        config.to_json_file(folder / "config.json")
        for name in TOKENIZER_FILES:
            if (self._base / name).is_file():
                shutil.copyfile(self._base / name, folder / name)


class AveragedWeights:
    """The mean of the weights over the last steps: better and steadier than the last weights."""

    def __init__(self, model: CrossEncoder, average: float) -> None:
        """Starts from the model's weights.

        Args:
            model: The model whose trained parameters are averaged.
            average: Weight of the mean so far; the newest weights have the rest.
        """
        self._parameters = model.parameters()
        self._average = average
        self.values = [p.detach().clone() for p in self._parameters]

    def update(self) -> None:
        """Adds the weights after a step to the mean."""
        with torch.no_grad():
            torch._foreach_lerp_(self.values, self._parameters, 1 - self._average)

    def exchange(self) -> None:
        """Swaps the mean with the model's weights; a second call swaps them back."""
        with torch.no_grad():
            for value, parameter in zip(self.values, self._parameters, strict=True):
                kept = parameter.clone()
                parameter.copy_(value)
                value.copy_(kept)


def _attention(device: torch.device) -> str | None:
    # On a GPU transformers' choice: fused where the family has it. On a CPU the backward pass of
    # the fused attention takes several times as long.
    return None if device.type == "cuda" else "eager"
