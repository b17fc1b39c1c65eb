"""The candidates between both passes: those that still exist, and what is stored of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s, Int32s, Ragged
from twopass.index.arrays import Int64s
from twopass.index.passages import StoredPassages
from twopass.server.models.cutting import with_head
from twopass.server.search.found import Found


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The candidates of the first pass, best first; elsewhere a candidate is named by its position.

    Attributes:
        keys: Keys of the documents, int64 `[num_candidates]`.
        scores: First-pass scores, float32 `[num_candidates]`.
        reading_order: The order in which the second pass reads them: the heads of the first pass's
            lists early, whatever their scores, int32 `[num_candidates]`.
        ids: The documents' ids, `[num_candidates]`; empty where they were not read.
        passages: Their stored token ids; None where they were not read.
        windows: The nearest window of each document that is split: first token in the passage and
            one past the last, int32 `[num_candidates, 2]`; the whole passage of others. None where
            no candidate has a window that is known, or the passages were not read.
        has_window: Which candidates have one in `windows`, bool `[num_candidates]`; None as there.
        unread_since: Why the passages were not read; None where they were.
    """

    keys: Int64s
    scores: Float32s
    reading_order: Int32s
    ids: tuple[str, ...] = ()
    passages: Ragged | None = None
    windows: Int32s | None = None
    has_window: NDArray[np.bool_] | None = None
    unread_since: Exception | None = None

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.keys)

    @classmethod
    def of(cls, found: Found, stored: StoredPassages) -> "Candidates":
        """The found documents that still exist: those replaced or deleted since are left out.

        Args:
            found: What the first pass found.
            stored: What was read of the found documents.
        """
        keys = found.best.keys[stored.positions]
        return cls(
            keys,
            found.best.scores[stored.positions],
            _renumbered(found.reading_order, stored.positions),
            stored.ids,
            stored.token_ids,
            _windows(keys, stored.token_ids, found.windows) if found.windows else None,
            np.isin(keys, list(found.windows)) if found.windows else None,
        )

    @classmethod
    def unread(cls, found: Found, since: Exception) -> "Candidates":
        """The found documents, of which nothing was read."""
        return cls(found.best.keys, found.best.scores, found.reading_order, unread_since=since)

    def passages_at(self, positions: Int32s) -> Ragged:
        """Token ids of some candidates' whole passages.

        Args:
            positions: Which candidates, int32 `[n]`.
        """
        assert self.passages is not None
        return self.passages.at(positions)

    def windows_at(self, positions: Int32s, window_tokens: int) -> Ragged:
        """Token ids of some candidates' passages; of split documents the nearest windows.

        A window is read after its head, as it was when it was embedded.

        Args:
            positions: Which candidates, int32 `[n]`.
            window_tokens: Tokens of a window and its head, as the collection's schema says.
        """
        if self.windows is None:
            return self.passages_at(positions)
        assert self.passages is not None
        heads = self.heads_at(positions, window_tokens)
        return Ragged.from_rows(
            [
                with_head(self.passages[i], head, *self.windows[i].tolist())
                for i, head in zip(positions.tolist(), heads.tolist(), strict=True)
            ]
        )

    def heads_at(self, positions: Int32s, window_tokens: int) -> Int32s:
        """How many tokens are read before the nearest windows of candidates, int32 `[n]`.

        All windows of a document are as long: what one lacks of `window_tokens` is its head. The
        window that begins with the head, and a passage that is whole, have none.
        """
        if self.windows is None or self.has_window is None:
            return np.zeros(len(positions), np.int32)
        starts, ends = self.windows[positions].T
        heads = window_tokens - (ends - starts)
        has_head = self.has_window[positions] & (heads > 0) & (starts >= heads)
        return np.where(has_head, heads, 0).astype(np.int32)


def _renumbered(order: Int32s, kept: Int64s) -> Int32s:
    """An order of positions, by the places that they have among those kept."""
    places = np.full(len(order), -1, np.int32)
    places[kept] = np.arange(len(kept), dtype=np.int32)
    renumbered: Int32s = places[order]
    return renumbered[renumbered >= 0]


def _windows(keys: Int64s, passages: Ragged, known: Mapping[int, Sequence[int]]) -> Int32s:
    """The known window of each document, else the whole passage, int32 `[num_passages, 2]`."""
    whole = zip(keys.tolist(), passages.lengths.tolist(), strict=True)
    windows = [known.get(key, (0, length)) for key, length in whole]
    return np.array(windows, np.int32).reshape(-1, 2)
