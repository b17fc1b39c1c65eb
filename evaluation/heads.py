"""How many heads of each list should be candidates: nDCG@10 of both passes by their share."""

from collections.abc import Mapping, Sequence

import numpy as np

from twopass.evaluation.fusions import FirstPasses
from twopass.evaluation.measures import ndcg
from twopass.index.fusion import Chosen, ConvexFusion, choose
from twopass.index.ranked_list import RankedList
from twopass.server.search.second_pass import best_first

HEAD_SHARES: Mapping[str, float | None] = {
    "none": None,
    **{f"{share:g}": share for share in (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)},
}
"""Shares that are compared, by name; with "none" the best of the fused alone are candidates."""


def head_quality(found: FirstPasses, alpha: float, depths: Sequence[int]) -> dict[str, float]:
    """nDCG@10 of both passes, by share of heads and depth.

    Args:
        found: What both retrievers found, all of it reranked.
        alpha: Weight of the dense list in the fusion.
        depths: How many candidates are reranked; the greatest is how many there are.
    """
    dataset, lists = found.dataset, found.lists()
    numbers = {document.id: number for number, document in enumerate(dataset.documents)}
    fusion, k = ConvexFusion(alpha), max(depths)

    def order(query: str, share: float | None, depth: int) -> list[str]:
        of_query = lists[query]
        fused = of_query.fused(fusion)
        if share is None:
            chosen = _best_of_fused(fused, k)
        else:
            chosen = choose(fused, of_query.dense, of_query.lexical, k, share)
        answers = (found.dense[query], found.lexical[query])
        logits = {numbers[hit.id]: hit.logit or 0.0 for answer in answers for hit in answer.hits}
        keys = _reranked(chosen, logits, depth, answers[0].blend)
        return [dataset.documents[key].id for key in keys]

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
