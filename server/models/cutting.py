"""Long passages as overlapping windows, of which the best one counts.

Windows may have a head: the first tokens of their passage, such as its title, which are read before
each window but the first, so that a window is not without what it is about.
"""

from dataclasses import dataclass

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.index.stopping import NEVER, Stop

MAX_PASSAGE_TOKENS = 8_192
"""Most tokens of a passage that a second pass reads in windows; it does not read the rest."""

MAX_WINDOWS = 10_000
"""Most windows that a document may be split into, each of which is embedded and stored."""


_MAX_HEAD_TOKENS = 32


def max_head_tokens(window_tokens: int) -> int:
    """Most tokens of a title that are read before each window of so many tokens."""
    return min(_MAX_HEAD_TOKENS, window_tokens // 4)


@dataclass(frozen=True, slots=True, eq=False)
class CutPassages:
    """Passages cut into windows: what is read of each, and where it lies.

    Attributes:
        token_ids: A row for each window, passage after passage, their heads included.
        offsets: int32 `[num_passages + 1]`; passage `i` has the rows `offsets[i]:offsets[i + 1]`,
            at least one.
        starts: Where each window begins in its passage, in tokens, int32 `[num_windows]`.
        ends: Where it ends there, one past its last token, int32 `[num_windows]`.
    """

    token_ids: Ragged
    offsets: Int32s
    starts: Int32s
    ends: Int32s

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
        return np.stack([self.starts[rows], self.ends[rows]], axis=1)


def cut(
    passages: Ragged,
    window_tokens: int,
    overlap_tokens: int,
    heads: Int32s | None = None,
    stop: Stop = NEVER,
) -> CutPassages:
    """Cuts passages into windows.

    A stretch of text no longer than the overlap lies whole in one of the windows. The last window
    ends where its passage does, and is as long as the others.

    Args:
        passages: Token ids.
        window_tokens: Most tokens in a window and its head, at least 1.
        overlap_tokens: Least tokens that a window shares with the one before; together with a head
            below `window_tokens`.
        heads: Tokens in the head of each passage, int32 `[num_passages]`; None for none.
        stop: Ends the work.
    """
    counts = num_windows(passages.lengths, window_tokens, overlap_tokens, heads)
    offsets = np.zeros(len(passages) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    if offsets[-1] == len(passages):  # most passages fit: then nothing is copied
        return CutPassages(passages, offsets, np.zeros(len(passages), np.int32), passages.lengths)
    rows: list[Int32s] = []
    starts: list[int] = []
    ends: list[int] = []
    for i, count in enumerate(counts.tolist()):
        stop.check()
        passage = passages[i]
        head = 0 if heads is None or count == 1 else int(heads[i])
        width = window_tokens - head
        last = max(0, len(passage) - width)
        own = [*range(0, last, width - overlap_tokens), last]
        assert len(own) == count
        rows += (with_head(passage, head, start, start + width) for start in own)
        starts += own
        ends += (min(start + width, len(passage)) for start in own)
    return CutPassages(
        Ragged.from_rows(rows), offsets, np.array(starts, np.int32), np.array(ends, np.int32)
    )


def with_head(passage: Int32s, head: int, start: int, end: int) -> Int32s:
    """What is read of a window: the head of its passage, unless it begins there, and the window.

    Args:
        passage: Token ids, int32 `[num_tokens]`.
        head: Tokens in the head.
        start: First token of the window.
        end: One past its last token.
    """
    if not head or start < head:
        return passage[start:end]
    return np.concatenate([passage[:head], passage[start:end]])


def num_windows(
    lengths: Int32s, window_tokens: int, overlap_tokens: int, heads: Int32s | None = None
) -> Int32s:
    """How many windows passages of so many tokens are cut into, int32 `[num_passages]`.

    See `cut`. A passage no longer than `window_tokens` is one window, and has no head.
    """
    widths = window_tokens - (np.zeros_like(lengths) if heads is None else heads)
    beyond = np.where(lengths > window_tokens, lengths - widths, 0)
    return (1 + -(-beyond // (widths - overlap_tokens))).astype(np.int32)
