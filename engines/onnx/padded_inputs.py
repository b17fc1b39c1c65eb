"""A padded batch in host memory, written by the core straight into what a device copies from."""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twopass._core import pack_padded
from twopass.engines.base.sequences import Int32s, TokenBatch
from twopass.engines.onnx.bucket_grid import BucketGrid, Launch

Allocate = Callable[[int, DTypeLike], NDArray[np.generic]]
"""Makes an array `[size]` of a type: page-locked for a device, `numpy.empty` for none."""


class PaddedInputs:
    """Buffers as large as the largest launch of a grid, used again for each.

    Attributes:
        input_ids: int32 `[max_batch_tokens]`; a launch's `[batch_size, seq_len]` lies at its start.
        lengths: int32 `[max_batch]`, at least 1 in every row.
        query_lengths: int32 `[max_batch]`.
    """

    def __init__(self, grid: BucketGrid, pad_id: int, allocate: Allocate = np.empty) -> None:
        most = grid.max_batch(grid.buckets[0])
        self.input_ids: Int32s = allocate(grid.max_batch_tokens, np.int32)  # type: ignore[assignment]
        self.lengths: Int32s = allocate(most, np.int32)  # type: ignore[assignment]
        self.query_lengths: Int32s = allocate(most, np.int32)  # type: ignore[assignment]
        self._pad_id = pad_id
        # Surplus rows of a step hold what an earlier launch left: valid ids and lengths, always.
        self.input_ids[:] = pad_id
        self.lengths[:] = 1
        self.query_lengths[:] = 1

    def pack(self, batch: TokenBatch, launch: Launch) -> None:
        """Writes a launch's sequences, each padded to its `seq_len`."""
        pack_padded(
            batch.token_ids,
            batch.offsets,
            launch.rows,
            launch.seq_len,
            self._pad_id,
            self.input_ids,
            self.lengths,
        )
        self.query_lengths[: len(launch.rows)] = batch.query_lengths[launch.rows]
