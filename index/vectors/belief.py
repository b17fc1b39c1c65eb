"""When the answer of an approximate search among some vectors is believed.

Such a search finds the nearest of all vectors, and keeps what may be answered of them. That is
right where what may be answered lies anywhere among all; where it lies far from the query, what was
kept is few or wrong. How deep the last answer stands among all that was found tells which it is.
"""

import numpy as np

from twopass.index.arrays import Bools, Int64s

# Beyond so many times k, some more are found: by chance fewer may be answerable.
_CHANCE, _CHANCE_MORE = 1.25, 16
# The last answer must stand among the first so many of all vectors that were found: of 100 the
# last are less sure than the first, for a walk has not come by all that lie as far.
_SURE_SHARE = 0.25
# Or be no deeper than this many times where it would stand if what may be answered lay anywhere:
# that is as sure as a search in which everything may be answered.
_DEEPER = 1.5


def num_holding(k: int, share: float, *, at_least: int = 0) -> int:
    """How many of the nearest hold `k` that may be answered, if these lie anywhere.

    Args:
        k: How many to answer.
        share: Share of the vectors that may be answered, above 0.
        at_least: How many that may be answered are wanted anyway.
    """
    return int(max(at_least, _CHANCE * k + _CHANCE_MORE) / share) + 1


def is_believed(depth: Int64s, num_found: Int64s, k: int, share: float) -> Bools:
    """Whether answers are of vectors that lie where they would be looked for.

    Args:
        depth: How many of those found there are up to the last answer, int64 `[num_queries]`.
        num_found: How many were found, int64 `[num_queries]`.
        k: How many were to be answered.
        share: Share of the vectors that may be answered, above 0.
    """
    believed: Bools = depth <= np.maximum(_SURE_SHARE * num_found, _DEEPER * k / share)
    return believed
