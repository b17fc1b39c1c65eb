"""Lays groups out as rectangles of token ids, on which PyTorch computes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s
from twopass.training.examples import Example

# Lengths are rounded up to a multiple of it: a library compiles a kernel for each new shape, which
# on a CPU takes longer than computing a part.
_LENGTH_STEP = 32


@dataclass(frozen=True, slots=True)
class PartSize:
    """How much is computed and derived at once.

    Attributes:
        tokens: Most tokens of a part, padding included, where it has more than one group; this
            bounds the memory of activations.
        per_rectangle: What starting another rectangle costs, in tokens of padding: as much padding
            is taken to save one.
    """

    tokens: int
    per_rectangle: int


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Pairs of similar length, one a row.

    Attributes:
        token_ids: int64 `[num_pairs, max_len]`.
        token_types: 1 for tokens of the passage where the tokenizer has types, 0 for others, int64
            `[num_pairs, max_len]`.
        is_real: Which tokens are not padding, bool `[num_pairs, max_len]`.
    """

    token_ids: NDArray[np.int64]
    token_types: NDArray[np.int64]
    is_real: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GroupTable:
    """Which rows belong to which group, and what the teacher says of them.

    Attributes:
        rows: Row of each group's pairs, the answer's first, int64 `[num_groups, largest_group]`;
            0 where a group has no more pairs.
        is_there: Where there is a pair, bool `[num_groups, largest_group]`.
        teaching: The teacher's logit of each pair, float32 `[num_groups, largest_group]`.
    """

    rows: NDArray[np.int64]
    is_there: NDArray[np.bool_]
    teaching: Float32s


@dataclass(frozen=True, slots=True)
class Part:
    """Whole groups, whose loss is computed apart from that of other parts.

    Attributes:
        rectangles: All pairs of the groups, the longest first, whatever their group; rows are
            counted through all of them.
        groups: Where the pairs of each group are.
    """

    rectangles: list[Rectangle]
    groups: GroupTable

    @property
    def num_groups(self) -> int:
        """Number of groups."""
        return len(self.groups.rows)


def parts(examples: Sequence[Example], size: PartSize, pad_id: int) -> Iterator[Part]:
    """Splits examples into parts of similar length, the longest first.

    Args:
        examples: The examples; each stays whole, in one part.
        size: How large a part may be.
        pad_id: Token id of the padding.
    """
    part: list[Example] = []
    for example in sorted(examples, key=_longest, reverse=True):
        if part and _num_tokens([*part, example], size) > size.tokens:
            yield _part(part, size, pad_id)
            part = []
        part.append(example)
    if part:
        yield _part(part, size, pad_id)


def _part(examples: list[Example], size: PartSize, pad_id: int) -> Part:
    pairs = [pair for example in examples for pair in example.pairs]
    query_lengths = np.array([n for example in examples for n in example.query_lengths])
    lengths = np.array([len(pair) for pair in pairs])
    widths = _widths(_histogram(examples), size)
    width_of = np.array(widths)[np.searchsorted(-np.array(widths), -lengths, "right") - 1]
    order = np.argsort(-width_of, kind="stable")
    ends = np.cumsum([int((width_of == width).sum()) for width in widths])
    rectangles = [
        _rectangle([pairs[place] for place in places], query_lengths[places], width, pad_id)
        for places, width in zip(np.split(order, ends[:-1]), widths, strict=True)
    ]
    return Part(rectangles, _table(examples, np.argsort(order)))


def _rectangle(
    pairs: Sequence[NDArray[np.int32]], query_lengths: NDArray[np.int64], width: int, pad_id: int
) -> Rectangle:
    columns = np.arange(width)
    is_real = columns < np.array([len(pair) for pair in pairs])[:, None]
    token_ids = np.full(is_real.shape, pad_id, np.int64)
    token_ids[is_real] = np.concatenate(pairs)
    is_passage = is_real & (columns >= query_lengths[:, None])
    return Rectangle(token_ids, is_passage.astype(np.int64), is_real)


def _table(examples: list[Example], row_of: NDArray[np.int64]) -> GroupTable:
    """The table of groups.

    Args:
        examples: The groups.
        row_of: Row of each pair, the pairs of all groups one after another.
    """
    sizes = np.array([len(example.pairs) for example in examples])
    is_there = np.arange(sizes.max()) < sizes[:, None]
    rows, teaching = np.zeros(is_there.shape, np.int64), np.zeros(is_there.shape, np.float32)
    rows[is_there] = row_of
    teaching[is_there] = [logit for example in examples for logit in example.teaching]
    return GroupTable(rows, is_there, teaching)


def _num_tokens(examples: list[Example], size: PartSize) -> int:
    """Tokens of the rectangles that would hold the examples."""
    histogram = _histogram(examples)
    widths = _widths(histogram, size)
    return sum(
        count * min(width for width in widths if width >= length)
        for length, count in histogram.items()
    )


def _histogram(examples: list[Example]) -> dict[int, int]:
    """How many pairs there are of each rounded length."""
    return Counter(
        -(-len(pair) // _LENGTH_STEP) * _LENGTH_STEP
        for example in examples
        for pair in example.pairs
    )


def _widths(histogram: dict[int, int], size: PartSize) -> list[int]:
    """Widths of the rectangles, the longest first, that cost least together.

    The best rectangles for the shorter lengths are part of the best for all (dynamic programming
    over the cuts between lengths, of which there are few).
    """
    lengths = sorted(histogram)
    best: list[tuple[int, list[int]]] = [(0, [])]
    for end in range(1, len(lengths) + 1):
        width, num_rows, choices = lengths[end - 1], 0, []
        for start in range(end - 1, -1, -1):
            num_rows += histogram[lengths[start]]
            cost, before = best[start]
            choices.append((cost + num_rows * width + size.per_rectangle, [width, *before]))
        best.append(min(choices))
    return best[-1][1]


def _longest(example: Example) -> int:
    return max(len(pair) for pair in example.pairs)
