"""Compares ways of joining the dense and the lexical list, from one run of each."""

from collections.abc import Mapping

import numpy as np

from twopass.client import SearchResult
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import first_pass_score, in_first_pass_order, ndcg
from twopass.evaluation.runs import Answers
from twopass.index.collection.fusion import ConvexFusion, Fusion, ReciprocalRankFusion
from twopass.index.ranked_list import RankedList

FUSIONS: Mapping[str, Fusion] = {
    **{f"rrf {k}": ReciprocalRankFusion(k) for k in (10, 60)},
    **{f"convex {alpha / 20:g}": ConvexFusion(alpha / 20) for alpha in range(21)},
}
"""The fusions that are compared, by name."""

COSINE_MINIMUM = -1.0
"""The lowest score of a dense list."""


def fusion_quality(dataset: Dataset, dense: Answers, lexical: Answers) -> dict[str, float]:
    """nDCG@10 of every fusion of two runs, by its name in `FUSIONS`."""
    numbers = numbers_of(dataset)
    lists = {
        query: (ranked_list(dense[query], numbers), ranked_list(lexical[query], numbers))
        for query in dataset.queries
    }

    def order(fusion: Fusion, query: str) -> list[str]:
        fused = fusion.fuse(*lists[query], dense_minimum=COSINE_MINIMUM)
        return [dataset.documents[number].id for number in fused.keys]

    return {
        name: ndcg(dataset, {query: order(fusion, query) for query in dataset.queries})
        for name, fusion in FUSIONS.items()
    }


def numbers_of(dataset: Dataset) -> dict[str, int]:
    """A number for every document of a corpus, by its id."""
    return {document.id: number for number, document in enumerate(dataset.documents)}


def ranked_list(result: SearchResult, numbers: Mapping[str, int]) -> RankedList:
    """The list of one retriever, its documents by their numbers."""
    hits = in_first_pass_order(result)
    return RankedList(
        np.array([numbers[hit.id] for hit in hits], np.int64),
        np.array([first_pass_score(hit) for hit in hits], np.float32),
    )
