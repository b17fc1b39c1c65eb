"""Pads groups to rectangles of token ids, on which PyTorch computes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.training.examples import Example

# Lengths are rounded up to a multiple of it: a library compiles a kernel for each new shape, which
# on a CPU takes longer than computing a part.
_LENGTH_STEP = 32


@dataclass(frozen=True, slots=True)
class PaddedPart:
    """Whole groups of similar length, whose loss is computed apart from that of other parts.

    Attributes:
        examples: The groups; their pairs are the rows, in order.
        token_ids: int64 `[num_pairs, max_len]`.
        token_types: 1 for tokens of the passage, 0 for others, int64 `[num_pairs, max_len]`.
        is_real: Which tokens are not padding, bool `[num_pairs, max_len]`.
    """

    examples: list[Example]
    token_ids: NDArray[np.int64]
    token_types: NDArray[np.int64]
    is_real: NDArray[np.bool_]


def padded_parts(examples: Sequence[Example], max_tokens: int, pad_id: int) -> Iterator[PaddedPart]:
    """Splits examples into parts of similar length, the longest first.

    Args:
        examples: The examples; each stays whole, in one part.
        max_tokens: Most tokens of a part, padding included, where it has more than one example.
        pad_id: Token id of the padding.
    """
    part: list[Example] = []
    for example in sorted(examples, key=_longest, reverse=True):
        if part and _num_tokens([*part, example]) > max_tokens:
            yield _padded(part, pad_id)
            part = []
        part.append(example)
    if part:
        yield _padded(part, pad_id)


def _padded(examples: list[Example], pad_id: int) -> PaddedPart:
    pairs = [pair for example in examples for pair in example.pairs]
    num_pairs, longest = _shape(examples)
    token_ids = np.full((num_pairs, longest), pad_id, np.int64)
    for row, pair in enumerate(pairs):
        token_ids[row, : len(pair)] = pair
    lengths = np.array([len(pair) for pair in pairs])
    starts = np.array([n for example in examples for n in example.query_lengths])
    columns = np.arange(longest)
    is_real = columns < lengths[:, None]
    is_passage = is_real & (columns >= starts[:, None])
    return PaddedPart(examples, token_ids, is_passage.astype(np.int64), is_real)


def _num_tokens(examples: list[Example]) -> int:
    num_pairs, longest = _shape(examples)
    return num_pairs * longest


def _shape(examples: list[Example]) -> tuple[int, int]:
    num_pairs = sum(len(example.pairs) for example in examples)
    longest = max(_longest(example) for example in examples)
    return num_pairs, -(-longest // _LENGTH_STEP) * _LENGTH_STEP


def _longest(example: Example) -> int:
    return max(len(pair) for pair in example.pairs)
