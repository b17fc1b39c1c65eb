"""Which reranker with which blend: chosen on one half of the queries, reported on the other.

Test collections are of two kinds: like the pairs that rerankers were trained on, and of another
kind. Both count the same, so that a reranker which learned its pairs' kind alone is not chosen for
it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from twopass.evaluation.blends import BLENDS
from twopass.evaluation.candidates import CandidateSets
from twopass.evaluation.comparison import Difference
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import (
    Orders,
    Quality,
    first_pass_orders,
    mean_quality,
    quality,
    reranked_orders,
)

_CUTOFF = 10


class SetKind(StrEnum):
    """What a test collection has in common with the pairs that rerankers were trained on."""

    TRAINED = "trained"
    OTHER = "other"


@dataclass(frozen=True, slots=True, eq=False)
class ReadSet:
    """One half of a test collection, its candidates read by several rerankers.

    Attributes:
        dataset: Queries and judgements.
        kind: Its kind.
        read: Candidates with the logits of each reranker, by the reranker's name.
    """

    dataset: Dataset
    kind: SetKind
    read: Mapping[str, CandidateSets]


@dataclass(frozen=True, slots=True)
class KindsQuality:
    """Quality of one way of searching on collections of several kinds.

    Attributes:
        sets: By test collection.
        kinds: The mean over the collections of each kind.
        both: The mean over the kinds, each with the same weight.
    """

    sets: Mapping[str, Quality]
    kinds: Mapping[SetKind, Quality]
    both: Quality

    def differences(self, before: "KindsQuality") -> list[Difference]:
        """How it differs from another way on each set, on each kind, and on both."""
        return [
            *(
                Difference.between(name, before.sets[name], after)
                for name, after in self.sets.items()
            ),
            *(
                Difference.between(f"mean, {kind}", before.kinds[kind], after)
                for kind, after in self.kinds.items()
            ),
            Difference.between("mean of kinds", before.both, self.both),
        ]


Tried: TypeAlias = Mapping[str, Mapping[float, KindsQuality]]
"""Quality by reranker and blend."""


def tried(sets: Sequence[ReadSet], depth: int) -> Tried:
    """Measures every reranker at every blend.

    Args:
        sets: The halves to measure on; all were read by the same rerankers.
        depth: How many candidates a reranker reads.
    """
    rerankers = list(sets[0].read)
    return {
        reranker: {blend: reranked_quality(sets, depth, reranker, blend) for blend in BLENDS}
        for reranker in rerankers
    }


def chosen_blend(by_blend: Mapping[float, KindsQuality]) -> float:
    """The safest blend that is as good as the best.

    As good is what falls short of the highest mean over the kinds by one standard error of the
    difference at most (the rule of one standard error, Breiman et al. 1984); of those, the blend
    that gives the first pass the most weight loses least where the reranker knows least.
    """
    best = max(by_blend.values(), key=lambda found: found.both.ndcg).both
    return max(blend for blend, found in by_blend.items() if _is_as_good(found.both, best))


def reranked_quality(
    sets: Sequence[ReadSet], depth: int, reranker: str, blend: float
) -> KindsQuality:
    """Quality of both passes.

    Args:
        sets: The halves to measure on.
        depth: How many candidates the reranker reads.
        reranker: Its name.
        blend: Weight of the first pass.
    """
    return _quality(
        sets, [reranked_orders(one.read[reranker], depth, blend) for one in sets], depth
    )


def first_pass_quality(sets: Sequence[ReadSet], depth: int) -> KindsQuality:
    """Quality of the first pass alone."""
    orders = [first_pass_orders(next(iter(one.read.values()))) for one in sets]
    return _quality(sets, orders, depth)


def _quality(sets: Sequence[ReadSet], orders: Sequence[Orders], depth: int) -> KindsQuality:
    by_set = {
        one.dataset.name: quality(one.dataset, order, max(depth, _CUTOFF))
        for one, order in zip(sets, orders, strict=True)
    }
    kinds = {
        kind: mean_quality({one.dataset.name: by_set[one.dataset.name] for one in of_kind})
        for kind in SetKind
        if (of_kind := [one for one in sets if one.kind is kind])
    }
    both = mean_quality({str(kind): of_kind for kind, of_kind in kinds.items()})
    return KindsQuality(by_set, kinds, both)


def _is_as_good(quality: Quality, best: Quality) -> bool:
    behind = np.array([best.ndcg_of[query] - quality.ndcg_of[query] for query in best.ndcg_of])
    if not behind.any():
        return True
    error = behind.std(ddof=1) / np.sqrt(len(behind)) if len(behind) > 1 else 0.0
    return bool(behind.mean() <= error)
