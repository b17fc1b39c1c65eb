"""The order of candidates after the second pass."""

from dataclasses import dataclass, field

import numpy as np

from twopass._core import top_k
from twopass.engines.base.sequences import Float32s, Int32s
from twopass.server.search.second_pass import ScoredPairs, blended_scores
from twopass.server.search.types import RerankStatus


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """The order of candidates; each is named by its position in first-pass order.

    Attributes:
        order: Positions, best first: those reranked, then all others in first-pass order.
        status: Whether the second pass happened, and why not.
        scored: Scores of the candidates that the second pass read, in the order of `read`; None
            without a second pass.
        read: Positions of those candidates, ascending, int32 `[num_read]`.
        blended: What decides their order, in the order of `read`, float32 `[num_read]`.
        num_below_min_score: Reranked candidates left out of `order`.
        best_score: The greatest score of those in `order`; None where none was scored.
    """

    order: Int32s
    status: RerankStatus
    scored: ScoredPairs | None = None
    read: Int32s = field(default_factory=lambda: np.zeros(0, np.int32))
    blended: Float32s = field(default_factory=lambda: np.zeros(0, np.float32))
    num_below_min_score: int = 0
    best_score: float | None = None

    @classmethod
    def of_first_pass(cls, num_candidates: int, status: RerankStatus) -> "Ranking":
        """The order of the first pass, where there was no second."""
        return cls(np.arange(num_candidates, dtype=np.int32), status)

    @property
    def num_reranked(self) -> int:
        """How many candidates the second pass scored."""
        return len(self.read)

    def reaches(self, threshold: float) -> bool | None:
        """Whether any candidate of the order has a score of `threshold` or more.

        Returns:
            None where that is not known: nothing was scored, or only a part, and none of it has.
        """
        if self.best_score is not None and self.best_score >= threshold:
            return True
        return False if self.status is RerankStatus.COMPLETE else None


def ranked(
    scored: ScoredPairs,
    positions: Int32s,
    first_pass_scores: Float32s,
    blend: float,
    min_score: float | None,
) -> Ranking:
    """Orders the candidates that were scored before all others.

    Args:
        scored: Scores of the first of `positions`: of all, or of those there was time for.
        positions: The candidates to be reranked, in the order in which they were read.
        first_pass_scores: Scores of all candidates, float32 `[num_candidates]`.
        blend: Weight of the first pass among the reranked.
        min_score: Reranked candidates below it are left out; None leaves out none.
    """
    read = positions[: len(scored.logits)]
    # In first-pass order, which decides between equal scores.
    in_order = np.argsort(read)
    read, scored = read[in_order], scored.at(in_order)
    blended = blended_scores(scored.logits, first_pass_scores[read], blend)
    best_first = top_k(blended, len(blended))
    kept = best_first
    if min_score is not None:
        kept = best_first[scored.scores[best_first] >= min_score]
    is_rest = np.ones(len(first_pass_scores), np.bool_)
    is_rest[read] = False
    return Ranking(
        order=np.concatenate([read[kept], np.flatnonzero(is_rest).astype(np.int32)]),
        status=RerankStatus.COMPLETE if len(read) == len(positions) else RerankStatus.PARTIAL,
        scored=scored,
        read=read,
        blended=blended,
        num_below_min_score=len(best_first) - len(kept),
        best_score=float(scored.scores[kept].max()) if len(kept) else None,
    )
