"""A launch's inputs as one block of int32, so that one copy takes them to the device.

Offsets, query lengths and token ids of a key stand at fixed places of the block. What a batch does
not fill is padding: sequences of their own, which no other sequence's attention sees.
"""

from dataclasses import dataclass

import numpy as np

from twopass._core import gather_packed
from twopass.engines.base.sequences import Int32s, TokenBatch
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey

# int32s of 256 bytes, on which what a device allocates begins.
_ALIGNMENT = 64
# Any id there is does: nobody reads what becomes of it.
_PAD_ID = 0


def _aligned(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


@dataclass(frozen=True, slots=True)
class InputBlock:
    """Where the inputs of a key are."""

    key: GraphKey

    @property
    def offsets(self) -> slice:
        """int32 `[sequences + 1]`."""
        return slice(0, self.key.sequences + 1)

    @property
    def query_lengths(self) -> slice:
        """int32 `[sequences]`."""
        start = _aligned(self.key.sequences + 1)
        return slice(start, start + self.key.sequences)

    @property
    def token_ids(self) -> slice:
        """int32 `[tokens]`."""
        return slice(self.size - self.key.tokens, self.size)

    @property
    def size(self) -> int:
        """int32s of the whole block."""
        sequences = self.key.sequences
        return _aligned(sequences + 1) + _aligned(sequences) + self.key.tokens

    @classmethod
    def largest(cls, max_tokens: int, max_sequences: int) -> int:
        """int32s of a block that holds every key."""
        return cls(GraphKey(max_tokens, max_sequences, 1)).size

    def fill(self, block: Int32s, batch: TokenBatch, rows: Int32s) -> None:
        """Writes a batch's sequences, and padding behind them.

        Padding tokens are cut into sequences of at most the key's longest; what is then left of the
        key's sequences is empty.

        Args:
            block: Written, int32 `[size]` at least.
            batch: The batch.
            rows: Which of its sequences, int32 `[num_rows]`; the key has to be theirs.
        """
        key, count = self.key, len(rows)
        token_ids, offsets, query_lengths = gather_packed(
            batch.token_ids, batch.offsets, batch.query_lengths, rows
        )
        num_tokens = len(token_ids)
        out = block[self.token_ids]
        out[:num_tokens] = token_ids
        out[num_tokens:] = _PAD_ID
        out = block[self.offsets]
        out[: count + 1] = offsets
        ends = num_tokens + key.longest * np.arange(1, key.sequences - count + 1)
        out[count + 1 :] = np.minimum(ends, key.tokens)
        out = block[self.query_lengths]
        out[:count] = query_lengths
        out[count:] = 0
