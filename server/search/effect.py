"""What the second pass did to one search, in figures that are counted."""

import numpy as np

from twopass.server.search.candidates import Candidates
from twopass.server.search.ranking import Ranking
from twopass.server.search.types import SearchQuery
from twopass.server.telemetry.relevance import MAX_TOP, SecondPassEffect


def effect_of(
    query: SearchQuery, candidates: Candidates, ranking: Ranking, seconds: float
) -> SecondPassEffect | None:
    """Compares the order of the second pass with that of the first.

    Args:
        query: What was asked for.
        candidates: The candidates, in first-pass order.
        ranking: Their order after the second pass.
        seconds: How long the second pass took.

    Returns:
        The effect; None where the second pass scored nothing.
    """
    scored = ranking.scored
    if scored is None or not len(ranking.read):
        return None
    first, second = _best_two(ranking)
    top = [] if query.offset else ranking.order[: min(query.top_n, MAX_TOP)].tolist()
    return SecondPassEffect(
        top=top,
        reach=_reach(candidates, top[:3]),
        num_read=len(ranking.read),
        num_truncated=int(np.count_nonzero(scored.truncated)),
        num_below=ranking.num_below_min_score,
        has_min_score=query.rerank.min_score is not None,
        top_score=float(scored.scores[first]),
        margin=None if second is None else float(scored.logits[first] - scored.logits[second]),
        seconds=seconds,
    )


def _best_two(ranking: Ranking) -> tuple[int, int | None]:
    """Where the two best stand among those read, whether or not their score left them out."""
    read, order = ranking.read, ranking.order
    if len(read) == 1:
        return 0, None
    if not ranking.num_below_min_score:
        first, second = np.searchsorted(read, order[:2]).tolist()
        return first, second
    first, second = np.argsort(-ranking.blended, kind="stable")[:2].tolist()
    return first, second


def _reach(candidates: Candidates, places: list[int]) -> int:
    """How many candidates are read until all of these are."""
    if not places:
        return 0
    order: list[int] = candidates.reading_order.tolist()
    return 1 + max(map(order.index, places))
