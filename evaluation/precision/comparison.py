"""How far two precisions differ: in quality, in order, in logits."""

from dataclasses import dataclass

import numpy as np

from twopass._core import top_k
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import Orders, ndcg
from twopass.evaluation.orders import kendall_tau
from twopass.evaluation.precision.runs import Candidates, Logits, Run

# With fewer queries, a single query that changes its order moves nDCG@10 by more than this.
_MANY_QUERIES = 500
_ALLOWED_OF_MANY, _ALLOWED_OF_FEW = 0.003, 0.01


@dataclass(frozen=True, slots=True)
class PassQuality:
    """nDCG@10 of one pass in both precisions.

    Attributes:
        exact: nDCG@10 in float32.
        lower: nDCG@10 in the precision that is measured.
    """

    exact: float
    lower: float

    @property
    def difference(self) -> float:
        """What the lower precision gains; negative where it loses."""
        return self.lower - self.exact


@dataclass(frozen=True, slots=True)
class Comparison:
    """One test collection in a lower precision beside float32.

    Attributes:
        dataset: The collection's name.
        num_documents: Size of the corpus.
        num_queries: Queries measured.
        first_pass: Quality of each precision's own dense first pass.
        reranked: Quality of the candidates that float32 found, ordered by logits.
        overlap: Share of the candidates that both first passes found, mean over queries.
        kendall_tau: Kendall's tau of the two orders by logits, mean over queries; 1 where they are
            the same.
        largest_logit_difference: Largest difference of two logits, over all pairs.
        allowed: By how much nDCG@10 may differ.
    """

    dataset: str
    num_documents: int
    num_queries: int
    first_pass: PassQuality
    reranked: PassQuality
    overlap: float
    kendall_tau: float
    largest_logit_difference: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether both passes differ by no more than is allowed."""
        passes = (self.first_pass, self.reranked)
        return all(abs(quality.difference) <= self.allowed for quality in passes)


def compare(dataset: Dataset, exact: Run, lower: Run) -> Comparison:
    """Compares two runs over a collection that read the same candidates.

    Args:
        dataset: Queries and judgements.
        exact: The run in float32; both runs have read its candidates, `exact.found`.
        lower: The run in the precision that is measured.
    """
    logits = [(exact.logits[query], lower.logits[query]) for query in dataset.queries]
    found = [(exact.found[query], lower.found[query]) for query in dataset.queries]
    is_large = len(dataset.queries) >= _MANY_QUERIES
    return Comparison(
        dataset=dataset.name,
        num_documents=len(dataset.documents),
        num_queries=len(dataset.queries),
        first_pass=PassQuality(
            ndcg(dataset, _orders(dataset, exact.found)),
            ndcg(dataset, _orders(dataset, lower.found)),
        ),
        reranked=PassQuality(
            ndcg(dataset, _orders(dataset, _reranked(exact.found, exact.logits))),
            ndcg(dataset, _orders(dataset, _reranked(exact.found, lower.logits))),
        ),
        overlap=float(np.mean([np.isin(a, b).mean() for a, b in found])),
        kendall_tau=float(np.mean([kendall_tau(a, b) for a, b in logits])),
        largest_logit_difference=max(float(np.abs(a - b).max()) for a, b in logits),
        allowed=_ALLOWED_OF_MANY if is_large else _ALLOWED_OF_FEW,
    )


def _reranked(candidates: Candidates, logits: Logits) -> Candidates:
    return {
        query: numbers[top_k(logits[query], len(numbers))] for query, numbers in candidates.items()
    }


def _orders(dataset: Dataset, candidates: Candidates) -> Orders:
    return {
        query: [dataset.documents[number].id for number in numbers]
        for query, numbers in candidates.items()
    }
