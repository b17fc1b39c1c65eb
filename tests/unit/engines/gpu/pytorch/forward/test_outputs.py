"""What follows the last layer in PyTorch, beside the same in NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.gpu.pytorch.forward.attention import PackedTokens
from twopass.engines.gpu.pytorch.forward.outputs import EmbeddingOutput
from twopass.engines.model.architecture import Activation
from twopass.engines.model.pooling import DenseLayer, EmbeddingHead, Pooling, embeddings_of

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")

HIDDEN_SIZE = 6

poolings = st.lists(st.sampled_from(Pooling), min_size=1, max_size=3)
widths = st.lists(st.integers(4, 8), max_size=2)
activations = st.sampled_from([None, *Activation])


@st.composite
def heads(draw):
    chosen = tuple(draw(poolings))
    layers, width = [], len(chosen) * HIDDEN_SIZE
    for output in draw(widths):
        layers.append(DenseLayer(width, output, draw(activations)))
        width = output
    return EmbeddingHead(chosen, tuple(layers))


@settings(max_examples=150)
@given(heads(), st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 99))
def test_embeddings_are_those_of_the_reference(head, lengths, seed):
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(len(lengths), max(lengths), HIDDEN_SIZE)).astype(np.float32)
    # Small, so that no activation leaves rounding errors alone.
    dense = [
        (
            generator.normal(0, 0.3, size=(layer.output_width, layer.input_width)).astype(
                np.float32
            ),
            generator.normal(0, 0.3, size=layer.output_width).astype(np.float32),
        )
        for layer in head.dense
    ]
    hidden = torch.from_numpy(
        np.concatenate([v[:n] for v, n in zip(vectors, lengths, strict=True)])
    )
    offsets = torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)
    packed = PackedTokens(torch, offsets, sum(lengths), max(lengths))

    def tensors(name):
        weight, bias = dense[int(name.removeprefix("embedding.dense."))]
        return torch.from_numpy(weight), torch.from_numpy(bias)

    computed = EmbeddingOutput(torch, head, tensors)(hidden, packed).numpy()
    expected = embeddings_of(head, vectors, np.array(lengths, np.int32), dense)
    assert computed.shape == (len(lengths), head.output_width(HIDDEN_SIZE))
    # Where a sum is nearly zero, its direction is that of rounding errors.
    np.testing.assert_allclose(computed, expected, rtol=1e-3, atol=1e-3)
