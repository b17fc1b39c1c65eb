"""Token ids: rows of unequal length, what they are joined to, and batches of them.

Arrays are C-contiguous; shapes stand in brackets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from twopass._core import assemble_pairs, assemble_singles, gather_packed, splice

Int32s: TypeAlias = NDArray[np.int32]


Float32s: TypeAlias = NDArray[np.float32]


class Side(Enum):
    """The side of a text at which it is cut."""

    END = "end"
    START = "start"


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of token ids of unequal length, end to end in one array.

    Attributes:
        token_ids: int32 `[num_tokens]`.
        offsets: int32 `[num_rows + 1]`; row `i` is `token_ids[offsets[i]:offsets[i + 1]]`.
    """

    token_ids: Int32s
    offsets: Int32s

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> Int32s:
        """Token ids of one row, a view."""
        return self.token_ids[self.offsets[row] : self.offsets[row + 1]]

    @property
    def lengths(self) -> Int32s:
        """Tokens in each row, int32 `[num_rows]`."""
        return self.offsets[1:] - self.offsets[:-1]

    def first(self, num_rows: int) -> "Ragged":
        """The first rows, as views."""
        return self.rows(0, num_rows)

    def rows(self, start: int, end: int) -> "Ragged":
        """The rows from `start` to before `end`, or as many of them as there are, as views."""
        offsets = self.offsets[start : end + 1]
        return Ragged(self.token_ids[offsets[0] : offsets[-1]], offsets - offsets[0])

    def at(self, rows: Int32s) -> "Ragged":
        """Some rows in the order of their numbers, copied.

        Args:
            rows: int32 `[n]`.

        Raises:
            ValueError: There is no such row.
        """
        token_ids, offsets, _ = gather_packed(self.token_ids, self.offsets, self.lengths, rows)
        return Ragged(token_ids, offsets)

    def cut(self, max_tokens: int, side: Side = Side.END) -> "Ragged":
        """The rows with at most `max_tokens` tokens each; longer ones are cut at a side."""
        lengths = self.lengths
        kept = np.minimum(lengths, max_tokens)
        starts = self.offsets[:-1] + (lengths - kept if side is Side.START else 0)
        offsets = np.zeros_like(self.offsets)
        np.cumsum(kept, out=offsets[1:])
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], kept)
        return Ragged(self.token_ids[places], offsets)

    def with_parts(
        self,
        into: Int32s,
        positions: Int32s,
        parts: "Ragged",
        max_tokens: int,
    ) -> "Ragged":
        """The rows with further tokens put into them, each cut after `max_tokens`.

        Args:
            into: The row that each part belongs to, int32 `[num_parts]`, ascending.
            positions: Before which of the row's own tokens it stands, int32 `[num_parts]`,
                ascending within a row.
            parts: The tokens, a row for each part.
            max_tokens: At least 0.
        """
        spliced = splice(
            self.token_ids,
            self.offsets,
            into,
            positions,
            parts.token_ids,
            parts.offsets,
            max_tokens,
        )
        return Ragged(*spliced)

    @classmethod
    def from_rows(cls, rows: Sequence[Int32s | Sequence[int]]) -> "Ragged":
        """Joins rows end to end."""
        offsets = np.zeros(len(rows) + 1, np.int32)
        np.cumsum(list(map(len, rows)), out=offsets[1:])
        filled = [np.asarray(row, np.int32) for row in rows if len(row)]
        return cls(np.concatenate(filled) if filled else np.zeros(0, np.int32), offsets)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Sequences ready for a forward pass, special tokens included, ragged.

    Attributes:
        token_ids: int32 `[num_tokens]`.
        offsets: int32 `[num_sequences + 1]`.
        query_lengths: int32 `[num_sequences]`; the leading tokens of each sequence that have token
            type 0: the query with its special tokens in a pair, the whole of a single text.
    """

    token_ids: Int32s
    offsets: Int32s
    query_lengths: Int32s

    def __len__(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def num_tokens(self) -> int:
        """Tokens in all sequences together."""
        return len(self.token_ids)

    @property
    def lengths(self) -> Int32s:
        """Tokens in each sequence, int32 `[num_sequences]`."""
        return self.offsets[1:] - self.offsets[:-1]


@dataclass(frozen=True, slots=True)
class PairTemplate:
    """Where special tokens go in a pair, `prefix query separator passage suffix`, and token types.

    BERT has `([CLS],) ([SEP],) ([SEP],)`, RoBERTa `(<s>,) (</s>, </s>) (</s>,)` without types.

    Attributes:
        prefix: Before the query.
        separator: Between query and passage.
        suffix: After the passage.
        passage_type: Token type of the passage and the suffix: 1, or 0 where the tokenizer has no
            types. All before them is of type 0.
        num_query_separators: How many tokens of the separator are of the query's type; meaningless
            where there is only one.
    """

    prefix: tuple[int, ...]
    separator: tuple[int, ...]
    suffix: tuple[int, ...]
    passage_type: int = 1
    num_query_separators: int = 1

    @property
    def num_pair_tokens(self) -> int:
        """Special tokens in a pair."""
        return len(self.prefix) + len(self.separator) + len(self.suffix)

    def assemble(
        self, query_ids: Int32s, passages: Ragged, max_seq_len: int
    ) -> tuple[TokenBatch, NDArray[np.bool_]]:
        """Puts one query before each passage.

        Args:
            query_ids: int32 `[num_tokens]`, all of which are read.
            passages: A row for each passage.
            max_seq_len: Most tokens in a sequence; a passage that exceeds it is cut at its end.

        Returns:
            The pairs, and where a passage was cut, bool `[num_passages]`.

        Raises:
            ValueError: `max_seq_len` leaves no token of some passage.
        """
        token_ids, offsets, query_lengths, truncated = assemble_pairs(
            query_ids,
            passages.token_ids,
            passages.offsets,
            np.array(self.prefix, np.int32),
            np.array(self.separator, np.int32),
            np.array(self.suffix, np.int32),
            max_seq_len,
        )
        if self.passage_type == 0:
            query_lengths = offsets[1:] - offsets[:-1]
        elif self.num_query_separators != min(1, len(self.separator)):
            num_queries = len(self.prefix) + len(query_ids) + self.num_query_separators
            query_lengths = np.full(len(passages), num_queries, np.int32)
        return TokenBatch(token_ids, offsets, query_lengths), truncated


@dataclass(frozen=True, slots=True)
class SingleTemplate:
    """Where special tokens go around a single text, `prefix text suffix`, and its token types.

    Attributes:
        prefix: Before the text.
        suffix: After it.
        num_zero_types: How many tokens at the beginning are of type 0, all others of type 1; None
            where all are of type 0, as nearly everywhere.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    num_zero_types: int | None = None

    @property
    def num_tokens(self) -> int:
        """Special tokens around a text."""
        return len(self.prefix) + len(self.suffix)

    def assemble(self, texts: Ragged, max_seq_len: int) -> tuple[TokenBatch, NDArray[np.bool_]]:
        """Puts special tokens around each text.

        Args:
            texts: A row for each text.
            max_seq_len: Most tokens in a sequence; a text that exceeds it is cut at its end.

        Returns:
            The sequences, and where a text was cut, bool `[num_texts]`.

        Raises:
            ValueError: `max_seq_len` leaves no token of some text.
        """
        token_ids, offsets, zero_types, truncated = assemble_singles(
            texts.token_ids,
            texts.offsets,
            np.array(self.prefix, np.int32),
            np.array(self.suffix, np.int32),
            max_seq_len,
        )
        if self.num_zero_types is not None:
            zero_types = np.minimum(zero_types, np.int32(self.num_zero_types))
        return TokenBatch(token_ids, offsets, zero_types), truncated
