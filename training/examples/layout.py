"""Lays the groups of a step end to end, without padding, in parts that a device computes at once.

A part is one array of int32, in which everything that the device reads of it lies behind one
another: one copy brings it there, from memory that other processes may have filled. Only NumPy is
imported here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Int32s
from twopass.training.examples.sampling import StepExamples
from twopass.training.options import TrainingOptions

# Padding is made of sequences of at most as many tokens.
_PADDING_LEN = 32


@dataclass(frozen=True, slots=True)
class PartSize:
    """How much is computed and derived at once.

    Attributes:
        tokens: Most tokens of a part that has more than one group; this bounds the memory of
            activations.
        grain: The number of a part's tokens is a multiple of it, which padding makes up. Libraries
            compile kernels for each number that comes, which on a CPU takes longer than computing
            some padding.
        per_rectangle: Where attention is padded, what starting another rectangle costs, in tokens
            of padding: as much padding is taken to save one.
    """

    tokens: int
    grain: int
    per_rectangle: int


@dataclass(frozen=True, slots=True)
class PartShape:
    """Sizes of a part.

    Attributes:
        tokens: Tokens of all sequences.
        sequences: Sequences, the last of which may be padding.
        pairs: Sequences that are pairs; the longest is first.
        groups: Groups.
        largest: Pairs of the largest group.
        longest: Tokens of the longest sequence.
    """

    tokens: int
    sequences: int
    pairs: int
    groups: int
    largest: int
    longest: int

    @property
    def num_elements(self) -> int:
        """Length of the part's array."""
        return 3 * self.tokens + 2 * self.sequences + 1 + 2 * self.groups * self.largest


