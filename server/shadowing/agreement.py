"""How alike two orders of the same candidates are, and how good either is by feedback."""

import math
from collections.abc import Mapping, Sequence

TOP = 10
"""How many of the first hits are compared."""

_PERSISTENCE = 0.9


def overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """The share of the longer list's documents that both have; 1 where both are empty."""
    longest = max(len(first), len(second))
    return len(set(first) & set(second)) / longest if longest else 1.0


def rank_biased_overlap(first: Sequence[str], second: Sequence[str]) -> float:
    """Rank-biased overlap of two lists of one length, extrapolated; 1 where they are equal.

    RBO_ext with p = 0.9 (Webber, Moffat and Zobel, A similarity measure for indefinite rankings,
    TOIS 28, 2010, eq. 32): the agreement at each depth, weighed by how likely a reader goes so far.
    """
    depth = min(len(first), len(second))
    if not depth:
        return 1.0
    p, total, common = _PERSISTENCE, 0.0, 0
    seen_first: set[str] = set()
    seen_second: set[str] = set()
    for d in range(1, depth + 1):
        a, b = first[d - 1], second[d - 1]
        seen_first.add(a)
        seen_second.add(b)
        common = len(seen_first & seen_second)
        total += common / d * p**d
    return common / depth * p**depth + (1 - p) / p * total


def reciprocal_rank(order: Sequence[str], grades: Mapping[str, int]) -> float:
    """1 / rank of the first document with a grade above 0 within the first ten; 0 without one."""
    for rank, document in enumerate(order[:TOP], 1):
        if grades.get(document, 0) > 0:
            return 1 / rank
    return 0.0


def ndcg(order: Sequence[str], grades: Mapping[str, int]) -> float:
    """nDCG@10 with the grades as gains (Järvelin and Kekäläinen 2002), as trec_eval has it."""
    ideal = _gain(sorted(grades.values(), reverse=True))
    return _gain([grades.get(document, 0) for document in order]) / ideal if ideal else 0.0


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:TOP], 1))
