"""How many heads of each list should be candidates: nDCG@10 of both passes by their share."""

from collections.abc import Mapping, Sequence

import numpy as np

from twopass.evaluation.datasets import Dataset
from twopass.evaluation.fusions import COSINE_MINIMUM, numbers_of, ranked_list
from twopass.evaluation.measures import ndcg
from twopass.evaluation.runs import Answers
from twopass.index.collection.fusion import Chosen, ConvexFusion, choose
from twopass.index.ranked_list import RankedList
from twopass.server.search.second_pass import best_first

HEAD_SHARES: Mapping[str, float | None] = {
    "none": None,
    **{f"{share:g}": share for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)},
}
"""Shares that are compared, by name; with "none" the best of the fused alone are candidates."""


def head_quality(
    dataset: Dataset, dense: Answers, lexical: Answers, alpha: float, depths: Sequence[int]
) -> dict[str, float]:
    """nDCG@10 of both passes, by share of heads and depth.

    Args:
        dataset: Queries and judgements.
        dense: Answers by meaning, all of them reranked.
        lexical: Answers by words, all of them reranked.
        alpha: Weight of the dense list in the fusion.
        depths: How many candidates are reranked; the greatest is how many there are.
    """
    numbers = numbers_of(dataset)
    fusion, k = ConvexFusion(alpha), max(depths)

    def order(query: str, share: float | None, depth: int) -> list[str]:
        answers = (dense[query], lexical[query])
        by_meaning, by_words = (ranked_list(found, numbers) for found in answers)
        fused = fusion.fuse(by_meaning, by_words, dense_minimum=COSINE_MINIMUM)
        if share is None:
            chosen = _best_of_fused(fused, k)
        else:
            chosen = choose(fused, by_meaning, by_words, k, share)
        logits = {numbers[hit.id]: hit.logit or 0.0 for found in answers for hit in found.hits}
        blend = max(found.blend for found in answers)  # 0 where a list found nothing
        return [dataset.documents[key].id for key in _reranked(chosen, logits, depth, blend)]

    return {
        f"{name}, depth {depth}": ndcg(
            dataset, {query: order(query, share, depth) for query in dataset.queries}
        )
        for depth in depths
        for name, share in HEAD_SHARES.items()
    }


def _best_of_fused(fused: RankedList, k: int) -> Chosen:
    order = np.arange(min(k, len(fused.keys)), dtype=np.int32)
    return Chosen(fused.keys[:k], fused.scores[:k], order)


def _reranked(chosen: Chosen, logits: Mapping[int, float], depth: int, blend: float) -> list[int]:
    """The candidates' keys in the order of both passes."""
    read = np.sort(chosen.reading_order[:depth])
    of_read = np.array([logits[key] for key in chosen.keys[read].tolist()], np.float32)
    best = read[best_first(of_read, chosen.scores[read], blend, 0)]
    unread = np.setdiff1d(np.arange(len(chosen.keys)), read)
    keys: list[int] = chosen.keys[np.concatenate([best, unread])].tolist()
    return keys
