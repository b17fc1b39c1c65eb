"""Which shapes a padded engine on a GPU computes: lengths in buckets, batch sizes in steps.

A device is fastest at shapes it was prepared for: each bucket has an optimisation profile, each
(bucket, step) a CUDA graph. A batch of other size is computed as the next step up, whose surplus
rows are garbage that nobody reads.
"""

from dataclasses import dataclass
from itertools import count

import numpy as np

from twopass._core import plan_padded
from twopass.engines.base.sequences import Int32s, TokenBatch

BUCKETS = (32, 64, 96, 128, 192, 256, 384, 512, 768, 1_024, 1_536, 2_048, 3_072, 4_096, 6_144)


@dataclass(frozen=True, slots=True)
class Launch:
    """Sequences computed by one forward pass.

    Attributes:
        rows: Which of the batch's sequences, int32 `[num_rows]`.
        seq_len: Tokens each is padded to.
    """

    rows: Int32s
    seq_len: int

    def halves(self) -> "tuple[Launch, Launch]":
        """The same sequences in two launches; there must be two at least."""
        middle = len(self.rows) // 2
        return Launch(self.rows[:middle], self.seq_len), Launch(self.rows[middle:], self.seq_len)


@dataclass(frozen=True, slots=True)
class BucketGrid:
    """Padded lengths, and how many sequences of each fit in a forward pass.

    Attributes:
        buckets: Ascending lengths in tokens; the last is the longest sequence there may be.
        max_batch_tokens: Most tokens of a forward pass, padding counted; at least the last bucket.
    """

    buckets: tuple[int, ...]
    max_batch_tokens: int

    @classmethod
    def within(cls, max_seq_len: int, max_batch_tokens: int) -> "BucketGrid":
        """The usual buckets, up to the longest sequence a model takes."""
        buckets = (*(b for b in BUCKETS if b < max_seq_len), max_seq_len)
        return cls(buckets, max(max_batch_tokens, max_seq_len))

    def max_batch(self, seq_len: int) -> int:
        """Most sequences of a bucket in one forward pass."""
        return self.max_batch_tokens // seq_len

    def steps(self, seq_len: int) -> tuple[int, ...]:
        """The batch sizes that are prepared for a bucket: 1, 2, 4, 8, 12, 16, 24, 32 and so on.

        From 8 on no step is more than half as large again as the one before, so that at most a
        third of the rows is surplus. Batches under load are full, and the last step is full.
        """
        most = self.max_batch(seq_len)
        below = [step for step in _steps_to(most) if step < most]
        return (*below, most)

    def step(self, seq_len: int, batch_size: int) -> int:
        """The smallest step that holds a batch, 1 to `max_batch(seq_len)` sequences."""
        return next(step for step in self.steps(seq_len) if step >= batch_size)

    def plan(self, batch: TokenBatch) -> list[Launch]:
        """Splits a batch, none of whose sequences is longer than the last bucket."""
        plan = plan_padded(batch.lengths, np.array(self.buckets, np.int32), self.max_batch_tokens)
        return [
            Launch(np.array(plan.order[begin:end]), int(seq_len))
            for begin, end, seq_len in zip(
                plan.batch_offsets[:-1], plan.batch_offsets[1:], plan.seq_lens, strict=True
            )
        ]


def _steps_to(most: int) -> list[int]:
    steps = [1, 2, 4]
    for exponent in count(3):
        if 1 << exponent > most:
            return steps
        steps += [1 << exponent, 3 << (exponent - 1)]
    raise AssertionError("unreachable")
