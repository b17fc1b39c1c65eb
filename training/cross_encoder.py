"""The model in training: Hugging Face's, so that any BERT-family folder can be the base."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import AutoModelForSequenceClassification

from twopass.training.devices import on_device
from twopass.training.padding import Part, Rectangle
from twopass.training.pairs import TrainingError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class CrossEncoder:
    """A cross-encoder with one logit, in float32, computing in bfloat16 where that pays."""

    def __init__(self, base: Path, *, frozen_embeddings: bool, layers: int | None = None) -> None:
        """Loads a reranker, or an encoder that gets a new head.

        Args:
            base: A folder in Hugging Face's layout.
            frozen_embeddings: Whether word, position and type embeddings stay as they are.
            layers: How many of the base's layers to keep; None for all.

        Raises:
            TrainingError: The base has fewer layers.
        """
        self._base = base
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.module: Any = AutoModelForSequenceClassification.from_pretrained(
            base,
            num_labels=1,
            dtype=torch.float32,
            attn_implementation=_attention(self.device),
            # Nothing is seen often enough to be learnt by heart, and on a CPU the random numbers of
            # dropout take as long as a third of the products.
            attention_probs_dropout_prob=0.0,
            hidden_dropout_prob=0.0,
        ).to(self.device)
        if layers is not None:
            self._keep_layers(layers)
        if frozen_embeddings:
            self.module.base_model.embeddings.requires_grad_(False)

    def _keep_layers(self, count: int) -> None:
        """Drops layers evenly; where more than one stays, the first and the last do."""
        encoder = self.module.base_model.encoder
        there = len(encoder.layer)
        if not 1 <= count <= there:
            raise TrainingError(f"layers: {count} given, but {self._base.name} has {there}")
        kept = np.rint(np.linspace(0, there - 1, count)).astype(int)
        encoder.layer = torch.nn.ModuleList(encoder.layer[number] for number in kept)
        self.module.config.num_hidden_layers = count

    def parameters(self) -> list[torch.nn.Parameter]:
        """The parameters that are trained."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def logits(self, part: Part) -> torch.Tensor:
        """Logits of a part's pairs, float32 `[num_pairs]`, row by row."""
        # Within one context, weights are turned to bfloat16 once for all rectangles.
        with torch.autocast(self.device.type, dtype=torch.bfloat16):
            read = [self._read(rectangle) for rectangle in part.rectangles]
        return torch.cat(read).float()

    def _read(self, rectangle: Rectangle) -> torch.Tensor:
        token_ids, token_types, is_real = (
            on_device(array, self.device)
            for array in (rectangle.token_ids, rectangle.token_types, rectangle.is_real)
        )
        if self.module.config._attn_implementation == "sdpa":
            # Of a mask with fewer dimensions transformers would ask whether it is all true, and
            # wait for the device to know.
            mask = is_real[:, None, None, :]
        else:
            mask = is_real.long()
        read = self.module(input_ids=token_ids, token_type_ids=token_types, attention_mask=mask)
        logits: torch.Tensor = read.logits[:, 0]
        return logits

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


def _attention(device: torch.device) -> str:
    # On a CPU the backward pass of the fused attention takes several times as long.
    return "sdpa" if device.type == "cuda" else "eager"
