"""Which sequences go together in a forward pass, and how they are padded."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Int32s, Ragged, TokenBatch

# What sentence-transformers takes unless told otherwise; others follow it or ask for a number.
PADDED_BATCH_SIZE = 32

Int64s = NDArray[np.int64]


class Order(StrEnum):
    """In which order sequences are cut into batches."""

    GIVEN = "as given"
    LENGTH_SORTED = "length-sorted"


@dataclass(frozen=True, slots=True)
class PaddedBatch:
    """What Hugging Face's models take; every array is int64 `[batch_size, seq_len]`."""

    input_ids: Int64s
    attention_mask: Int64s
    token_type_ids: Int64s

    def named(self) -> dict[str, Int64s]:
        """The arrays by the names that exported graphs give them."""
        return {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
            "token_type_ids": self.token_type_ids,
        }


def padded_plan(lengths: Int32s, order: Order) -> list[Int32s]:
    """Rows of each padded batch: `PADDED_BATCH_SIZE` of them, the longest first where sorted."""
    rows = np.arange(len(lengths), dtype=np.int32)
    if order is Order.LENGTH_SORTED:
        rows = np.argsort(-lengths, kind="stable").astype(np.int32)
    return [rows[i : i + PADDED_BATCH_SIZE] for i in range(0, len(rows), PADDED_BATCH_SIZE)]


def packed_plan(lengths: Int32s, max_batch_tokens: int) -> list[Int32s]:
    """Rows of each packed batch, in the order given: as many as the budget has room for."""
    return list(_filled(lengths, max_batch_tokens))


def _filled(lengths: Int32s, max_batch_tokens: int) -> Iterator[Int32s]:
    start = num_tokens = 0
    for row, length in enumerate(lengths.tolist()):
        if num_tokens and num_tokens + length > max_batch_tokens:
            yield np.arange(start, row, dtype=np.int32)
            start, num_tokens = row, 0
        num_tokens += length
    yield np.arange(start, len(lengths), dtype=np.int32)


def select(batch: TokenBatch, rows: Int32s) -> TokenBatch:
    """The sequences of these rows, in their order."""
    sequences = Ragged(batch.token_ids, batch.offsets)
    chosen = Ragged.from_rows([sequences[row] for row in rows.tolist()])
    return TokenBatch(chosen.token_ids, chosen.offsets, batch.query_lengths[rows])


def pad(batch: TokenBatch) -> PaddedBatch:
    """Pads every sequence to the longest of the batch with id 0, which the mask hides."""
    lengths = batch.lengths
    positions = np.arange(int(lengths.max()))
    is_real = positions < lengths[:, None]
    input_ids = np.zeros(is_real.shape, np.int64)
    input_ids[is_real] = batch.token_ids
    is_second = is_real & (positions >= batch.query_lengths[:, None])
    return PaddedBatch(input_ids, is_real.astype(np.int64), is_second.astype(np.int64))
