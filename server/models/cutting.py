"""Long passages as overlapping windows, of which the best one counts."""

from dataclasses import dataclass

import numpy as np

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.index.stopping import NEVER, Stop

MAX_PASSAGE_TOKENS = 8_192
"""Most tokens of a passage that a second pass reads in windows; it does not read the rest."""

MAX_WINDOWS = 10_000
"""Most windows that a document may be split into, each of which is embedded and stored."""


@dataclass(frozen=True, slots=True, eq=False)
class CutPassages:
    """Passages cut into windows: the tokens of each window and where it begins.

    Attributes:
        token_ids: A row for each window, passage after passage.
        offsets: int32 `[num_passages + 1]`; passage `i` has the rows `offsets[i]:offsets[i + 1]`,
            at least one.
        starts: Where each window begins in its passage, in tokens, int32 `[num_windows]`.
    """

    token_ids: Ragged
    offsets: Int32s
    starts: Int32s

    def of(self, passage: int) -> Int32s:
        """First token and one past the last of each window of a passage, int32 `[n, 2]`."""
        return self.ranges(np.arange(*self.offsets[passage : passage + 2], dtype=np.int32))

    def best(self, logits: Float32s) -> Int32s:
        """The row of each passage's best window; of equal ones, the first.

        Args:
            logits: Logits of all windows or of the first ones, float32 `[at most num_windows]`.

        Returns:
            int32 rows, one for each of the first passages whose windows all have a logit.
        """
        rows = [
            start + int(np.argmax(logits[start:end]))
            for start, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
            if end <= len(logits)
        ]
        return np.array(rows, np.int32)

    def ranges(self, rows: Int32s) -> Int32s:
        """First token and one past the last of windows, in their passages, int32 `[n, 2]`."""
        starts = self.starts[rows]
        return np.stack([starts, starts + self.token_ids.lengths[rows]], axis=1)


def cut(
    passages: Ragged, window_tokens: int, overlap_tokens: int, stop: Stop = NEVER
) -> CutPassages:
    """Cuts passages into windows.

    A stretch of text no longer than the overlap lies whole in one of the windows. The last window
    ends where its passage does, and is as long as the others.

    Args:
        passages: Token ids.
        window_tokens: Most tokens in a window, at least 1.
        overlap_tokens: Least tokens that a window shares with the one before; below
            `window_tokens`.
        stop: Ends the work.
    """
    counts = num_windows(passages.lengths, window_tokens, overlap_tokens)
    offsets = np.zeros(len(passages) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    if offsets[-1] == len(passages):  # most passages fit: then nothing is copied
        return CutPassages(passages, offsets, np.zeros(len(passages), np.int32))
    stride = window_tokens - overlap_tokens
    rows: list[Int32s] = []
    starts: list[int] = []
    for i, count in enumerate(counts.tolist()):
        stop.check()
        passage = passages[i]
        last = max(0, len(passage) - window_tokens)
        own = [*range(0, last, stride), last]
        assert len(own) == count
        rows += (passage[start : start + window_tokens] for start in own)
        starts += own
    return CutPassages(Ragged.from_rows(rows), offsets, np.array(starts, np.int32))


def num_windows(lengths: Int32s, window_tokens: int, overlap_tokens: int) -> Int32s:
    """How many windows passages of so many tokens are cut into, int32 `[num_passages]`."""
    stride = window_tokens - overlap_tokens
    beyond = np.maximum(0, lengths - window_tokens)
    return (1 + -(-beyond // stride)).astype(np.int32)
