"""An order in which what comes next is relevant and is not what came before.

Maximal marginal relevance (Carbonell and Goldstein 1998, "The use of MMR, diversity-based reranking
for reordering documents and producing summaries"): of all that is left, next comes the one with the
highest
`w * relevance - (1 - w) * similarity to the nearest that came before`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.stopping import NEVER, Stop

DEFAULT_WEIGHT = 0.7
DEFAULT_DEPTH, MAX_DEPTH = 100, 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DiversitySettings:
    """How far hits are to differ.

    Attributes:
        relevance_weight: What relevance counts against difference, 0 to 1; 1 keeps the order.
        depth: How many of the first hits are put into another order.
    """

    relevance_weight: float = DEFAULT_WEIGHT
    depth: int = DEFAULT_DEPTH


def diversified(
    scores: Float32s, vectors: Float32s, relevance_weight: float, stop: Stop = NEVER
) -> tuple[Int32s, Float32s]:
    """Orders documents by maximal marginal relevance.

    Args:
        scores: Their relevance on any scale, best first, float32 `[n]`.
        vectors: Their embeddings at length 1, float32 `[n, dimension]`; zeros for a document
            without one, which is similar to none.
        relevance_weight: In [0, 1].
        stop: Ends the work.

    Returns:
        Places in the order given, int32 `[n]`, of equal ones the earlier first; and what each was
        chosen by, float32 `[n]`, in the new order.

    Raises:
        StoppedError: `stop` was set first.
    """
    count = len(scores)
    relevance = within_unit(scores)
    order, chosen_by = np.zeros(count, np.int32), np.zeros(count, np.float32)
    nearest = np.zeros(count)
    is_left = np.ones(count, np.bool_)
    for rank in range(count):
        stop.check()
        value = relevance_weight * relevance - (1 - relevance_weight) * nearest
        best = int(np.argmax(np.where(is_left, value, -np.inf)))
        order[rank], chosen_by[rank] = best, value[best]
        is_left[best] = False
        cosines = (vectors @ vectors[best]).astype(np.float64)
        nearest = cosines if rank == 0 else np.maximum(nearest, cosines)
    return order, chosen_by


def within_unit(scores: Float32s) -> NDArray[np.float64]:
    """Scores from 0, the lowest, to 1, the highest; all 1 where they are equal."""
    wide = scores.astype(np.float64)
    if not len(wide) or (spread := wide.max() - wide.min()) == 0:
        return np.ones_like(wide)
    within: NDArray[np.float64] = (wide - wide.min()) / spread
    return within
