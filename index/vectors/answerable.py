"""Which vectors of a segment a search may answer: neither hidden nor filtered out."""

from functools import cached_property

import numpy as np

from twopass.index.arrays import Bools, Bytes, Int64s

# Looking a key up among sorted keys costs some 200 ns where many are looked up; marking keys in an
# array costs a nanosecond for each key between the first and the last.
_LOOKUP_COST = 200
# Unused keys between the used ones, for which marking is still the better way.
_MAX_GAPS = 64


class Answerable:
    """The vectors that a search may answer, as faiss wants them: positions, a mask, or bits.

    Attributes:
        num_vectors: How many vectors the segment has.
        count: How many of them may be answered.
    """

    def __init__(
        self, num_vectors: int, *, mask: Bools | None = None, positions: Int64s | None = None
    ) -> None:
        """Takes one form, of which the others are made when they are needed.

        Args:
            num_vectors: How many vectors the segment has.
            mask: Which may be answered, bool `[num_vectors]`.
            positions: Those that may be answered, ascending. Neither form: all may.
        """
        self.num_vectors = num_vectors
        if positions is not None:
            self.positions = positions
            self.count = len(positions)
        elif mask is not None:
            self.mask = mask
            self.count = int(np.count_nonzero(mask))
        else:
            self.count = num_vectors

    @property
    def is_everything(self) -> bool:
        """Whether every vector may be answered."""
        return self.count == self.num_vectors

    @property
    def share(self) -> float:
        """Share of the vectors that may be answered, 0 to 1; 1 of no vectors."""
        return self.count / self.num_vectors if self.num_vectors else 1.0

    @cached_property
    def mask(self) -> Bools:
        """Which vectors may be answered, bool `[num_vectors]`."""
        if self.is_everything:
            return np.ones(self.num_vectors, np.bool_)
        mask = np.zeros(self.num_vectors, np.bool_)
        mask[self.positions] = True
        return mask

    @cached_property
    def positions(self) -> Int64s:
        """The vectors that may be answered, ascending, int64 `[count]`."""
        return np.flatnonzero(self.mask)

    @cached_property
    def bits(self) -> Bytes | None:
        """A bit for each vector, the lowest of a byte first; None where every one is set."""
        return None if self.is_everything else np.packbits(self.mask, bitorder="little")


def positions_of(wanted: Int64s, keys: Int64s) -> Int64s:
    """Positions of wanted keys among the keys of a segment, both ascending; others are left out."""
    if not len(keys) or not len(wanted):
        return np.empty(0, np.int64)
    first, last = int(keys[0]), int(keys[-1])
    wanted = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last, side="right")]
    length = last - first + 1
    if length == len(keys):
        return wanted - first
    if len(wanted) * _LOOKUP_COST < length or length > _MAX_GAPS * len(keys):
        positions = np.searchsorted(keys, wanted)
        found: Int64s = positions[keys[positions] == wanted]
        return found
    marked = np.zeros(length, np.bool_)
    marked[wanted - first] = True
    return np.flatnonzero(marked[keys - first])
