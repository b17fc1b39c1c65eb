"""Compares ways of joining the dense and the lexical list, from one run of each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from twopass.client import SearchResult
from twopass.evaluation.candidates import candidates
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import ndcg
from twopass.evaluation.runs import Answers, Similarities
from twopass.index.fusion import ConvexFusion, Fusion, ReciprocalRankFusion
from twopass.index.ranked_list import RankedList

FUSIONS: Mapping[str, Fusion] = {
    **{f"rrf {k}": ReciprocalRankFusion(k) for k in (10, 60)},
    **{f"convex {alpha / 20:g}": ConvexFusion(alpha / 20) for alpha in range(21)},
}
"""The fusions that are compared, by name."""

_COSINE_MINIMUM = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Lists:
    """What both retrievers found for one query; a document is named by its number in the corpus.

    Attributes:
        dense: The dense list.
        lexical: The lexical list.
        beyond: Similarities of documents that the lexical list alone holds.
    """

    dense: RankedList
    lexical: RankedList
    beyond: RankedList

    def first(self, k: int) -> "Lists":
        """What both retrievers would have found had they looked for k documents."""
        dense, lexical = _first(self.dense, k), _first(self.lexical, k)
        known = RankedList(
            np.concatenate([self.dense.keys[k:], self.beyond.keys]),
            np.concatenate([self.dense.scores[k:], self.beyond.scores]),
        )
        missing = np.setdiff1d(lexical.keys, dense.keys)
        is_beyond = np.isin(known.keys, missing)
        return Lists(dense, lexical, RankedList(known.keys[is_beyond], known.scores[is_beyond]))

    def fused(self, fusion: Fusion, dense_minimum: float | None = _COSINE_MINIMUM) -> RankedList:
        """Both lists joined.

        Args:
            fusion: How.
            dense_minimum: The metric's lowest possible value, as in `Fusion`.
        """
        return fusion.fuse(
            self.dense, self.lexical, beyond=self.beyond, dense_minimum=dense_minimum
        )


@dataclass(frozen=True, slots=True, eq=False)
class FirstPasses:
    """What both retrievers found for every query of a test collection.

    Attributes:
        dataset: Queries and judgements.
        dense: Answers by meaning.
        lexical: Answers by words.
        beyond: Similarities of the documents that words alone found.
    """

    dataset: Dataset
    dense: Answers
    lexical: Answers
    beyond: Similarities

    def lists(self) -> dict[str, Lists]:
        """The lists of each query, by its id."""
        numbers = {document.id: number for number, document in enumerate(self.dataset.documents)}
        return {
            query: Lists(
                _ranked(self.dense[query], numbers),
                _ranked(self.lexical[query], numbers),
                _similarities(self.beyond[query], numbers),
            )
            for query in self.dataset.queries
        }


def fusion_quality(found: FirstPasses) -> dict[str, float]:
    """nDCG@10 of every fusion of two runs, by its name in `FUSIONS`."""
    dataset, lists = found.dataset, found.lists()

    def order(fusion: Fusion, query: str) -> list[str]:
        return [dataset.documents[number].id for number in lists[query].fused(fusion).keys]

    return {
        name: ndcg(dataset, {query: order(fusion, query) for query in dataset.queries})
        for name, fusion in FUSIONS.items()
    }


def _first(found: RankedList, k: int) -> RankedList:
    return RankedList(found.keys[:k], found.scores[:k])


def _ranked(result: SearchResult, numbers: Mapping[str, int]) -> RankedList:
    found = candidates(result)
    return RankedList(
        np.array([numbers[candidate.id] for candidate in found], np.int64),
        np.array([candidate.score for candidate in found], np.float32),
    )


def _similarities(scores: Mapping[str, float], numbers: Mapping[str, int]) -> RankedList:
    return RankedList(
        np.array([numbers[document] for document in scores], np.int64),
        np.array([*scores.values()], np.float32),
    )
