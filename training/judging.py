"""Whether a trained reranker is better than its rival, on held-out queries."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s
from twopass.evaluation.significance import LEVEL, randomization_test
from twopass.training.measuring import ndcg_by_query


@dataclass(frozen=True, slots=True)
class Verdict:
    """Two readings of the same held-out groups, each with its own best blend.

    Attributes:
        first_pass: nDCG@10 before the second pass.
        rival: nDCG@10 of what the trained reranker has to beat.
        trained: nDCG@10 of the trained reranker.
        p_value: Two-sided p-value of the difference.
        num_queries: Held-out queries.
    """

    first_pass: float
    rival: float
    trained: float
    p_value: float
    num_queries: int

    @property
    def is_better(self) -> bool:
        """Whether the trained reranker is significantly better."""
        return self.trained > self.rival and self.p_value < LEVEL


@dataclass(frozen=True, slots=True)
class Reading:
    """A reranker's logits of held-out groups, and its blend.

    Attributes:
        logits: float32 `[num_pairs]` of each group, the answer's first.
        blend: Weight of the first pass, chosen on other queries.
    """

    logits: list[Float32s]
    blend: float


def judge(similarity: list[Float32s], rival: Reading, trained: Reading) -> Verdict:
    """Compares two readings of the same groups, whose first-pass scores are given."""
    before, after = (
        ndcg_by_query(similarity, reading.logits, reading.blend) for reading in (rival, trained)
    )
    return Verdict(
        first_pass=_mean(ndcg_by_query(similarity, rival.logits, 1.0)),
        rival=_mean(before),
        trained=_mean(after),
        p_value=randomization_test(after, before),
        num_queries=len(similarity),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean())
