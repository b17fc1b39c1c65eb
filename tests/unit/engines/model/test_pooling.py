"""Every pooling and Dense module, against a reference that takes a text and a token at a time."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.architecture import Activation
from twopass.engines.model.pooling import DenseLayer, EmbeddingHead, Pooling, embeddings_of


def _pooled(pooling: Pooling, tokens: np.ndarray) -> np.ndarray:
    """Of one text, as sentence-transformers defines it; `tokens` `[num_tokens, hidden_size]`."""
    total = sum(tokens[1:], tokens[0])
    return {
        Pooling.CLS: tokens[0],
        Pooling.LAST: tokens[-1],
        Pooling.MAX: np.array([max(column) for column in tokens.T]),
        Pooling.MEAN: total / len(tokens),
        Pooling.MEAN_SQRT_LEN: total / math.sqrt(len(tokens)),
        Pooling.WEIGHTED_MEAN: sum(n * t for n, t in enumerate(tokens, 1))
        / sum(range(1, len(tokens) + 1)),
    }[pooling]


@given(
    poolings=st.lists(st.sampled_from(Pooling), min_size=1, max_size=3, unique=True),
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    activation=st.sampled_from([None, Activation.TANH, Activation.RELU]),
    has_dense=st.booleans(),
    seed=st.integers(0, 99),
)
def test_a_batch_gives_what_its_texts_give_alone(poolings, lengths, activation, has_dense, seed):
    generator = np.random.default_rng(seed)
    texts = [generator.normal(size=(n, 3)).astype(np.float32) for n in lengths]
    # Padding is of no meaning, whatever stands there.
    padded = np.full((len(texts), max(lengths), 3), np.nan, np.float32)
    for row, tokens in zip(padded, texts, strict=True):
        row[: len(tokens)] = tokens
    width = 3 * len(poolings)
    layer = DenseLayer(width, 4, activation)
    weight = generator.normal(size=(4, width)).astype(np.float32)
    bias = generator.normal(size=4).astype(np.float32)
    head = EmbeddingHead(tuple(poolings), (layer,) if has_dense else ())
    found = embeddings_of(
        head, padded, np.array(lengths, np.int32), [(weight, bias)] if has_dense else []
    )
    assert found.shape == (len(texts), head.output_width(3))
    for row, tokens in zip(found, texts, strict=True):
        expected = np.concatenate([_pooled(pooling, tokens) for pooling in poolings])
        if has_dense:
            expected = weight @ expected + bias
            expected = {
                None: lambda x: x,
                Activation.TANH: np.tanh,
                Activation.RELU: lambda x: x * (x > 0),
            }[activation](expected)
        norm = max(math.sqrt(sum(expected**2)), 1e-12)
        np.testing.assert_allclose(row, expected / norm, atol=1e-5)  # sums in float32


@pytest.mark.parametrize(
    ("activation", "at_two"),
    [
        (None, 2.0),
        (Activation.RELU, 2.0),
        (Activation.TANH, math.tanh(2)),
        (Activation.SILU, 2 / (1 + math.exp(-2))),
        (Activation.GELU, 1 + math.erf(math.sqrt(2))),
        (Activation.GELU_TANH, 1 + math.tanh(math.sqrt(2 / math.pi) * (2 + 0.044715 * 8))),
    ],
    ids=str,
)
def test_dense_modules_have_the_activations_of_torch(activation, at_two):
    # The second component is constant, so that the norm keeps the first one's size.
    head = EmbeddingHead((Pooling.CLS,), (DenseLayer(1, 2, activation), DenseLayer(2, 2, None)))
    dense = [
        (np.ones((2, 1), np.float32), np.zeros(2, np.float32)),
        (np.array([[1, 0], [0, 0]], np.float32), np.array([0, 1], np.float32)),
    ]
    first, second = embeddings_of(
        head, np.full((1, 1, 1), 2, np.float32), np.ones(1, np.int32), dense
    )[0]
    assert first / second == pytest.approx(at_two, rel=1e-6)


def test_an_engine_without_other_heads_refuses_them_by_name():
    assert EmbeddingHead((Pooling.CLS,)).simple_pooling is Pooling.CLS
    for head in (
        EmbeddingHead((Pooling.MAX,)),
        EmbeddingHead((Pooling.CLS, Pooling.MEAN)),
        EmbeddingHead((Pooling.MEAN,), (DenseLayer(2, 2, None),)),
    ):
        with pytest.raises(UnsupportedModelError, match="this engine computes mean or cls"):
            _ = head.simple_pooling
