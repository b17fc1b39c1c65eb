"""The order that every setting gives, from lists and logits alone, as the server would answer it.

Lists cut at a smaller k are the lists of that k, and a shallower second pass reads a part of what a
deeper one reads. With an approximate index, whose lists at a smaller k may differ, it is close
rather than equal; `trial.py` counts how often the server's first ten hits are the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.sequences import Float32s, Int32s
from twopass.evaluation.fusions import Lists
from twopass.evaluation.tuning.settings import Grid, Reader, Settings
from twopass.index.arrays import Int64s
from twopass.index.fusion import ConvexFusion, Fusion, choose
from twopass.server.search.second_pass import blended_scores, z_scores

CUTOFF = 10
"""How many hits of an order count: nDCG@10."""

_DISCOUNTS = 1 / np.log2(np.arange(2, CUTOFF + 2))


@dataclass(frozen=True, slots=True, eq=False)
class NumberedLists:
    """What both retrievers found for a query; a document is named by its place in `ids`."""

    ids: tuple[str, ...]
    lists: Lists


@dataclass(frozen=True, slots=True, eq=False)
class GridQuery:
    """One judged query and all that was read for it.

    Attributes:
        id: The query's id.
        ids: Ids of the documents found; elsewhere here a document is its place in them.
        lists: What both retrievers found.
        logits: Each reranker's logits, float32 `[num_ids]`; NaN where no setting reads the pair.
        grades: Judged grades by the documents' ids; 0 and what is not judged is irrelevant.
    """

    id: str
    ids: tuple[str, ...]
    lists: Lists
    logits: Mapping[Reader, Float32s]
    grades: Mapping[str, int]

    def gains(self) -> NDArray[np.float64]:
        """What each document adds to nDCG at the first rank, float64 `[num_ids]`."""
        ideal = sorted((max(grade, 0) for grade in self.grades.values()), reverse=True)[:CUTOFF]
        best = float(np.dot(ideal, _DISCOUNTS[: len(ideal)]))
        gains = np.array([max(self.grades.get(name, 0), 0) for name in self.ids], np.float64)
        return gains / best if best > 0 else np.zeros_like(gains)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """The candidates of a first pass, best first, and the order in which they are read."""

    keys: Int64s
    scores: Float32s
    reading_order: Int32s

    def read(self, depth: int) -> tuple[Int32s, NDArray[np.intp]]:
        """Positions of those that a second pass reads, ascending, and of the others."""
        read = np.sort(self.reading_order[:depth])
        return read, np.setdiff1d(np.arange(len(self.keys)), read)


def order(query: GridQuery, settings: Settings, dense_minimum: float | None) -> list[str]:
    """All hits of a query, best first.

    Args:
        query: What was read.
        settings: How it is searched.
        dense_minimum: Lowest possible similarity of the collection's metric; None for no bound.
    """
    found = _candidates(query.lists, settings, dense_minimum)
    if settings.reader is None:
        return [query.ids[key] for key in found.keys]
    read, rest = found.read(settings.depth)
    logits = query.logits[settings.reader][found.keys[read]]
    blended = blended_scores(logits, found.scores[read], as_sent(settings.blend))
    best = read[np.argsort(-blended, kind="stable")]
    return [query.ids[found.keys[place]] for place in (*best, *rest)]


def fused_scores(
    found: "NumberedLists", settings: Settings, dense_minimum: float | None
) -> dict[str, float]:
    """The first pass's scores of the candidates of a query, by document."""
    candidates = _candidates(found.lists, settings, dense_minimum)
    return {
        found.ids[key]: score
        for key, score in zip(candidates.keys.tolist(), candidates.scores.tolist(), strict=True)
    }


def pairs_read(
    query: NumberedLists | GridQuery, grid: Grid, dense_minimum: float | None
) -> list[int]:
    """The documents that some setting of a grid reads, by their places in `query.ids`."""
    if not grid.readers:
        return []
    read: set[int] = set()
    for first in grid.first_passes():
        found = _candidates(query.lists, first, dense_minimum)
        depth = max((depth for depth in grid.depths if depth <= first.k), default=0)
        read.update(found.keys[found.reading_order[:depth]].tolist())
    return sorted(read)


