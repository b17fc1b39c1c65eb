"""Quality against time, for each way of searching."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.client import RetrieveMode
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import quality
from twopass.evaluation.runs import Answers


@dataclass(frozen=True, slots=True)
class Way:
    """One way of searching.

    Attributes:
        mode: How candidates are found.
        depth: How many candidates are found, and reranked if there is a reranker.
        reranker: A model's name, or None for the first pass alone.
    """

    mode: RetrieveMode
    depth: int
    reranker: str | None = None

    @property
    def series(self) -> str:
        """Name of the ways that differ from this one only in depth."""
        return self.mode if self.reranker is None else f"{self.mode} + {self.reranker}"


@dataclass(frozen=True, slots=True)
class Point:
    """A way, measured.

    Attributes:
        way: The way of searching.
        ndcg: nDCG@10, the mean over test collections.
        milliseconds: Median over a collection's queries in the server, the mean over collections.
    """

    way: Way
    ndcg: float
    milliseconds: float


def ways(depths: Sequence[int], rerankers: Sequence[str]) -> list[Way]:
    """The first passes alone, then hybrid search with each reranker at each depth."""
    deepest = max(depths)
    modes: tuple[RetrieveMode, ...] = ("lexical", "dense", "hybrid")
    return [
        *(Way(mode, deepest) for mode in modes),
        *(Way("hybrid", depth, reranker) for reranker in rerankers for depth in sorted(depths)),
    ]


def point(way: Way, measured: Sequence[tuple[Dataset, Answers]]) -> Point:
    """Measures a way on several test collections, by the order in which hits were returned.

    Args:
        way: How the collections were searched.
        measured: Each collection and its answers.
    """
    ndcgs, times = [], []
    for dataset, answers in measured:
        orders = {query: [hit.id for hit in result.hits] for query, result in answers.items()}
        ndcgs.append(quality(dataset, orders, way.depth).ndcg)
        times.append(statistics.median(r.timings.total_ms or 0.0 for r in answers.values()))
    return Point(way, statistics.fmean(ndcgs), statistics.fmean(times))
