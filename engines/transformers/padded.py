"""Encoders and classifiers of transformers over padded batches."""

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.labels import relevance
from twopass.engines.model.pooling import embeddings_of
from twopass.engines.model.weights import dense_tensors


class Padded:
    """Computes batches of sequences padded at their ends and masked. For one thread."""

    def __init__(
        self, torch: Any, model: Any, folder: ModelFolder, device: Any, max_tokens: int
    ) -> None:
        """Takes what it works with.

        Args:
            torch: PyTorch.
            model: The model, on the device.
            folder: Its folder.
            device: Where the model is.
            max_tokens: Most tokens of a launch, padding included; a longer sequence is a launch of
                its own.
        """
        self._torch = torch
        self._model = model
        self._head = folder.head
        self._device = device
        self._max_tokens = max_tokens
        self._is_reranker = folder.spec.kind is ModelKind.RERANKER
        self._relevant = folder.relevant_label
        arguments = inspect.signature(model.forward).parameters
        self._has_types = (
            "token_type_ids" in arguments and getattr(model.config, "type_vocab_size", 0) > 1
        )
        self._pad_id = model.config.get_text_config().pad_token_id or 0
        self._dense = [dense_tensors(file) for file in folder.dense_files]

    def outputs(self, batch: TokenBatch) -> Float32s:
        """Logits `[num_sequences]` or embeddings `[num_sequences, output_width]`, float32."""
        parts = [(rows, self._launch(batch, rows)) for rows in self._launches(batch)]
        output = np.empty((len(batch), *parts[0][1].shape[1:]), np.float32)
        for rows, part in parts:
            output[rows] = part
        return output

    def _launches(self, batch: TokenBatch) -> Iterator[Int32s]:
        order = np.argsort(-batch.lengths, kind="stable").astype(np.int32)
        start = 0
        while start < len(order):
            room = max(1, self._max_tokens // int(batch.lengths[order[start]]))
            yield order[start : start + room]
            start += room

    def _launch(self, batch: TokenBatch, rows: Int32s) -> Float32s:
        torch = self._torch
        lengths = batch.lengths[rows]
        token_ids = np.full((len(rows), int(lengths.max())), self._pad_id, np.int64)
        for place, row in enumerate(rows.tolist()):
            own = batch.token_ids[batch.offsets[row] : batch.offsets[row + 1]]
            token_ids[place, : len(own)] = own
        positions = np.arange(token_ids.shape[1])
        mask = positions < lengths[:, None]
        feeds = {"input_ids": token_ids, "attention_mask": mask.astype(np.int64)}
        if self._has_types:
            is_second = mask & (positions >= batch.query_lengths[rows][:, None])
            feeds["token_type_ids"] = is_second.astype(np.int64)
        with torch.inference_mode():
            output = self._model(
                **{name: torch.from_numpy(each).to(self._device) for name, each in feeds.items()}
            )
            values = output.logits if self._is_reranker else output.last_hidden_state
            computed: Float32s = values.float().cpu().numpy()
        if self._is_reranker:
            logits: Float32s = relevance(computed, self._relevant)
            return logits
        return embeddings_of(self._head, computed, lengths, self._dense)
