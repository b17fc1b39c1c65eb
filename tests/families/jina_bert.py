"""Jina's BERT of version 2, which transformers has no class for, written from its published code.

Günther et al. 2023, arXiv 2310.19923: BERT's layers with GeGLU, and ALiBi (Press et al. 2022)
instead of positions. As in jina-embeddings-v2-small-en and -base-en.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from . import small_tokenizers
from .form import Expected
from .small_models import INTERMEDIATE_SIZE, NUM_LAYERS, with_random_weights
from .small_tokenizers import MAX_LENGTH
from .texts import PAIRS, TEXTS

_HEAD_DIM = 32
_EPSILON = 1e-12


class _Layer(nn.Module):
    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        linear = {n: nn.Linear(hidden_size, hidden_size) for n in ("query", "key", "value")}
        self.attention = nn.ModuleDict(
            {
                "self": nn.ModuleDict(linear),
                "output": nn.ModuleDict(
                    {
                        "dense": nn.Linear(hidden_size, hidden_size),
                        "LayerNorm": nn.LayerNorm(hidden_size, eps=_EPSILON),
                    }
                ),
            }
        )
        self.mlp = nn.ModuleDict(
            {
                "gated_layers": nn.Linear(hidden_size, 2 * INTERMEDIATE_SIZE, bias=False),
                "wo": nn.Linear(INTERMEDIATE_SIZE, hidden_size),
                "layernorm": nn.LayerNorm(hidden_size, eps=_EPSILON),
            }
        )

    def forward(self, hidden: Tensor, bias: Tensor) -> Tensor:
        projections = self.attention["self"]
        query, key, value = (
            projections[n](hidden).unflatten(-1, (self.num_heads, -1)).transpose(0, 1)
            for n in ("query", "key", "value")
        )
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]) + bias
        context = (scores.softmax(-1) @ value).transpose(0, 1).flatten(1)
        output = self.attention["output"]
        hidden = output["LayerNorm"](hidden + output["dense"](context))
        gate, up = self.mlp["gated_layers"](hidden).chunk(2, dim=-1)
        inner = self.mlp["wo"](functional.gelu(gate) * up)
        return self.mlp["layernorm"](hidden + inner)


class _JinaBert(nn.Module):
    def __init__(self, num_heads: int, vocab_size: int) -> None:
        super().__init__()
        hidden_size = num_heads * _HEAD_DIM
        self.num_heads = num_heads
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(vocab_size, hidden_size),
                "token_type_embeddings": nn.Embedding(2, hidden_size),
                "LayerNorm": nn.LayerNorm(hidden_size, eps=_EPSILON),
            }
        )
        layers = [_Layer(hidden_size, num_heads) for _ in range(NUM_LAYERS)]
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(layers)})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(hidden_size, hidden_size)})

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        tables = self.embeddings
        embedded = tables["word_embeddings"](ids) + tables["token_type_embeddings"](types)
        hidden = tables["LayerNorm"](embedded)
        positions = torch.arange(len(ids))
        distances = (positions - positions[:, None]).abs()
        bias = -torch.tensor(_slopes(self.num_heads))[:, None, None] * distances
        for layer in self.encoder["layer"]:
            hidden = layer(hidden, bias)
        return hidden


def _slopes(num_heads: int) -> list[float]:
    """As ALiBi's authors published them, also for heads that are no power of two."""

    def of_power(count: int) -> list[float]:
        start = 2 ** (-(2 ** -(math.log2(count) - 3)))
        return [start * start**head for head in range(count)]

    if math.log2(num_heads).is_integer():
        return of_power(num_heads)
    closest = 2 ** math.floor(math.log2(num_heads))
    return of_power(closest) + _slopes(2 * closest)[0::2][: num_heads - closest]


def _write(folder: Path, model: nn.Module, num_heads: int, name: str, **more: Any) -> None:
    tokenizer = small_tokenizers.bert()
    config = {
        "model_type": "bert",
        "architectures": [name],
        "position_embedding_type": "alibi",
        "feed_forward_type": "geglu",
        "emb_pooler": "mean",
        "hidden_act": "gelu",
        "hidden_size": num_heads * _HEAD_DIM,
        "num_attention_heads": num_heads,
        "intermediate_size": INTERMEDIATE_SIZE,
        "num_hidden_layers": NUM_LAYERS,
        "layer_norm_eps": _EPSILON,
        "max_position_embeddings": MAX_LENGTH,
        "type_vocab_size": 2,
        "vocab_size": len(tokenizer),
        "pad_token_id": 0,
    }
    tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config | more))
    save_file(model.state_dict(), folder / "model.safetensors")


def write_encoder(folder: Path, num_heads: int) -> Expected:
    """Writes a model alone, of which the mean is taken."""
    tokenizer = small_tokenizers.bert()
    model = with_random_weights(_JinaBert(num_heads, len(tokenizer)))
    _write(folder, model, num_heads, "JinaBertModel")
    rows = [tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"] for text in TEXTS]
    with torch.inference_mode():
        means = [
            model(ids, torch.zeros_like(ids)).mean(0) for ids in (torch.tensor(row) for row in rows)
        ]
        embeddings = functional.normalize(torch.stack(means), dim=1)
    return Expected(rows, embeddings.numpy())


def write_reranker(folder: Path) -> Expected:
    """Writes a classifier with BERT's head."""
    tokenizer = small_tokenizers.bert()
    model = _JinaBert(2, len(tokenizer))
    whole = nn.ModuleDict({"bert": model, "classifier": nn.Linear(2 * _HEAD_DIM, 1)})
    with_random_weights(whole)
    _write(folder, whole, 2, "JinaBertForSequenceClassification", id2label={"0": "LABEL_0"})
    rows, logits = [], []
    for query, passage in PAIRS:
        pair = tokenizer(query, passage, truncation="only_second", max_length=MAX_LENGTH)
        rows.append(pair["input_ids"])
        with torch.inference_mode():
            hidden = model(torch.tensor(rows[-1]), torch.tensor(pair["token_type_ids"]))
            pooled = model.pooler["dense"](hidden[0]).tanh()
            logits.append(whole["classifier"](pooled).item())
    return Expected(rows, np.array(logits, np.float32))
