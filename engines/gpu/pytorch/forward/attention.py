"""Attention over packed sequences in PyTorch: by its kernel for unequal lengths, or padded.

Tensors are packed `[num_tokens, …]` unless said otherwise; `n` is the number of sequences. Nothing
here makes the host wait for the device.
"""

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from twopass.engines.model.architecture import Architecture

# The kernel's heads are of a multiple of 8 components, at most 256, in 16 bits; Ampere and later.
_HEAD_STEP, _MAX_HEAD_DIM = 8, 256
_LEAST_CAPABILITY = (8, 0)


class PackedTokens:
    """Where the tokens of each sequence of a packed batch are, on the device.

    Attributes:
        offsets: int32 `[n + 1]`.
        lengths: int64 `[n]`.
        first: Place of each sequence's first token, int64 `[n]`.
        sequence: Which sequence each token is of, int64.
        position: Its place in it, int64.
        max_len: Tokens of the longest, or more.
    """

    def __init__(
        self,
        torch: Any,
        offsets: Any,
        num_tokens: int,
        max_len: int,
        *,
        has_empty: bool = False,
    ) -> None:
        """Computes them on the device.

        Args:
            torch: The package.
            offsets: int32 `[n + 1]`, on the device.
            num_tokens: The last of the offsets, as the host knows it.
            max_len: Tokens of the longest sequence, or more.
            has_empty: Whether sequences at the end may be empty: their outputs mean nothing.
        """
        count = len(offsets) - 1
        device = offsets.device
        self.offsets = offsets
        self.lengths = offsets.diff().long()
        self.first = offsets[:-1].long()
        if has_empty:  # they begin where no token is any more
            self.first = self.first.clamp(max=num_tokens - 1)
        self.max_len = max_len
        # The size is told, so that the host does not wait for the device to count.
        self.sequence = torch.arange(count, device=device).repeat_interleave(
            self.lengths, output_size=num_tokens
        )
        self.position = torch.arange(num_tokens, device=device) - self.first[self.sequence]

    def padded(self, rows: Any) -> Any:
        """Rows `[num_tokens, …]` as `[n, max_len, …]`, zeros after each sequence."""
        result = rows.new_zeros((len(self.lengths), self.max_len, *rows.shape[1:]))
        result[self.sequence, self.position] = rows
        return result

    def unpadded(self, padded: Any) -> Any:
        """Rows `[num_tokens, …]` of `[n, max_len, …]`."""
        return padded[self.sequence, self.position]


@dataclass(frozen=True, slots=True)
class LayerPositions:
    """A layer's projections of DeBERTa's relative positions, `[num_heads, num_rows, head_dim]`.

    Attributes:
        keys: What queries are multiplied with; None where content does not look at positions.
        queries: What keys are multiplied with; None where positions do not look at content.
    """

    keys: Any
    queries: Any


class Attention(Protocol):
    """Attention of one kind of layer over the batch that it was made for."""

    def __call__(
        self, query: Any, key: Any, value: Any, positions: LayerPositions | None = None
    ) -> Any:
        """From `[num_tokens, num_heads, head_dim]` each to the heads' outputs, same shape."""


class AttentionKernel(Protocol):
    """A way of computing attention."""

    is_packed: bool

    def over(self, packed: PackedTokens, window: int | None) -> Attention:
        """Attention over a batch, in which a token sees those at most `window` places away."""


def attention_kernel(
    torch: Any, device: Any, dtype: Any, architecture: Architecture, relative_bias: Any = None
) -> AttentionKernel:
    """The fastest kernel that computes a model's attention on a device.

    Args:
        torch: The package.
        device: A torch device.
        dtype: Of queries, keys and values.
        architecture: The model.
        relative_bias: Float32 `[num_heads, 2 * distance + 1]`, as in `ModelWeights`, or None.
    """
    disentangled = architecture.disentangled
    if disentangled is not None:
        rows = torch.tensor(disentangled.rows, device=device)
        return PaddedAttention(torch, dtype, rows=rows, num_terms=disentangled.num_terms)
    kernel = _variable_length_kernel(torch, device, dtype, architecture.head_dim)
    if kernel is None or relative_bias is not None:
        return PaddedAttention(torch, dtype, relative_bias)
    has_windows = any(kind.window is not None for kind in architecture.layers)
    # Windows came to it with PyTorch 2.11.
    if has_windows and "window_size" not in inspect.signature(kernel).parameters:
        return PaddedAttention(torch, dtype)
    return VariableLengthAttention(kernel)


