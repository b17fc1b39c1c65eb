"""What stands between the passes: candidates that are still there, and what is stored of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.index.arrays import Int64s
from twopass.index.rows.reader import StoredPassages
from twopass.server.search.first_pass import Found


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the first pass found, best first: a candidate's position here is its one number.

    Attributes:
        keys: int64 `[num_candidates]`.
        scores: First-pass scores, float32 `[num_candidates]`.
        ids: The documents' ids, `[num_candidates]`; empty where they were not read in time.
        passages: Their stored token ids; None where they were not read in time.
        windows: Where documents are split, the nearest window of each: first token in the passage
            and one past the last, int32 `[num_candidates, 2]`; the whole passage where none is
            known. None where documents are not split, or the passages were not read.
    """

    keys: Int64s
    scores: Float32s
    ids: tuple[str, ...] = ()
    passages: Ragged | None = None
    windows: Int32s | None = None

    def __len__(self) -> int:
        """Number of candidates."""
        return len(self.keys)

    @classmethod
    def of(cls, found: Found, stored: StoredPassages, *, are_split: bool) -> "Candidates":
        """Those found that are still there: what was replaced or deleted since is left out.

        Args:
            found: By the first pass.
            stored: What was read of it.
            are_split: Whether the collection splits documents.
        """
        keys = found.best.keys[stored.positions]
        return cls(
            keys,
            found.best.scores[stored.positions],
            stored.ids,
            stored.token_ids,
            _windows(keys, stored.token_ids, found.windows) if are_split else None,
        )

    def nearest_windows(self, count: int) -> Ragged:
        """Token ids of the first candidates' nearest windows; whole passages where not split."""
        assert self.passages is not None
        if self.windows is None:
            return self.passages.first(count)
        return Ragged.from_rows([self.passages[i][slice(*self.windows[i])] for i in range(count)])


def _windows(keys: Int64s, passages: Ragged, known: Mapping[int, Sequence[int]]) -> Int32s:
    """The known window of each document, else the whole passage, int32 `[num_passages, 2]`."""
    whole = zip(keys.tolist(), passages.lengths.tolist(), strict=True)
    windows = [known.get(key, (0, length)) for key, length in whole]
    return np.array(windows, np.int32).reshape(-1, 2)
