"""The model as a PyTorch module from padded ids to the result: what exporters are given."""

# mypy: disable-error-code="import-not-found, misc"

import torch
import transformers

from twopass.engines.base.model import ModelKind
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.pooling import Pooling

_EXAMPLE_SHAPE = (2, 16)
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class _Logits(torch.nn.Module):
    """`[batch_size, seq_len]` three times to logits `[batch_size]`."""

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__()
        self._model = transformers.AutoModelForSequenceClassification.from_pretrained(
            str(folder.path), **_LOADING
        )

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        output = self._model(input_ids=ids, attention_mask=mask, token_type_ids=types)
        return output.logits.squeeze(-1)


class _Embeddings(torch.nn.Module):
    """`[batch_size, seq_len]` three times to embeddings `[batch_size, hidden_size]`."""

    def __init__(self, folder: ModelFolder) -> None:
        super().__init__()
        self._model = transformers.AutoModel.from_pretrained(str(folder.path), **_LOADING)
        self._pooling = folder.head.simple_pooling

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        output = self._model(input_ids=ids, attention_mask=mask, token_type_ids=types)
        hidden = output.last_hidden_state
        if self._pooling is Pooling.CLS:
            pooled = hidden[:, 0]
        else:
            share = mask.unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * share).sum(1) / share.sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1)


# Eager attention: the form that exporters and graph optimisers know best.
_LOADING = {"dtype": torch.float32, "attn_implementation": "eager", "local_files_only": True}


def torch_module(folder: ModelFolder) -> torch.nn.Module:
    """Loads the model in float32, in evaluation mode."""
    kind = _Logits if folder.spec.kind is ModelKind.RERANKER else _Embeddings
    return kind(folder).eval()


def example_inputs() -> tuple[torch.Tensor, ...]:
    """Inputs in the order of `INPUTS`, to trace the module with; every dimension is dynamic."""
    ids = torch.ones(_EXAMPLE_SHAPE, dtype=torch.int64)
    return ids, torch.ones_like(ids), torch.zeros_like(ids)
