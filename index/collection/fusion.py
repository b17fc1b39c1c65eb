"""Joins the dense and the lexical list of one query into one."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s
from twopass.index.arrays import Int64s
from twopass.index.ranked_list import RankedList


class Fusion(Protocol):
    """A way of joining two lists."""

    def fuse(
        self, dense: RankedList, lexical: RankedList, *, dense_minimum: float | None
    ) -> RankedList:
        """Joins two lists; every document of either is in the result once.

        Args:
            dense: The dense list, ranked by the collection's metric.
            lexical: The lexical list, ranked by BM25.
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
    document that a list lacks counts as m there, since it is somewhere below the list's end.

    Attributes:
        alpha: The weight of the dense score, 0 to 1.
    """

    alpha: float

    def fuse(
        self, dense: RankedList, lexical: RankedList, *, dense_minimum: float | None
    ) -> RankedList:
        """Joins two lists, as `Fusion` says."""
        return _sum_by_key(
            (dense.keys, self.alpha * _normalised(dense.scores, dense_minimum)),
            (lexical.keys, (1 - self.alpha) * _normalised(lexical.scores, 0.0)),
        )


def _ranks(found: RankedList) -> NDArray[np.float64]:
    return np.arange(1, len(found.keys) + 1, dtype=np.float64)


def _normalised(scores: Float32s, minimum: float | None) -> NDArray[np.float64]:
    """Normalises scores, best first, to [0, 1]; all are 1 if no score is above the minimum."""
    wide = scores.astype(np.float64)
    if not len(wide):
        return wide
    least = float(wide[-1]) if minimum is None else minimum
    extent = float(wide[0]) - least
    return (wide - least) / extent if extent > 0 else np.ones_like(wide)


def _sum_by_key(*lists: tuple[Int64s, NDArray[np.float64]]) -> RankedList:
    """Sums each key's scores, best first; equal sums keep the order in which the keys came."""
    sums: dict[int, float] = {}
    for keys, shares in lists:
        for key, share in zip(keys.tolist(), shares.tolist(), strict=True):
            sums[key] = sums.get(key, 0.0) + share
    keys = np.fromiter(sums.keys(), np.int64, len(sums))
    scores = np.fromiter(sums.values(), np.float64, len(sums)).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return RankedList(keys[order], scores[order])
