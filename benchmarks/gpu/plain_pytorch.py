"""The cross-encoder as PyTorch's users run it: transformers, padded batches, sorted by length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from twopass._core import pack_padded
from twopass.engines.base.sequences import Float32s, TokenBatch


class PlainPyTorch:
    """transformers' model in half precision with `scaled_dot_product_attention`."""

    def __init__(self, folder: Path, *, device: str, batch_size: int, compiled: bool) -> None:
        """Loads the model.

        Args:
            folder: In Hugging Face layout.
            device: "cuda" or "cpu"; float32 on the latter.
            batch_size: Pairs of a forward pass.
            compiled: Whether through `torch.compile`, with dynamic shapes.

        Raises:
            ImportError: torch or transformers is not installed.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        self._torch: Any = torch
        self._device = device
        self._batch_size = batch_size
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=torch.float16 if device == "cuda" else torch.float32,
            attn_implementation="sdpa",
        )
        model = model.eval().to(device)
        self._model: Callable[..., Any] = torch.compile(model, dynamic=True) if compiled else model

    def __call__(self, batch: TokenBatch) -> Float32s:
        """Logits of every pair, float32 `[num_pairs]`, in batch order."""
        torch = self._torch
        order = np.argsort(batch.lengths, kind="stable").astype(np.int32)
        logits = np.empty(len(batch), np.float32)
        parts = []
        with torch.inference_mode():
            for begin in range(0, len(order), self._batch_size):
                rows = order[begin : begin + self._batch_size]
                feeds = {k: v.to(self._device) for k, v in self._padded(batch, rows).items()}
                parts.append((rows, self._model(**feeds).logits[:, 0]))
            for rows, values in parts:
                logits[rows] = values.float().cpu().numpy()
        return logits

    def _padded(self, batch: TokenBatch, rows: Any) -> dict[str, Any]:
        lengths = batch.lengths[rows]
        longest = int(lengths.max())
        input_ids = np.empty(len(rows) * longest, np.int32)
        out_lengths = np.empty(len(rows), np.int32)
        pack_padded(batch.token_ids, batch.offsets, rows, longest, 0, input_ids, out_lengths)
        columns = np.arange(longest)
        mask = columns < lengths[:, None]
        types = mask & (columns >= batch.query_lengths[rows][:, None])
        tensor = self._torch.from_numpy
        return {
            "input_ids": tensor(input_ids.reshape(len(rows), longest)).long(),
            "attention_mask": tensor(mask).long(),
            "token_type_ids": tensor(types).long(),
        }
