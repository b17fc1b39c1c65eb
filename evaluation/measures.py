"""Quality of the orders that a server answered with, and of those it would have answered with."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import ir_measures
import numpy as np
from ir_measures import nDCG

from twopass.client import RetrieveMode, SearchHit, SearchResult
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.runs import Answers
from twopass.server.second_pass import best_first

Orders: TypeAlias = Mapping[str, Sequence[str]]
"""Document ids, best first, by query id."""

_MEASURE = nDCG @ 10


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality of one way of finding candidates on one test collection: nDCG@10, averaged.

    Attributes:
        dataset: The collection's name.
        mode: How candidates were found.
        num_documents: Size of the corpus.
        num_queries: Queries measured.
        first_pass: The order of the first pass.
        reranked: The order after both passes, blended as the server does, by rerank depth.
        reranker: The order of the reranker's logits alone, at the greatest depth; None without a
            second pass.
        blend: The weight of the first pass in `reranked`.
        search_ms: Median over queries, in the server.
    """

    dataset: str
    mode: RetrieveMode
    num_documents: int
    num_queries: int
    first_pass: float
    reranked: Mapping[int, float]
    reranker: float | None
    blend: float
    search_ms: float


def evaluation(
    dataset: Dataset, mode: RetrieveMode, answers: Answers, depths: Sequence[int]
) -> Evaluation:
    """Measures the answers of one mode.

    Args:
        dataset: Queries and judgements.
        mode: How candidates were found.
        answers: What was answered, reranked to the greatest depth or not at all.
        depths: For which rerank depths to measure; what a shallower second pass would have
            answered follows from the scores, and costs nothing.
    """
    candidates = {query: in_first_pass_order(result) for query, result in answers.items()}
    blend = next(iter(answers.values())).blend
    is_reranked = any(result.num_reranked for result in answers.values())

    def reranked(depth: int, weight: float) -> float:
        return ndcg(dataset, {q: _reranked(hits, depth, weight) for q, hits in candidates.items()})

    return Evaluation(
        dataset=dataset.name,
        mode=mode,
        num_documents=len(dataset.documents),
        num_queries=len(answers),
        first_pass=ndcg(dataset, {q: [h.id for h in hits] for q, hits in candidates.items()}),
        reranked={depth: reranked(depth, blend) for depth in depths} if is_reranked else {},
        reranker=reranked(max(depths), 0.0) if is_reranked else None,
        blend=blend,
        search_ms=statistics.median(r.timings.total_ms or 0 for r in answers.values()),
    )


def ndcg(dataset: Dataset, orders: Orders) -> float:
    """nDCG@10 averaged over the queries (Järvelin and Kekäläinen 2002)."""
    run = {
        query: {document: -float(rank) for rank, document in enumerate(order)}
        for query, order in orders.items()
    }
    # A query without an answer has to count as 0, and ir_measures leaves out one with an empty run.
    measured = {m.query_id: m.value for m in ir_measures.iter_calc([_MEASURE], dataset.qrels, run)}
    return statistics.fmean(measured.get(query, 0.0) for query in dataset.queries)


def in_first_pass_order(result: SearchResult) -> list[SearchHit]:
    """The candidates of an answer that has them all."""
    return sorted(result.hits, key=lambda hit: hit.first_pass_rank)


def first_pass_score(hit: SearchHit) -> float:
    """The score that decided its place before the second pass."""
    scores = (hit.fused_score, hit.dense_score, hit.lexical_score)
    return next(score for score in scores if score is not None)


def _reranked(candidates: Sequence[SearchHit], depth: int, blend: float) -> list[str]:
    """The order that a second pass of that depth leads to."""
    read = candidates[:depth]
    logits = np.array([hit.logit for hit in read], np.float32)
    scores = np.array([first_pass_score(hit) for hit in read], np.float32)
    order = best_first(logits, scores, blend, 0)
    return [read[position].id for position in order] + [hit.id for hit in candidates[depth:]]
