"""Joins the dense and the lexical list of one query into one, and chooses the candidates.

A fusion decides the order of candidates. Which documents are candidates it decides with the heads
of both lists: where the fusion gives one list little weight, what is first there may be last in the
fused list, and the second pass would never see it.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twopass._core import ranks_in, sum_by_key
from twopass.engines.base.sequences import Float32s, Int32s
from twopass.index.arrays import Int64s
from twopass.index.ranked_list import RankedList

HEAD_SHARE = 0.1
"""The heads of a list, as a share of the candidates: the first, and one more for each further ten.

Chosen on the development halves of docs/quality.md, and reported on the others there."""

# Before every place in the fused list, so that what is first in a list comes first.
_FIRST_DUE = 0.5

_NOTHING = RankedList(np.zeros(0, np.int64), np.zeros(0, np.float32))


class Fusion(Protocol):
    """A way of joining two lists."""

    def fuse(
        self,
        dense: RankedList,
        lexical: RankedList,
        *,
        beyond: RankedList = _NOTHING,
        dense_minimum: float | None,
    ) -> RankedList:
        """Joins two lists; every document of either is in the result once.

        Args:
            dense: The dense list, ranked by the collection's metric.
            lexical: The lexical list, ranked by BM25.
            beyond: Dense scores of documents that only the lexical list holds, as far as they are
                known.
            dense_minimum: The metric's lowest possible value; None if it has no bound.

        Returns:
            The joined list, best first; of equal scores, the better one in the dense list first.
        """


@dataclass(frozen=True, slots=True)
class ReciprocalRankFusion:
    """The sum of 1 / (k + rank) over both lists, ranks from 1 (Cormack et al. 2009, SIGIR).

    Attributes:
        k: Damps the lead of the first ranks, at least 1.
    """

    k: int = 60

    def fuse(
        self,
        dense: RankedList,
        lexical: RankedList,
        *,
        beyond: RankedList = _NOTHING,  # noqa: ARG002  # they have no rank
        dense_minimum: float | None,  # noqa: ARG002  # ranks have no scale
    ) -> RankedList:
        """Joins two lists, as `Fusion` says."""
        return _sum_by_key(
            (dense.keys, 1 / (self.k + _ranks(dense))),
            (lexical.keys, 1 / (self.k + _ranks(lexical))),
        )


@dataclass(frozen=True, slots=True)
class ConvexFusion:
    """`alpha * dense + (1 - alpha) * lexical`, each normalised to [0, 1].

    The normalisation is the theoretical min-max of Bruch et al. 2023 (arXiv 2210.11934, section 4):
    `(score - m) / (M - m)`, where M is the best score in the list and m the lowest possible one, 0
    for BM25 and -1 for a cosine. For a metric without bound, m is the lowest score in the list. A
    document that only the lexical list holds counts with its own dense score where that is known;
    one whose score is not known counts as m, since it is somewhere below the list's end.

    Attributes:
        alpha: The weight of the dense score, 0 to 1.
    """

    alpha: float

    def fuse(
        self,
        dense: RankedList,
        lexical: RankedList,
        *,
        beyond: RankedList = _NOTHING,
        dense_minimum: float | None,
    ) -> RankedList:
        """Joins two lists, as `Fusion` says."""
        similarities = _normalised(np.concatenate([dense.scores, beyond.scores]), dense_minimum)
        num_dense = len(dense.keys)
        return _sum_by_key(
            (dense.keys, self.alpha * similarities[:num_dense]),
            (lexical.keys, (1 - self.alpha) * _normalised(lexical.scores, 0.0)),
            (beyond.keys, self.alpha * similarities[num_dense:]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Chosen(RankedList):
    """Candidates in the order of their fused scores.

    Attributes:
        reading_order: Their positions in the order in which a second pass reads them, int32
            `[num_documents]`. The first n of them are what `choose` chooses where k is n.
    """

    reading_order: Int32s


def choose(
    fused: RankedList,
    dense: RankedList,
    lexical: RankedList,
    k: int,
    head_share: float = HEAD_SHARE,
) -> Chosen:
    """Chooses candidates: the heads of both lists, and the best of the fused.

    The first of either list is chosen whatever the fusion, if `k` is 2 or more.

    Args:
        fused: Both lists, joined.
        dense: The dense list.
        lexical: The lexical list.
        k: How many candidates to choose, at least 1; all where there are fewer.
        head_share: Heads of a list as a share of the candidates, as in `reading_order`.
    """
    order = reading_order(
        np.arange(1, len(fused.keys) + 1, dtype=np.float64),
        ranks_in(dense.keys, fused.keys),
        ranks_in(lexical.keys, fused.keys),
        head_share,
    )[:k]
    kept = np.sort(order)
    return Chosen(
        fused.keys[kept], fused.scores[kept], np.searchsorted(kept, order).astype(np.int32)
    )


def reading_order(
    fused_ranks: NDArray[np.float64],
    dense_ranks: NDArray[np.float64],
    lexical_ranks: NDArray[np.float64],
    head_share: float = HEAD_SHARE,
) -> Int32s:
    """The order in which documents become candidates: each by the best of its three places.

    A place in the fused list counts as it is. The r-th of another list counts as the place
    `(r - 1) / head_share + 0.5` of the fused, so that the first of either list comes first, and
    one more of each after every `1 / head_share` candidates.

    It can be told from the hits of an answer too: ranks among the candidates alone lead to the same
    order of the candidates as ranks among all documents.

    Args:
        fused_ranks: Ranks in the fused list, from 1, float64 `[num_documents]`.
        dense_ranks: Ranks in the dense list, from 1, in the same form; infinite where not in it.
        lexical_ranks: Ranks in the lexical list, likewise.
        head_share: 0 to 1; with 0 the first of either list alone is preferred.

    Returns:
        Positions, int32 `[num_documents]`; what is equally due comes in fused order.
    """
    list_ranks = np.minimum(dense_ranks, lexical_ranks)
    with np.errstate(divide="ignore", invalid="ignore"):
        due = np.where(list_ranks == 1, 0.0, (list_ranks - 1) / head_share) + _FIRST_DUE
    return np.lexsort((fused_ranks, np.minimum(fused_ranks, due))).astype(np.int32)


def _ranks(found: RankedList) -> NDArray[np.float64]:
    return np.arange(1, len(found.keys) + 1, dtype=np.float64)


def _normalised(scores: Float32s, minimum: float | None) -> NDArray[np.float64]:
    """Normalises scores to [0, 1]; all are 1 if no score is above the minimum."""
    wide = scores.astype(np.float64)
    if not len(wide):
        return wide
    least = float(wide.min()) if minimum is None else minimum
    extent = float(wide.max()) - least
    return (wide - least) / extent if extent > 0 else np.ones_like(wide)


def _sum_by_key(*lists: tuple[Int64s, NDArray[np.float64]]) -> RankedList:
    """Sums each key's scores, best first; equal sums keep the order in which the keys came."""
    every_key = np.concatenate([keys for keys, _ in lists])
    return RankedList(*sum_by_key(every_key, np.concatenate([shares for _, shares in lists])))