@dataclass(frozen=True, slots=True, eq=False)
class Qualities:
    """nDCG@10 of every setting of a grid for every query.

    Attributes:
        ways: The settings.
        ndcg: float64 `[num_ways, num_queries]`.
        queries: The queries' ids.
    """

    ways: tuple[Settings, ...]
    ndcg: NDArray[np.float64]
    queries: tuple[str, ...]
    _rows: Mapping[Settings, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Numbers the settings."""
        rows = {way: row for row, way in enumerate(self.ways)}
        object.__setattr__(self, "_rows", rows)

    def of(self, way: Settings) -> NDArray[np.float64]:
        """nDCG@10 of one setting, float64 `[num_queries]`."""
        one: NDArray[np.float64] = self.ndcg[self._rows[way]]
        return one

    def among(self, queries: Sequence[int]) -> "Qualities":
        """The same of some queries, by their places."""
        ids = tuple(self.queries[place] for place in queries)
        return Qualities(self.ways, self.ndcg[:, list(queries)], ids)


def qualities(
    queries: Sequence[GridQuery],
    grid: Grid,
    dense_minimum: float | None,
    advance: Callable[[int], None] = lambda _: None,
) -> Qualities:
    """Measures every setting of a grid.

    Args:
        queries: What was read of each query, at least one.
        grid: What is compared.
        dense_minimum: Lowest possible similarity of the collection's metric; None for no bound.
        advance: Called with 1 after each query.
    """
    ways: tuple[Settings, ...] = ()
    columns = []
    for query in queries:
        measured = list(_measured(query, grid, dense_minimum))
        ways = ways or tuple(way for way, _ in measured)
        columns.append([ndcg for _, ndcg in measured])
        advance(1)
    return Qualities(ways, np.array(columns).T, tuple(query.id for query in queries))


def _measured(
    query: GridQuery, grid: Grid, dense_minimum: float | None
) -> Iterator[tuple[Settings, float]]:
    gains = query.gains()
    weights = np.array([as_sent(weight) for weight in grid.weights])
    for first in grid.first_passes():
        found = _candidates(query.lists, first, dense_minimum)
        yield first, _dcg(gains[found.keys[None, :CUTOFF]])[0]
        for depth in grid.depths:
            if depth > first.k:
                continue
            read, rest = found.read(depth)
            rest_gains = gains[found.keys[rest[:CUTOFF]]]
            for reader in grid.readers:
                keys = found.keys[read]
                blended = _blended(query.logits[reader][keys], found.scores[read], weights)
                best = np.argsort(-blended, axis=1, kind="stable")[:, :CUTOFF]
                top = gains[keys[best]]
                if len(keys) < CUTOFF:
                    beside = np.broadcast_to(rest_gains, (len(weights), len(rest_gains)))
                    top = np.concatenate([top, beside], axis=1)[:, :CUTOFF]
                for weight, ndcg in zip(grid.weights, _dcg(top).tolist(), strict=True):
                    yield (
                        Settings(first.mode, first.k, first.fusion, depth, reader, weight),
                        ndcg,
                    )


def _candidates(lists: Lists, first: Settings, dense_minimum: float | None) -> _Candidates:
    cut = lists.first(first.k)
    if first.mode == "hybrid":
        assert first.fusion is not None
        fused = cut.fused(_sent(first.fusion), dense_minimum)
        chosen = choose(fused, cut.dense, cut.lexical, first.k)
        return _Candidates(chosen.keys, chosen.scores, chosen.reading_order)
    of = cut.dense if first.mode == "dense" else cut.lexical
    return _Candidates(of.keys, of.scores, np.arange(len(of.keys), dtype=np.int32))


def _blended(
    logits: Float32s, scores: Float32s, weights: NDArray[np.float64]
) -> NDArray[np.float32]:
    """What every blend orders by, float32 `[num_weights, num_read]`; see `blended_scores`."""
    first, second = z_scores(scores), z_scores(logits)
    blended = weights[:, None] * first + (1 - weights[:, None]) * second
    of_all: NDArray[np.float32] = blended.astype(np.float32)
    of_all[weights == 0] = logits
    return of_all


def _dcg(gains: NDArray[np.float64]) -> NDArray[np.float64]:
    """nDCG@10 of rows of gains, float64 `[num_rows]`."""
    total: NDArray[np.float64] = gains @ _DISCOUNTS[: gains.shape[1]]
    return total


def as_sent(number: float) -> float:
    """A number as the server receives it: a float of 32 bits."""
    return float(np.float32(number))


def _sent(fusion: Fusion) -> Fusion:
    return ConvexFusion(as_sent(fusion.alpha)) if isinstance(fusion, ConvexFusion) else fusion
