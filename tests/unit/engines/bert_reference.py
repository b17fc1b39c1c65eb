"""A BERT-family forward pass as its papers write it: one sequence, in float64, unpadded."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
Float64s = NDArray[np.float64]

_erf = np.vectorize(math.erf)


def hidden_states(
    tensors: Tensors, config: Mapping[str, Any], token_ids: Sequence[int], query_length: int
) -> Float64s:
    """The last layer's output, `[seq_len, hidden_size]`."""
    first = config["pad_token_id"] + 1 if config["model_type"] != "bert" else 0
    types = [0 if i < query_length else 1 for i in range(len(token_ids))]
    types = [min(t, config["type_vocab_size"] - 1) for t in types]
    x = (
        tensors["embeddings.word_embeddings.weight"][list(token_ids)]
        + tensors["embeddings.position_embeddings.weight"][first : first + len(token_ids)]
        + tensors["embeddings.token_type_embeddings.weight"][types]
    ).astype(np.float64)
    x = _norm(tensors, config, "embeddings.LayerNorm", x)
    for layer in range(config["num_hidden_layers"]):
        x = _layer(tensors, config, f"encoder.layer.{layer}.", x)
    return x


def logit(
    tensors: Tensors, config: Mapping[str, Any], token_ids: Sequence[int], query_length: int
) -> float:
    """What a cross-encoder says of a pair."""
    first = hidden_states(tensors, config, token_ids, query_length)[0]
    if config["model_type"] == "bert":
        pooled = np.tanh(_dense(tensors, "pooler.dense", first))
        return float(_dense(tensors, "classifier", pooled)[0])
    inner = np.tanh(_dense(tensors, "classifier.dense", first))
    return float(_dense(tensors, "classifier.out_proj", inner)[0])


def embedding(
    tensors: Tensors, config: Mapping[str, Any], token_ids: Sequence[int], pooling: str
) -> Float64s:
    """What a bi-encoder makes of a text, `[hidden_size]`."""
    hidden = hidden_states(tensors, config, token_ids, len(token_ids))
    pooled = hidden[0] if pooling == "cls" else hidden.mean(axis=0)
    return np.asarray(pooled / np.linalg.norm(pooled))


def _layer(tensors: Tensors, config: Mapping[str, Any], prefix: str, x: Float64s) -> Float64s:
    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads
    query, key, value = (
        _dense(tensors, f"{prefix}attention.self.{name}", x) for name in ("query", "key", "value")
    )
    context = np.zeros_like(x)
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        scores = query[:, own] @ key[:, own].T / math.sqrt(size)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        context[:, own] = shares / shares.sum(axis=1, keepdims=True) @ value[:, own]
    attended = x + _dense(tensors, f"{prefix}attention.output.dense", context)
    x = _norm(tensors, config, f"{prefix}attention.output.LayerNorm", attended)
    inner = _gelu(config, _dense(tensors, f"{prefix}intermediate.dense", x))
    outer = x + _dense(tensors, f"{prefix}output.dense", inner)
    return _norm(tensors, config, f"{prefix}output.LayerNorm", outer)


def _dense(tensors: Tensors, name: str, x: Float64s) -> Float64s:
    return np.asarray(x @ tensors[name + ".weight"].T + tensors[name + ".bias"])


def _norm(tensors: Tensors, config: Mapping[str, Any], name: str, x: Float64s) -> Float64s:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + config["layer_norm_eps"])
    return np.asarray(scaled * tensors[name + ".weight"] + tensors[name + ".bias"])


def _gelu(config: Mapping[str, Any], x: Float64s) -> Float64s:
    if config["hidden_act"] == "gelu":
        return np.asarray(x * 0.5 * (1 + _erf(x / math.sqrt(2))))
    return np.asarray(0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))))