@dataclass(frozen=True, slots=True)
class PartArrays:
    """What is in a part's array, as views: NumPy's or PyTorch's, as the array is.

    Attributes:
        token_ids: int32 `[tokens]`.
        positions: Place of each token in its sequence, int32 `[tokens]`.
        token_types: 1 for tokens of the passage where the tokenizer has types, 0 for others, int32
            `[tokens]`.
        offsets: Where sequences begin, and the end of the last, int32 `[sequences + 1]`.
        query_lengths: Tokens of type 0 of each sequence, int32 `[sequences]`.
        rows: Which sequence each group's pairs are, the answer's first, int32 `[groups, largest]`;
            -1 where a group has no more pairs.
        teaching: The teacher's logit of each pair, float32 `[groups, largest]`.
    """

    token_ids: Any
    positions: Any
    token_types: Any
    offsets: Any
    query_lengths: Any
    rows: Any
    teaching: Any

    @classmethod
    def within(cls, array: Any, shape: PartShape, float32: Any = np.float32) -> "PartArrays":
        """Views of a part's array.

        Args:
            array: int32 `[shape.num_elements]`, NumPy's or PyTorch's.
            shape: Its sizes.
            float32: The type of that name, NumPy's or PyTorch's.
        """
        table = (shape.groups, shape.largest)
        sizes = [shape.tokens] * 3 + [shape.sequences + 1, shape.sequences]
        sizes += [shape.groups * shape.largest] * 2
        is_numpy = isinstance(array, np.ndarray)
        views = np.split(array, np.cumsum(sizes[:-1])) if is_numpy else array.split(sizes)
        token_ids, positions, token_types, offsets, query_lengths, rows, teaching = views
        return cls(
            token_ids,
            positions,
            token_types,
            offsets,
            query_lengths,
            rows.reshape(table),
            teaching.view(float32).reshape(table),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Whole groups, computed at once.

    Attributes:
        shape: Its sizes.
        array: int32 `[shape.num_elements]`, as `PartArrays` reads it.
    """

    shape: PartShape
    array: Int32s

    @property
    def arrays(self) -> PartArrays:
        """What is in it."""
        return PartArrays.within(self.array, self.shape)


def most_elements(options: TrainingOptions, size: PartSize) -> int:
    """Most elements that the arrays of a step's parts have together."""
    groups, pairs = options.questions, options.questions * (1 + options.negatives)
    tokens = pairs * options.max_tokens + groups * size.grain
    sequences = pairs + groups * (1 + size.grain // _PADDING_LEN)
    return 3 * tokens + 2 * sequences + groups + 2 * pairs


def lay_out(examples: StepExamples, size: PartSize, pad_id: int) -> Iterator[Part]:
    """Splits a step into parts, those of the longest groups first.

    Args:
        examples: The step; each group stays whole, in one part.
        size: How large a part may be.
        pad_id: Token id of padding.
    """
    lengths = examples.pairs.lengths.astype(np.int64)
    ends = np.cumsum(examples.group_sizes)
    begins = ends - examples.group_sizes
    longest = np.maximum.reduceat(lengths, begins)
    num_tokens = np.add.reduceat(lengths, begins)
    groups: list[int] = []
    so_far = 0
    for group in np.argsort(-longest, kind="stable").tolist():
        if groups and so_far + num_tokens[group] > size.tokens:
            yield _part(examples, groups, size, pad_id)
            groups, so_far = [], 0
        groups.append(group)
        so_far += int(num_tokens[group])
    yield _part(examples, groups, size, pad_id)


def _part(examples: StepExamples, groups: Sequence[int], size: PartSize, pad_id: int) -> Part:
    group_sizes = examples.group_sizes[groups]
    begins = np.cumsum(examples.group_sizes)[groups] - group_sizes
    is_there = np.arange(group_sizes.max()) < group_sizes[:, None]
    pairs = (begins[:, None] + np.arange(group_sizes.max()))[is_there]
    lengths = examples.pairs.lengths[pairs].astype(np.int64)
    order = np.argsort(-lengths, kind="stable")
    sorted_lengths = lengths[order]

    missing = int(-sorted_lengths.sum() % size.grain)
    padding = [min(_PADDING_LEN, missing - begin) for begin in range(0, missing, _PADDING_LEN)]
    all_lengths = np.concatenate([sorted_lengths, np.array(padding, np.int64)])
    shape = PartShape(
        tokens=int(all_lengths.sum()),
        sequences=len(all_lengths),
        pairs=len(pairs),
        groups=len(groups),
        largest=int(group_sizes.max()),
        longest=int(all_lengths.max()),
    )
    part = Part(shape, np.empty(shape.num_elements, np.int32))
    arrays = part.arrays
    arrays.offsets[0] = 0
    np.cumsum(all_lengths, out=arrays.offsets[1:])
    arrays.positions[:] = np.arange(shape.tokens) - np.repeat(arrays.offsets[:-1], all_lengths)
    num_real = shape.tokens - missing
    starts = np.repeat(examples.pairs.offsets[pairs[order]], sorted_lengths)
    arrays.token_ids[:num_real] = examples.pairs.token_ids[starts + arrays.positions[:num_real]]
    arrays.token_ids[num_real:] = pad_id
    arrays.query_lengths[: len(pairs)] = examples.query_lengths[pairs[order]]
    arrays.query_lengths[len(pairs) :] = padding
    arrays.token_types[:] = arrays.positions >= np.repeat(arrays.query_lengths, all_lengths)
    arrays.rows[:] = -1
    arrays.rows[is_there] = np.argsort(order)
    arrays.teaching[:] = 0
    arrays.teaching[is_there] = examples.teaching[pairs]
    return part


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Sequences of similar length, which attention pads to one width.

    Attributes:
        first: The first of them.
        end: The one after the last.
        width: Tokens of the longest, rounded up.
        first_token: The first token of the first.
        num_tokens: Tokens of all.
    """

    first: int
    end: int
    width: int
    first_token: int
    num_tokens: int


def rectangles(lengths: NDArray[np.int64], per_rectangle: int, step: int = 32) -> list[Rectangle]:
    """Divides sequences into the rectangles that cost least together.

    Args:
        lengths: Of the sequences, `[sequences]`, the longest first, but for padding at the end,
            which is no longer than `step`.
        per_rectangle: What another rectangle costs, in tokens.
        step: Widths are multiples of it: a library compiles a kernel for each shape, which on a CPU
            takes longer than computing it.
    """
    rounded = -(-lengths // step) * step
    # The shortest last, so that padding, which stands there, is among them.
    widths, counts = np.unique(rounded, return_counts=True)
    best: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
    # The best rectangles for the shorter lengths are part of the best for all.
    for end in range(1, len(widths) + 1):
        width, num_rows, choices = int(widths[end - 1]), 0, []
        for start in range(end - 1, -1, -1):
            num_rows += int(counts[start])
            cost, before = best[start]
            choices.append((cost + num_rows * width + per_rectangle, [(width, num_rows), *before]))
        best.append(min(choices))
    found, first, first_token = [], 0, 0
    for width, num_rows in best[-1][1]:
        end = first + num_rows
        num_tokens = int(lengths[first:end].sum())
        found.append(Rectangle(first, end, width, first_token, num_tokens))
        first, first_token = end, first_token + num_tokens
    return found
