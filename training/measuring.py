"""Quality of a reranker's orders on groups it was not trained on: nDCG@10, one answer a group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s
from twopass.server.search.second_pass import z_scores

_BLENDS = tuple(round(0.1 * i, 1) for i in range(10))


@dataclass(frozen=True, slots=True)
class Measured:
    """nDCG@10 on the development groups.

    Attributes:
        step: Updates made before the measurement.
        ndcg: nDCG@10 with the blend that is best here; early stopping goes by it.
        blend: That blend, the weight of the first pass.
        alone: nDCG@10 of the order by logits alone.
        first_pass: nDCG@10 of the order by the first pass's cosines.
    """

    step: int
    ndcg: float
    blend: float
    alone: float
    first_pass: float


def measure(similarity: list[Float32s], logits: list[Float32s], step: int) -> Measured:
    """Measures every blend in steps of a tenth.

    Args:
        similarity: The first pass's scores of each group, the answer's first.
        logits: The reranker's logits of each group.
        step: Updates made.
    """
    by_blend = {
        blend: float(ndcg_by_query(similarity, logits, blend).mean()) for blend in (*_BLENDS, 1.0)
    }
    best = max(_BLENDS, key=lambda blend: by_blend[blend])
    return Measured(step, by_blend[best], best, by_blend[0.0], by_blend[1.0])


def ndcg_by_query(
    similarity: list[Float32s], logits: list[Float32s], blend: float
) -> NDArray[np.float64]:
    """nDCG@10 of each group; only its first member is relevant, and a tie counts against it.

    Args:
        similarity: The first pass's scores of each group.
        logits: The reranker's logits of each group.
        blend: Weight of the first pass, on the z-scores of both.
    """
    scores = [
        blend * z_scores(first) + (1 - blend) * z_scores(second)
        for first, second in zip(similarity, logits, strict=True)
    ]
    # Not by >=: what is no number is nobody's better.
    ranks = np.array([1 + int((~(s[1:] < s[0])).sum()) for s in scores])
    return np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)
