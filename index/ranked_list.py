"""What a retriever finds."""

from dataclasses import dataclass

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s


@dataclass(frozen=True, slots=True, eq=False)
class RankedList:
    """Documents in the order of their scores, best first; equal scores by key.

    Attributes:
        keys: int64 `[num_documents]`.
        scores: float32 `[num_documents]`; higher is better.
    """

    keys: Int64s
    scores: Float32s


@dataclass(frozen=True, slots=True, eq=False)
class WordMatches(RankedList):
    """Documents that hold words of a query.

    Attributes:
        num_words_dropped: Distinct words of the query that occur and were not searched, since they
            are too many.
    """

    num_words_dropped: int = 0
