"""Attention over packed sequences: padded, and what PyTorch's kernel for them is given."""

import math
from dataclasses import replace

import numpy as np
import pytest

from twopass.engines.gpu.pytorch.forward import attention as module
from twopass.engines.gpu.pytorch.forward.attention import (
    PackedTokens,
    PaddedAttention,
    VariableLengthAttention,
    attention_kernel,
)
from twopass.engines.model.architecture import LayerAttention
from twopass.engines.model.families import read_architecture

from ....random_encoders import CONFIGS

torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")

ARCHITECTURE = read_architecture(CONFIGS["bert"])
LENGTHS = [1, 2, 9, 17, 5]
NUM_HEADS, HEAD_DIM = 3, 8


@pytest.fixture
def packed():
    offsets = torch.tensor([0, *np.cumsum(LENGTHS)], dtype=torch.int32)
    return PackedTokens(torch, offsets, sum(LENGTHS), max(LENGTHS))


@pytest.fixture
def projections():
    generator = torch.Generator().manual_seed(0)
    shape = (3, sum(LENGTHS), NUM_HEADS, HEAD_DIM)
    return tuple(torch.randn(shape, generator=generator))


def expected(query, key, value, window=None, bias=None):
    """One sequence, one head and one query at a time."""
    results = []
    for sequence in zip(*(part.split(LENGTHS) for part in (query, key, value)), strict=True):
        query, key, value = (part.transpose(0, 1) for part in sequence)
        scores = query @ key.transpose(1, 2) / math.sqrt(HEAD_DIM)
        length = scores.shape[-1]
        for i in range(length):
            for j in range(length):
                if bias is not None:
                    most = (bias.shape[1] - 1) // 2
                    scores[:, i, j] += bias[:, min(max(j - i, -most), most) + most]
                if window is not None and abs(i - j) > window:
                    scores[:, i, j] = -torch.inf
        results.append((scores.softmax(-1) @ value).transpose(0, 1))
    return torch.cat(results)


@pytest.mark.parametrize("has_bias", [False, True], ids=["without bias", "with bias"])
@pytest.mark.parametrize("window", [None, 0, 1, 8, 15, 16, 17], ids="window={}".format)
def test_a_token_sees_its_own_sequence_within_the_window(packed, projections, window, has_bias):
    bias = torch.randn(NUM_HEADS, 2 * 4 + 1) if has_bias else None
    attention = PaddedAttention(torch, torch.float32, bias).over(packed, window)
    torch.testing.assert_close(
        attention(*projections), expected(*projections, window, bias), rtol=1e-5, atol=1e-5
    )


class _Kernel:
    """Remembers what the variable-length kernel was called with."""

    def __call__(self, query, key, value, starts, ends, longest, longest_key, **options):
        self.options = options
        assert starts is ends
        assert longest == longest_key == max(LENGTHS)
        return query


@pytest.mark.parametrize(
    ("window", "options"),
    [(None, {}), (3, {"window_size": (3, 3)}), (15, {"window_size": (15, 15)}), (16, {})],
)
def test_the_kernel_gets_a_window_only_where_a_sequence_is_longer(
    packed, projections, window, options
):
    kernel = _Kernel()
    VariableLengthAttention(kernel).over(packed, window)(*projections)
    assert kernel.options == options


def old_kernel(query, key, value, starts, ends, longest, longest_key):
    """As before PyTorch 2.11."""


def new_kernel(query, key, value, starts, ends, longest, longest_key, *, window_size=(-1, -1)):
    """As since."""


@pytest.mark.parametrize(
    ("kernel", "has_windows", "has_bias", "is_packed"),
    [
        (None, False, False, False),
        (new_kernel, False, False, True),
        (new_kernel, True, False, True),
        (old_kernel, False, False, True),
        (old_kernel, True, False, False),
        (new_kernel, False, True, False),
    ],
)
def test_attention_is_padded_only_where_the_kernel_can_not(
    monkeypatch, kernel, has_windows, has_bias, is_packed
):
    monkeypatch.setattr(module, "_variable_length_kernel", lambda *_: kernel)
    window = 3 if has_windows else None
    architecture = replace(ARCHITECTURE, layers=(LayerAttention(), LayerAttention(window)))
    bias = torch.zeros(NUM_HEADS, 3) if has_bias else None
    device = torch.device("cpu")
    chosen = attention_kernel(torch, device, torch.float16, architecture, bias)
    assert chosen.is_packed is is_packed


@pytest.mark.parametrize(
    ("capability", "head_dim", "dtype", "is_found"),
    [
        ((8, 0), 64, "float16", True),
        ((9, 0), 256, "bfloat16", True),
        ((7, 5), 64, "float16", False),
        ((8, 0), 60, "float16", False),
        ((8, 0), 264, "float16", False),
        ((8, 0), 64, "float32", False),
    ],
)
def test_the_kernel_is_taken_where_flash_attention_runs(
    monkeypatch, capability, head_dim, dtype, is_found
):
    pytest.importorskip("torch.nn.attention.varlen", reason="PyTorch is older than 2.10")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    kernel = module._variable_length_kernel(
        torch, torch.device("cuda"), getattr(torch, dtype), head_dim
    )
    assert (kernel is not None) is is_found
