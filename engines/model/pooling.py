"""From a text's token vectors to its embedding: poolings side by side, Dense modules, L2 norm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.architecture import Activation


class Pooling(StrEnum):
    """How an encoder turns the vectors of a text's tokens, special ones included, into one.

    In the words of sentence-transformers these are cls, mean, max, lasttoken, weightedmean and
    mean_sqrt_len_tokens. Tokens count from 1 in the weighted mean; the last is the suffix's
    special token where a tokenizer adds one.
    """

    CLS = "cls"
    MEAN = "mean"
    MAX = "max"
    LAST = "last"
    WEIGHTED_MEAN = "weighted_mean"
    MEAN_SQRT_LEN = "mean_sqrt_len"


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A Dense module after the pooling: `activation(weight · x + bias)`.

    Its tensors are `embedding.dense.N.weight` `[output_width, input_width]` and `.bias`
    `[output_width]` of `ModelWeights`, N counting from 0.

    Attributes:
        activation: None for none.
    """

    input_width: int
    output_width: int
    activation: Activation | None


@dataclass(frozen=True, slots=True)
class EmbeddingHead:
    """What follows an encoder's last layer: poolings, then Dense modules, then L2 norm.

    Attributes:
        poolings: At least one; what several give stands side by side, in this order.
        dense: In the order in which they are applied.
    """

    poolings: tuple[Pooling, ...]
    dense: tuple[DenseLayer, ...] = ()

    def output_width(self, hidden_size: int) -> int:
        """Components of an embedding, given those of a token's vector."""
        return self.dense[-1].output_width if self.dense else len(self.poolings) * hidden_size

    @property
    def simple_pooling(self) -> Pooling:
        """The only pooling of a head without Dense modules, mean or cls.

        Raises:
            UnsupportedModelError: The head is another.
        """
        if len(self.poolings) == 1 and not self.dense:
            (pooling,) = self.poolings
            if pooling in (Pooling.MEAN, Pooling.CLS):
                return pooling
        raise UnsupportedModelError(
            f"pooling is {' + '.join(self.poolings)} with {len(self.dense)} Dense modules; this "
            "engine computes mean or cls without any"
        )


def embeddings_of(
    head: EmbeddingHead,
    vectors: NDArray[np.float32],
    lengths: NDArray[np.int32],
    dense: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]] = (),
) -> NDArray[np.float32]:
    """Computes a head in NumPy, for engines that give token vectors, and as a reference.

    Args:
        head: The head.
        vectors: Padded `[batch_size, seq_len, hidden_size]`; what stands in padding is not read.
        lengths: Tokens of each sequence, at least 1, `[batch_size]`.
        dense: Weight and bias of each Dense module.

    Returns:
        `[batch_size, output_width]`, L2-normalised.
    """
    is_real = np.arange(vectors.shape[1]) < lengths[:, None]
    vectors = np.where(is_real[..., None], vectors, 0)
    embeddings = np.concatenate([_pooled(p, vectors, is_real) for p in head.poolings], axis=1)
    for layer, (weight, bias) in zip(head.dense, dense, strict=True):
        embeddings = _activated(layer.activation, embeddings @ weight.T + bias)
    norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return np.asarray(embeddings / np.maximum(norms, 1e-12), np.float32)


def _pooled(
    pooling: Pooling, vectors: NDArray[np.float32], is_real: NDArray[np.bool_]
) -> NDArray[np.float32]:
    lengths = is_real.sum(axis=1, dtype=np.int32)[:, None]
    match pooling:
        case Pooling.CLS:
            pooled = vectors[:, 0]
        case Pooling.LAST:
            pooled = np.take_along_axis(vectors, lengths[..., None] - 1, axis=1)[:, 0]
        case Pooling.MAX:
            pooled = np.where(is_real[..., None], vectors, -np.inf).max(axis=1)
        case Pooling.MEAN:
            pooled = vectors.sum(axis=1) / lengths
        case Pooling.MEAN_SQRT_LEN:
            pooled = vectors.sum(axis=1) / np.sqrt(lengths)
        case Pooling.WEIGHTED_MEAN:
            weights = np.arange(1, vectors.shape[1] + 1) * is_real
            pooled = np.einsum("bsh,bs->bh", vectors, weights) / weights.sum(axis=1)[:, None]
    return np.asarray(pooled, np.float32)


def _activated(activation: Activation | None, x: NDArray[np.float32]) -> NDArray[np.float32]:
    match activation:
        case None:
            return x
        case Activation.RELU:
            return np.maximum(x, 0)
        case Activation.TANH:
            return np.asarray(np.tanh(x), np.float32)
        case Activation.SILU:
            return np.asarray(x / (1 + np.exp(-x)), np.float32)
        case Activation.GELU_TANH:
            inner = np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
            return np.asarray(0.5 * x * (1 + np.tanh(inner)), np.float32)
        case Activation.GELU:
            return np.asarray(0.5 * x * (1 + _erf(x / np.sqrt(2))), np.float32)


def _erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([math.erf(each) for each in x.flat]).reshape(x.shape)
