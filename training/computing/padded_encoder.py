"""A cross-encoder's forward pass in rectangles, by transformers' own code: for other families.

Products are in bfloat16 by autocast.
"""

import inspect
from typing import Any

import torch

from twopass.training.computing.attention import Places
from twopass.training.computing.packed_encoder import PartTensors
from twopass.training.examples.layout import Rectangle


class PaddedEncoder:
    """The forward and the backward pass of a module."""

    pads_attention = True

    def __init__(self, module: Any, device: torch.device, pad_id: int) -> None:
        """Takes a transformers classifier of one label.

        Args:
            module: The classifier.
            device: Where it is.
            pad_id: Token id of padding.
        """
        self._module = module
        self._device = device
        self._pad_id = pad_id
        self._takes_types = "token_type_ids" in inspect.signature(module.forward).parameters

    @property
    def bytes_per_token(self) -> int:
        """What is kept of each token until the backward pass, about: much in float32."""
        config = self._module.config
        width = 16 * config.hidden_size + 4 * getattr(config, "intermediate_size", 0)
        return int(config.num_hidden_layers * width * 4)

    def renew(self) -> None:
        """Begins a step: there are no gradients yet."""
        for parameter in self._module.parameters():
            parameter.grad = None

    def logits(self, part: PartTensors) -> torch.Tensor:
        """Logits of a part's sequences, float32 `[sequences]`; those of padding mean nothing."""
        # Within one context, weights are turned to bfloat16 once for all rectangles.
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            read = [self._read(part, rectangle) for rectangle in part.rectangles]
        return torch.cat(read).float()

    def _read(self, part: PartTensors, rectangle: Rectangle) -> torch.Tensor:
        arrays, last = part.arrays, rectangle.first_token + rectangle.num_tokens
        places = Places.of(arrays.offsets, arrays.positions, rectangle)
        is_real = places.mask[:, 0, 0, :] == 0
        token_ids, token_types = (
            tokens[rectangle.first_token : last]
            .index_select(0, places.row_of_slot)
            .view(places.shape)
            for tokens in (arrays.token_ids, arrays.token_types)
        )
        token_ids = token_ids.masked_fill(~is_real, self._pad_id)
        token_types = token_types.masked_fill(~is_real, 0)
        # Of a mask with fewer dimensions transformers would ask whether it is all true, and wait
        # for the device to know.
        is_fused = self._module.config._attn_implementation == "sdpa"
        mask = is_real[:, None, None, :] if is_fused else is_real.long()
        types = {"token_type_ids": token_types} if self._takes_types else {}
        read = self._module(input_ids=token_ids, attention_mask=mask, **types)
        logits: torch.Tensor = read.logits[:, 0]
        return logits

    def backward(self, loss: torch.Tensor) -> None:
        """Adds gradients to those of the step's earlier parts."""
        loss.backward()
