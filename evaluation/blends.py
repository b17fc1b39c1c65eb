"""How much the first pass should count after the second: nDCG@10 by blend."""

from collections.abc import Mapping

from twopass.evaluation.candidates import candidates
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import ndcg, reranked_orders
from twopass.evaluation.runs import Answers

BLENDS = tuple(round(0.1 * tenths, 1) for tenths in range(11))
"""Weights of the first pass: 0 is the reranker alone, 1 the first pass alone."""


def blend_quality(dataset: Dataset, answers: Answers, depth: int) -> Mapping[float, float]:
    """nDCG@10 of every blend, from the scores of one run.

    Args:
        dataset: Queries and judgements.
        answers: Reranked to at least that depth.
        depth: How many candidates the reranker reads.
    """
    sets = {query: candidates(result) for query, result in answers.items()}
    return {blend: ndcg(dataset, reranked_orders(sets, depth, blend)) for blend in BLENDS}
