"""The forward pass of an `Architecture` as its papers write it: one sequence, in float64, unpadded.

The simple reference beside every engine's fast path. Tensors have the names of `ModelWeights`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.engines.model.architecture import Activation, Architecture, HeadPooling

Tensors = Mapping[str, NDArray[Any]]
Float64s = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])

_ACTIVATIONS: dict[Activation, Callable[[Float64s], Float64s]] = {
    Activation.GELU: lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    Activation.GELU_TANH: lambda x: (
        0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    Activation.RELU: lambda x: np.maximum(x, 0),
    Activation.SILU: lambda x: x / (1 + np.exp(-x)),
    Activation.TANH: np.tanh,
}


def hidden_states(
    architecture: Architecture, tensors: Tensors, token_ids: Sequence[int], query_length: int
) -> Float64s:
    """The last layer's output, `[seq_len, hidden_size]`; the first `query_length` are of type 0."""
    count = len(token_ids)
    x = tensors["embeddings.words.weight"][list(token_ids)].astype(np.float64)
    if architecture.num_positions:
        first = architecture.position_offset
        x = x + tensors["embeddings.positions.weight"][first : first + count]
    if architecture.type_vocab_size:
        types = [0 if i < query_length else 1 for i in range(count)]
        types = [min(t, architecture.type_vocab_size - 1) for t in types]
        x = x + tensors["embeddings.types.weight"][types]
    x = _norm(architecture, tensors, "embeddings.norm", x)
    if architecture.embedding_size != architecture.hidden_size:
        x = dense(tensors, "embeddings.projection", x)
    embedded = x
    for layer in range(architecture.num_layers):
        x = _layer(architecture, tensors, layer, x)
        if layer == 0 and architecture.convolution is not None:
            x = x + _convolved(architecture, tensors, embedded)
            x = _norm(architecture, tensors, "convolution_norm", x)
    return _norm(architecture, tensors, "final_norm", x) if architecture.norm_first else x


def logit(
    architecture: Architecture, tensors: Tensors, token_ids: Sequence[int], query_length: int
) -> float:
    """What a cross-encoder says of a pair."""
    head = architecture.head
    assert head is not None
    hidden = hidden_states(architecture, tensors, token_ids, query_length)
    x = hidden[0] if head.pooling is HeadPooling.CLS else hidden.mean(axis=0)
    x = activate(head.activation, dense(tensors, "head.dense", x))
    if head.norm:
        x = _norm(architecture, tensors, "head.norm", x)
    return float(dense(tensors, "head.projection", x)[0])


def activate(activation: Activation, x: Float64s) -> Float64s:
    """An activation of every component."""
    return _ACTIVATIONS[activation](x)


def dense(tensors: Tensors, name: str, x: Float64s) -> Float64s:
    """`x @ weight.T + bias` of the module of this name."""
    return np.asarray(x @ tensors[name + ".weight"].T + tensors[name + ".bias"])


def _layer(architecture: Architecture, tensors: Tensors, layer: int, x: Float64s) -> Float64s:
    name = f"layers.{layer}"

    def norm(part: str, x: Float64s) -> Float64s:
        return _norm(architecture, tensors, f"{name}.{part}", x)

    if not architecture.norm_first:
        x = norm("attention_norm", x + _attention(architecture, tensors, layer, x))
        return norm("mlp_norm", x + _mlp(architecture, tensors, name, x))
    has_norm = layer > 0 or architecture.first_attention_norm
    x = x + _attention(architecture, tensors, layer, norm("attention_norm", x) if has_norm else x)
    return x + _mlp(architecture, tensors, name, norm("mlp_norm", x))


def _mlp(architecture: Architecture, tensors: Tensors, layer: str, x: Float64s) -> Float64s:
    inner = dense(tensors, f"{layer}.mlp.up", x)
    if architecture.gated:
        inner = activate(architecture.activation, dense(tensors, f"{layer}.mlp.gate", x)) * inner
    else:
        inner = activate(architecture.activation, inner)
    return dense(tensors, f"{layer}.mlp.down", inner)


