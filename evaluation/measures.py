"""Quality of the orders that a server returned, and of those that follow from its scores."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from twopass.client import RerankStatus, RetrieveMode
from twopass.evaluation.candidates import CandidateSets, candidates, reranked_order
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.runs import Answers
from twopass.evaluation.significance import randomization_test

Orders: TypeAlias = Mapping[str, Sequence[str]]
"""Document ids, best first, by query id."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of the orders of one way of searching, averaged over queries.

    Attributes:
        ndcg: nDCG@10 (Järvelin and Kekäläinen 2002): the order of the first ten.
        mrr: RR@10: how far down the first relevant document is.
        recall: R@k of all candidates that were found: what a second pass can work with.
        average_precision: AP over the candidates.
        ndcg_of: nDCG@10 by query id, for comparing ways query by query.
        mrr_of: RR@10 by query id; empty for a mean of several test collections, as are the others.
        recall_of: R@k by query id.
        average_precision_of: AP by query id.
    """

    ndcg: float
    mrr: float
    recall: float
    average_precision: float
    ndcg_of: Mapping[str, float]
    mrr_of: Mapping[str, float] = field(default_factory=dict)
    recall_of: Mapping[str, float] = field(default_factory=dict)
    average_precision_of: Mapping[str, float] = field(default_factory=dict)

    def p_value(self, other: "Quality") -> float:
        """Probability that chance alone makes the two differ so much in nDCG@10."""
        queries = list(self.ndcg_of)
        return randomization_test(
            [self.ndcg_of[query] for query in queries], [other.ndcg_of[query] for query in queries]
        )


def mean_quality(by_dataset: Mapping[str, Quality]) -> Quality:
    """The mean over test collections, each with the same weight.

    A query's value is scaled by its weight in that mean, so that two means can be compared query by
    query.
    """
    qualities = by_dataset.values()
    num_queries = sum(len(quality.ndcg_of) for quality in qualities)
    return Quality(
        ndcg=statistics.fmean(quality.ndcg for quality in qualities),
        mrr=statistics.fmean(quality.mrr for quality in qualities),
        recall=statistics.fmean(quality.recall for quality in qualities),
        average_precision=statistics.fmean(quality.average_precision for quality in qualities),
        ndcg_of={
            f"{dataset}/{query}": value * num_queries / (len(by_dataset) * len(quality.ndcg_of))
            for dataset, quality in by_dataset.items()
            for query, value in quality.ndcg_of.items()
        },
    )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality of one way of finding candidates on one test collection.

    Attributes:
        dataset: The collection's name.
        mode: How candidates were found.
        num_documents: Size of the corpus.
        num_queries: Queries measured.
        num_candidates: Most candidates found for a query.
        first_pass: The order of the first pass.
        reranked: The order after both passes, blended as the server does, by rerank depth.
        reranker: The order of the reranker's logits alone, at the greatest depth; None without a
            second pass.
        blend: The weight of the first pass in `reranked`.
        search_ms: Median time of a search in the server, in milliseconds.
        num_queries_cut: Queries of which a model has read only the beginning.
    """

    dataset: str
    mode: RetrieveMode
    num_documents: int
    num_queries: int
    num_candidates: int
    first_pass: Quality
    reranked: Mapping[int, Quality]
    reranker: Quality | None
    blend: float
    search_ms: float
    num_queries_cut: int = 0


def evaluation(
    dataset: Dataset,
    mode: RetrieveMode,
    answers: Answers,
    depths: Sequence[int],
    *,
    num_documents: int | None = None,
) -> Evaluation:
    """Measures the answers of one mode.

    Args:
        dataset: Queries and judgements.
        mode: How candidates were found.
        answers: The answers, reranked to the greatest depth or not at all.
        depths: Rerank depths to measure; the order of a shallower second pass follows from the
            scores, without another search.
        num_documents: Size of the corpus; None for the documents that the dataset has.
    """
    sets = {query: candidates(result) for query, result in answers.items()}
    blend = next(iter(answers.values())).blend
    # Also where no query found anything to rerank: every set has the same columns.
    is_reranked = any(one.rerank_status is RerankStatus.COMPLETE for one in answers.values())
    k = max(depths)

    def reranked(depth: int, weight: float) -> Quality:
        return quality(dataset, reranked_orders(sets, depth, weight), k)

    return Evaluation(
        dataset=dataset.name,
        mode=mode,
        num_documents=len(dataset.documents) if num_documents is None else num_documents,
        num_queries=len(answers),
        num_queries_cut=sum(answer.query_truncated for answer in answers.values()),
        num_candidates=k,
        first_pass=quality(dataset, first_pass_orders(sets), k),
        reranked={depth: reranked(depth, blend) for depth in depths} if is_reranked else {},
        reranker=reranked(k, 0.0) if is_reranked else None,
        blend=blend,
        search_ms=statistics.median(r.timings.total_ms or 0 for r in answers.values()),
    )


def quality(dataset: Dataset, orders: Orders, k: int) -> Quality:
    """Measures orders of at most k documents; a query without an answer counts as 0."""
    import ir_measures  # of the extra evaluation: the other commands start without it

    wanted = {
        "ndcg": ir_measures.nDCG @ 10,
        "mrr": ir_measures.RR @ 10,
        "recall": ir_measures.R @ k,
        "average_precision": ir_measures.AP @ k,
    }
    run = {
        query: {document: -float(rank) for rank, document in enumerate(order)}
        for query, order in orders.items()
    }
    # ir_measures leaves out a query with an empty run.
    values = {name: dict.fromkeys(dataset.queries, 0.0) for name in wanted}
    name_of = {measure: name for name, measure in wanted.items()}
    for measured in ir_measures.iter_calc(list(wanted.values()), dataset.qrels, run):
        values[name_of[measured.measure]][measured.query_id] = measured.value
    means = {name: statistics.fmean(of.values()) for name, of in values.items()}
    return Quality(
        **means,
        ndcg_of=values["ndcg"],
        mrr_of=values["mrr"],
        recall_of=values["recall"],
        average_precision_of=values["average_precision"],
    )


def judged_share(dataset: Dataset, orders: Orders) -> float:
    """The share of the first ten documents that have a judgement, over all queries together.

    Measures count the others as irrelevant, so that a way of searching whose hits nobody has seen
    looks worse than it is.
    """
    tops = {query: order[:10] for query, order in orders.items()}
    num_shown = sum(map(len, tops.values()))
    num_judged = sum(
        document in dataset.qrels[query] for query, top in tops.items() for document in top
    )
    return num_judged / num_shown if num_shown else 0.0


def ndcg(dataset: Dataset, orders: Orders) -> float:
    """nDCG@10 averaged over the queries."""
    return quality(dataset, orders, 10).ndcg


def reranked_orders(sets: CandidateSets, depth: int, blend: float) -> Orders:
    """The orders that a second pass of that depth and blend gives.

    Args:
        sets: Candidates with their logits.
        depth: How many candidates the reranker reads.
        blend: Weight of the first pass.
    """
    return {query: reranked_order(found, depth, blend) for query, found in sets.items()}


def first_pass_orders(sets: CandidateSets) -> Orders:
    """The orders of the first pass."""
    return {query: [candidate.id for candidate in found] for query, found in sets.items()}
