"""Lines that can be read again: what a quote that is never closed has swallowed."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

# Rows that swallow each other's lines could have the same ones read again and again.
_MAX_REREAD_CHARS = 256 * 1024**2
_CHARS_PER_LINE = 16  # what a line costs besides its characters


class RowTooLongError(csv.Error):
    """A row is longer than a document can be."""


@dataclass(frozen=True, slots=True)
class _Block:
    first: int  # how many lines are before it
    num_lines: int
    text: str

    @property
    def end(self) -> int:
        return self.first + self.num_lines


class RereadableLines:
    """The lines of a text that comes in blocks; those since the last row began are kept.

    Attributes:
        row: How many lines are before the row that is being read; its reader tells.
    """

    def __init__(self, blocks: Iterator[str], max_chars: int) -> None:
        """Reads nothing yet.

        Args:
            blocks: Blocks of whole lines.
            max_chars: How many characters a row can have, about.
        """
        self.row = 0
        self._blocks = blocks
        self._max_chars = max_chars
        self._kept: deque[_Block] = deque()
        self._num_left = _MAX_REREAD_CHARS

    def __iter__(self) -> Iterator[str]:
        """The lines from those kept on, with their ends.

        Raises:
            RowTooLongError: A row has more characters than it can have.
        """
        return chain.from_iterable(self._streams())

    def go_on(self, num_lines: int) -> None:
        """Drops lines that were read: those that are left come next, from another iterator.

        Args:
            num_lines: How many lines are before the first one that is wanted, none dropped before.
        """
        self.row = num_lines
        self._drop()
        if self._kept and (num_before := num_lines - self._kept[0].first) > 0:
            block = self._kept.popleft()
            stream = io.StringIO(block.text, newline="")
            for _ in range(num_before):
                stream.readline()
            rest = _Block(num_lines, block.num_lines - num_before, stream.read())
            self._kept.appendleft(rest)

    def may_reread(self, num_lines: int) -> bool:
        """Whether lines can be read again, up to all of those kept; it is counted."""
        whole = sum(len(block.text) for block in list(self._kept)[:-1])
        self._num_left -= whole + num_lines * _CHARS_PER_LINE
        return self._num_left >= 0

    def _streams(self) -> Iterator[io.StringIO]:
        for block in list(self._kept):
            yield io.StringIO(block.text, newline="")
        end = self._kept[-1].end if self._kept else self.row
        while True:
            self._drop()
            if len(self._kept) > 1 and sum(len(one.text) for one in self._kept) > self._max_chars:
                raise RowTooLongError
            text = next(self._blocks, None)
            if text is None:
                return
            block = _Block(end, _num_lines(text), text)
            end = block.end
            self._kept.append(block)
            yield io.StringIO(text, newline="")

    def _drop(self) -> None:
        """Forgets blocks that are wholly before the row that is being read."""
        while self._kept and self._kept[0].end <= self.row:
            self._kept.popleft()


def _num_lines(text: str) -> int:
    num_ends = text.count("\n")
    if "\r" in text:
        num_ends += text.count("\r") - text.count("\r\n")
    return num_ends + (not text.endswith(("\n", "\r")))