def _variable_length_kernel(
    torch: Any, device: Any, dtype: Any, head_dim: int
) -> Callable[..., Any] | None:
    """PyTorch's kernel for packed sequences; None where it, or a GPU it runs on, is missing."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _LEAST_CAPABILITY:
        return None
    if head_dim % _HEAD_STEP or head_dim > _MAX_HEAD_DIM or dtype is torch.float32:
        return None
    try:
        kernel: Callable[..., Any] = importlib.import_module(
            "torch.nn.attention.varlen"
        ).varlen_attn
    except (ImportError, AttributeError):  # before PyTorch 2.10
        return None
    return kernel


class VariableLengthAttention:
    """By PyTorch's kernel for sequences of unequal length."""

    is_packed = True

    def __init__(self, kernel: Callable[..., Any]) -> None:
        """Takes `torch.nn.attention.varlen.varlen_attn`."""
        self._kernel = kernel

    def over(self, packed: PackedTokens, window: int | None) -> Attention:
        """See `AttentionKernel`."""
        ends, longest = packed.offsets, packed.max_len
        options = {}
        if window is not None and window < longest - 1:
            options["window_size"] = (window, window)

        def attend(
            query: Any, key: Any, value: Any, positions: LayerPositions | None = None
        ) -> Any:
            assert positions is None
            return self._kernel(query, key, value, ends, ends, longest, longest, **options)

        return attend


class PaddedAttention:
    """By `scaled_dot_product_attention` over `[n, num_heads, max_len, …]`."""

    is_packed = False

    def __init__(
        self,
        torch: Any,
        dtype: Any,
        relative_bias: Any = None,
        *,
        rows: Any = None,
        num_terms: int = 1,
    ) -> None:
        """Keeps what scores depend on beside content.

        Args:
            torch: The package.
            dtype: Of queries, keys and values.
            relative_bias: As `attention_kernel` takes it.
            rows: Rows of DeBERTa's positions by distance, int64, as in `Disentangled`.
            num_terms: Of a score, by which it is scaled.
        """
        self._torch = torch
        self._dtype = dtype
        self._relative_bias = relative_bias
        self._rows = rows
        self._num_terms = num_terms

    def over(self, packed: PackedTokens, window: int | None) -> Attention:
        """See `AttentionKernel`."""
        columns = self._torch.arange(packed.max_len, device=packed.offsets.device)
        distances = columns - columns[:, None]  # from the query of a row to the key of a column
        is_seen = (columns < packed.lengths[:, None])[:, None, None, :]
        if window is not None and window < packed.max_len - 1:
            is_seen = is_seen & (distances.abs() <= window)
        mask = self._mask(is_seen, distances)
        chosen = None
        if self._rows is not None:
            chosen = self._rows[len(self._rows) // 2 - distances]

        def attend(
            query: Any, key: Any, value: Any, positions: LayerPositions | None = None
        ) -> Any:
            query, key, value = (packed.padded(x).transpose(1, 2) for x in (query, key, value))
            scale = (query.shape[-1] * self._num_terms) ** -0.5
            added = mask
            if positions is not None:
                scores = _of_positions(query * scale, key * scale, positions, chosen)
                added = scores.masked_fill(~is_seen, -self._torch.inf)
            context = self._torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=added, scale=scale
            )
            return packed.unpadded(context.transpose(1, 2))

        return attend

    def _mask(self, is_seen: Any, distances: Any) -> Any:
        """What is seen, bool, or added to scores; `[n, 1 or num_heads, 1 or max_len, max_len]`."""
        if self._relative_bias is None:
            return is_seen
        most = (self._relative_bias.shape[1] - 1) // 2
        bias = self._relative_bias[:, distances.clamp(-most, most) + most]
        return bias.to(self._dtype).masked_fill(~is_seen, -self._torch.inf)


def _of_positions(query: Any, key: Any, positions: LayerPositions, chosen: Any) -> Any:
    """What content and position add to scores, `[n, num_heads, max_len, max_len]`.

    Args:
        query: `[n, num_heads, max_len, head_dim]`, scaled.
        key: The same.
        positions: The layer's.
        chosen: The row of the distance between a query and a key, int64 `[max_len, max_len]`.
    """
    shape = (*query.shape[:2], *chosen.shape)
    scores = query.new_zeros(shape)
    if positions.keys is not None:
        products = query @ positions.keys.transpose(1, 2)
        scores = scores + products.gather(3, chosen.expand(shape))
    if positions.queries is not None:
        products = key @ positions.queries.transpose(1, 2)
        scores = scores + products.gather(3, chosen.T.expand(shape)).transpose(2, 3)
    return scores