def _attention(architecture: Architecture, tensors: Tensors, layer: int, x: Float64s) -> Float64s:
    size, count = architecture.head_dim, len(x)
    query, key, value = (
        dense(tensors, f"layers.{layer}.attention.{name}", x) for name in ("query", "key", "value")
    )
    attention = architecture.layers[layer]
    distances = np.arange(count)[None, :] - np.arange(count)[:, None]  # key's place less query's
    terms = 1 if architecture.disentangled is None else architecture.disentangled.num_terms
    context = np.zeros_like(query)
    for head in range(architecture.num_heads):
        own = slice(head * size, (head + 1) * size)
        q, k = query[:, own], key[:, own]
        if attention.rotary is not None:
            q, k = _rotated(q, attention.rotary), _rotated(k, attention.rotary)
        scores = q @ k.T
        if architecture.disentangled is not None:
            scores = scores + _of_positions(architecture, tensors, layer, own, q, k)
        scores = scores / math.sqrt(size * terms)
        if architecture.relative_distance is not None:
            most = architecture.relative_distance
            columns = np.clip(distances, -most, most) + most
            scores = scores + tensors["relative_bias"][head][columns]
        if attention.window is not None:
            scores = np.where(np.abs(distances) <= attention.window, scores, -np.inf)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        context[:, own] = shares / shares.sum(axis=1, keepdims=True) @ value[:, own]
    return dense(tensors, f"layers.{layer}.attention.output", context)


def _of_positions(
    architecture: Architecture,
    tensors: Tensors,
    layer: int,
    own: slice,
    query: Float64s,
    key: Float64s,
) -> Float64s:
    """What content and the distance of two tokens add to a head's scores, before scaling."""
    disentangled = architecture.disentangled
    assert disentangled is not None
    rows = tensors["relative.embeddings.weight"].astype(np.float64)
    if disentangled.norm:
        rows = _norm(architecture, tensors, "relative.norm", rows)
    distances = np.arange(len(query))[:, None] - np.arange(len(query))[None, :]
    chosen = np.array(disentangled.rows)[distances + len(disentangled.rows) // 2]
    scores = np.zeros((len(query), len(query)))
    attention = f"layers.{layer}.attention"
    if disentangled.position_keys:
        positions = dense(tensors, f"{attention}.position_key", rows)[:, own]
        scores += np.einsum("id,ijd->ij", query, positions[chosen])
    if disentangled.position_queries:
        positions = dense(tensors, f"{attention}.position_query", rows)[:, own]
        scores += np.einsum("jd,ijd->ij", key, positions[chosen])
    return scores


def _convolved(architecture: Architecture, tensors: Tensors, x: Float64s) -> Float64s:
    convolution = architecture.convolution
    assert convolution is not None
    kernels, groups = tensors["convolution.weight"], convolution.groups
    reach = convolution.kernel_size // 2
    padded = np.pad(x, ((reach, reach), (0, 0)))
    width = x.shape[1] // groups
    result = np.tile(tensors["convolution.bias"].astype(np.float64), (len(x), 1))
    for group in range(groups):
        own = slice(group * width, (group + 1) * width)
        for step in range(convolution.kernel_size):
            result[:, own] += padded[step : step + len(x), own] @ kernels[own, :, step].T
    return activate(convolution.activation, result)


def _rotated(x: Float64s, frequencies: Sequence[float]) -> Float64s:
    """Rows turned by their places: components i and i + half by `place * frequencies[i]`."""
    angles = np.arange(len(x))[:, None] * np.array(frequencies)
    first, second = np.split(x, 2, axis=1)
    turned = (
        first * np.cos(angles) - second * np.sin(angles),
        second * np.cos(angles) + first * np.sin(angles),
    )
    return np.concatenate(turned, axis=1)


def _norm(architecture: Architecture, tensors: Tensors, name: str, x: Float64s) -> Float64s:
    centred = x - x.mean(axis=-1, keepdims=True)
    scaled = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + architecture.norm_eps)
    return np.asarray(scaled * tensors[name + ".weight"] + tensors[name + ".bias"])
