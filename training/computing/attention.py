"""Attention of sequences that lie end to end, with its backward pass.

Projections come as `[tokens, 3 * hidden_size]`: queries, keys and values of all heads side by side.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch

from twopass.training.examples.layout import Rectangle

Kernel: TypeAlias = Callable[..., Any]
"""`torch.nn.attention.varlen.varlen_attn`."""

# Of the kernel: Ampere and later, heads of a multiple of 8 components, at most 256, in 16 bits.
_LEAST_CAPABILITY, _HEAD_STEP, _MAX_HEAD_DIM = (8, 0), 8, 256


class Attention(Protocol):
    """Attention over the sequences of one part."""

    def __call__(self, projections: torch.Tensor) -> torch.Tensor:
        """Returns what heads give, `[tokens, hidden_size]`."""


def packed_kernel(device: torch.device, head_dim: int) -> Kernel | None:
    """PyTorch's kernel for sequences of unequal length; None where there is none."""
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < _LEAST_CAPABILITY:
        return None
    if head_dim % _HEAD_STEP or head_dim > _MAX_HEAD_DIM:
        return None
    try:
        kernel: Kernel = importlib.import_module("torch.nn.attention.varlen").varlen_attn
    except (ImportError, AttributeError):  # before PyTorch 2.10
        return None
    return kernel


@dataclass(frozen=True, slots=True)
class PackedAttention:
    """By PyTorch's kernel for sequences of unequal length: no padding is computed.

    Attributes:
        kernel: The kernel.
        num_heads: Heads.
        offsets: Where sequences begin, and the end of the last, int32 `[sequences + 1]`.
        longest: Tokens of the longest sequence.
    """

    kernel: Kernel
    num_heads: int
    offsets: torch.Tensor
    longest: int

    def __call__(self, projections: torch.Tensor) -> torch.Tensor:
        """See `Attention`."""
        heads = projections.unflatten(1, (3, self.num_heads, -1)).unbind(1)
        ends, longest = self.offsets, self.longest
        context: torch.Tensor = self.kernel(*heads, ends, ends, longest, longest)
        return context.flatten(1)


class PaddedAttention:
    """In rectangles of sequences of similar length, where nothing else is padded."""

    def __init__(
        self,
        num_heads: int,
        offsets: torch.Tensor,
        positions: torch.Tensor,
        rectangles: Sequence[Rectangle],
    ) -> None:
        """Finds the places of all tokens, on their device.

        Args:
            num_heads: Heads.
            offsets: int32 `[sequences + 1]`.
            positions: Place of each token in its sequence, int32 `[tokens]`.
            rectangles: They cover all sequences, in order.
        """
        self._num_heads = num_heads
        self._places = [Places.of(offsets, positions, rectangle) for rectangle in rectangles]
        self._sizes = [rectangle.num_tokens for rectangle in rectangles]

    def __call__(self, projections: torch.Tensor) -> torch.Tensor:
        """See `Attention`."""
        blocks = projections.split(self._sizes)
        found = [
            self._within(block, places) for block, places in zip(blocks, self._places, strict=True)
        ]
        return torch.cat(found)

    def _within(self, projections: torch.Tensor, places: "Places") -> torch.Tensor:
        padded = _Padded.apply(projections, places.row_of_slot, places.slot_of_row)
        heads = padded.view(*places.shape, 3, self._num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = heads.unbind(0)
        context = attend(query, key, value, places.mask.to(padded.dtype))
        slots = context.transpose(1, 2).reshape(len(padded), -1)
        unpadded: torch.Tensor = _Unpadded.apply(slots, places.slot_of_row)
        return unpadded


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Attention of padded sequences, `[sequences, heads, width, head_dim]` each.

    Args:
        query: Queries.
        key: Keys.
        value: Values.
        mask: What is added to scores: 0 where a key is real, else minus infinity, `[sequences, 1,
            1, width]`.
    """
    if query.device.type == "cuda":
        found: torch.Tensor = torch.nn.functional.scaled_dot_product_attention(
            query, key, value, mask
        )
        return found
    # On a CPU the backward pass of the fused attention takes several times as long.
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(2, 3)
    return (scores + mask).softmax(3) @ value


@dataclass(frozen=True, slots=True)
class Places:
    """Where the tokens of a rectangle's sequences are in it.

    Attributes:
        shape: Sequences, and their width.
        row_of_slot: The token of each place; at padding the last of its sequence, int64
            `[sequences * width]`.
        slot_of_row: The place of each token, int64 `[num_tokens]`.
        mask: As `attend` takes it, float32.
    """

    shape: tuple[int, int]
    row_of_slot: torch.Tensor
    slot_of_row: torch.Tensor
    mask: torch.Tensor

    @classmethod
    def of(cls, offsets: torch.Tensor, positions: torch.Tensor, rectangle: Rectangle) -> "Places":
        """Finds them on the device, without a wait.

        Args:
            offsets: int32 `[sequences + 1]`.
            positions: Place of each token in its sequence, int32 `[tokens]`.
            rectangle: Which sequences.
        """
        ends = offsets[rectangle.first : rectangle.end + 1].long()
        lengths, begins = ends.diff(), ends[:-1] - ends[0]
        columns = torch.arange(rectangle.width, device=offsets.device)
        inside = torch.minimum(columns, lengths[:, None] - 1)
        count = rectangle.end - rectangle.first
        # The size is told, so that the host does not wait for the device to count.
        sequence = torch.arange(count, device=offsets.device).repeat_interleave(
            lengths, output_size=rectangle.num_tokens
        )
        first = rectangle.first_token
        own = positions[first : first + rectangle.num_tokens]
        mask = torch.zeros(count, rectangle.width, device=offsets.device)
        mask.masked_fill_(columns >= lengths[:, None], -torch.inf)
        return cls(
            (count, rectangle.width),
            (begins[:, None] + inside).flatten(),
            sequence * rectangle.width + own,
            mask[:, None, None, :],
        )


class _Padded(torch.autograd.Function):  # type: ignore[misc]  # Any
    """Tokens at their places. No gradient comes from padding, so that both ways are a selection."""

    @staticmethod
    def forward(
        ctx: Any, rows: torch.Tensor, row_of_slot: torch.Tensor, slot_of_row: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(slot_of_row)
        return rows.index_select(0, row_of_slot)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slot_of_row,) = ctx.saved_tensors
        return gradient.index_select(0, slot_of_row), None, None


class _Unpadded(torch.autograd.Function):  # type: ignore[misc]  # Any
    """Tokens of their places. PyTorch's own backward pass would add row by row to zeros."""

    @staticmethod
    def forward(ctx: Any, slots: torch.Tensor, slot_of_row: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(slot_of_row)
        ctx.num_slots = len(slots)
        return slots.index_select(0, slot_of_row)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (slot_of_row,) = ctx.saved_tensors
        slots = gradient.new_zeros(ctx.num_slots, gradient.shape[1])
        return slots.index_copy_(0, slot_of_row, gradient), None
