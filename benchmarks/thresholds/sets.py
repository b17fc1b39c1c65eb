"""Calibration, thresholds and `answerable` on one test collection, through a server."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from twopass.client import (
    Client,
    Document,
    Rerank,
    Retrieve,
    Schema,
    SearchResult,
    document_ids,
)
from twopass.evaluation.calibration.pairs import JudgedPairs, Unjudged, pairs_of_answers
from twopass.evaluation.calibration.reliability import Estimate
from twopass.evaluation.calibration.report import (
    CalibrationReport,
    TooFewJudgementsError,
    Wanted,
    calibrated,
    chosen,
)
from twopass.evaluation.calibration.thresholds import Reached, Threshold, auroc, reached
from twopass.evaluation.datasets import Dataset, Part

_AT_ONCE = 4
_RESAMPLES = 1_000
_CHUNK = 64
# The first pass is by words alone: embeddings would take most of the time, and decide nothing here.
_NO_VECTOR = [1.0]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answerable:
    """How well the greatest score tells queries whose relevant documents are there from the others.

    Attributes:
        auroc: The share of (there, taken out) whose score is higher where they are there.
        auroc_where_found: That of the queries whose relevant documents the first pass found.
        num_queries: Queries of the half that nothing is chosen on, each asked both ways.
        threshold: The one for the wanted precision where each query of the other half is asked both
            ways too; None where none reaches it.
        reached: What it does; None without one.
        said_where_there: Share said to be answerable of those whose documents are there; None
            without a threshold.
        said_where_taken_out: Share said to be answerable of those whose documents are taken out.
    """

    auroc: Estimate
    auroc_where_found: Estimate
    num_queries: int
    threshold: Threshold | None
    reached: Reached | None
    said_where_there: float | None
    said_where_taken_out: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetFigures:
    """The figures of one test collection.

    Attributes:
        name: Its name.
        unjudged: What hits counted as that nobody judged.
        report: Fitted and chosen on one half, judged on the other; None where there is too little.
        too_few: What is missing then.
        sure: What the stricter choice reaches; None where nothing does.
        answerable: On the half that nothing is chosen on.
        threshold: The one for the wanted precision; None where none reaches it.
        pairs: Texts of scored pairs of that half, for other engines to score.
        lengths: Of each query of that half that is accepted, how long its best hit is in
            characters, and whether it is relevant.
    """

    name: str
    unjudged: Unjudged
    report: CalibrationReport | None
    too_few: str
    sure: Reached | None
    answerable: Answerable
    threshold: Threshold | None
    pairs: tuple[tuple[str, str], ...]
    lengths: tuple[tuple[int, bool], ...]


def measured(
    client: Client, dataset: Dataset, wanted: Wanted, k: int, tell: Callable[[str], None]
) -> SetFigures:
    """Measures one test collection.

    Args:
        client: Client of a server.
        dataset: Its corpus, queries and judgements.
        wanted: The precision to reach.
        k: How many candidates are found and scored.
        tell: Called with what is done now.
    """
    name = "thresholds-" + "".join(c if c.isalnum() else "-" for c in dataset.name.lower())
    tell(f"{dataset.name}: {len(dataset.documents):,} documents")
    client.create_collection(name, Schema(client_vectors=True, dimension=1))
    documents = (
        Document(id=x.id, title=x.title, text=x.text, vector=_NO_VECTOR) for x in dataset.documents
    )
    client.upsert(name, documents, chunk_size=_CHUNK)
    tell(f"{dataset.name}: {len(dataset.queries):,} queries")
    with_them = _searched(client, name, dataset.queries, k, {})
    held_out = [query for query in dataset.queries if Part.HELD_OUT.has(query)]
    relevant = {q: [d for d, grade in dataset.qrels[q].items() if grade] for q in dataset.queries}
    without = _searched(client, name, dataset.queries, k, relevant)
    unjudged = _unjudged(dataset.qrels)
    pairs = pairs_of_answers(with_them, dataset.qrels, unjudged)
    report, too_few = _calibrated(pairs, wanted)
    threshold = report.threshold if report else None
    client.delete_collection(name)
    return SetFigures(
        name=dataset.name,
        unjudged=unjudged,
        report=report,
        too_few=too_few,
        sure=_sure(pairs, wanted) if report else None,
        answerable=_answerable(
            {query: with_them[query] for query in held_out},
            without,
            relevant,
            _both(pairs, pairs_of_answers(without, dataset.qrels, unjudged)),
            wanted,
        ),
        threshold=threshold,
        pairs=tuple(
            (dataset.queries[query], f"{hit.title} {hit.text}".strip())
            for query in held_out
            for hit in with_them[query].hits
        ),
        lengths=_lengths(
            {query: with_them[query] for query in held_out}, dataset.qrels, unjudged, threshold
        ),
    )


def capped(dataset: Dataset, most: int) -> Dataset:
    """A test collection with at most so many queries of each half."""
    halves = [
        [query for query in dataset.queries if part.has(query)][:most]
        for part in (Part.DEVELOPMENT, Part.HELD_OUT)
    ]
    kept = [query for half in halves for query in half]
    return replace(
        dataset,
        queries={query: dataset.queries[query] for query in kept},
        qrels={query: dataset.qrels[query] for query in kept},
    )


def _unjudged(qrels: Mapping[str, Mapping[str, int]]) -> Unjudged:
    """Judged hits alone where some were judged irrelevant; else whoever is not judged is not."""
    has_irrelevant = any(not grade for grades in qrels.values() for grade in grades.values())
    return Unjudged.LEAVE_OUT if has_irrelevant else Unjudged.IRRELEVANT


def _searched(
    client: Client,
    name: str,
    queries: Mapping[str, str],
    k: int,
    without: Mapping[str, Sequence[str]],
) -> dict[str, SearchResult]:
    """Searches each query, without some documents of its own."""

    def search(query: str) -> SearchResult:
        ids = without.get(query)
        return client.search(
            name,
            queries[query],
            top_n=k,
            retrieve=Retrieve("lexical", k=k),
            rerank=Rerank(enabled=True),
            filter=~document_ids(ids) if ids else None,
            allow_fallback=False,
            timeout=600,
        )

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(queries, threads.map(search, queries), strict=True))


def _calibrated(
    pairs: JudgedPairs, wanted: Wanted
) -> tuple[CalibrationReport, str] | tuple[None, str]:
    try:
        return calibrated(pairs, wanted), ""
    except TooFewJudgementsError as error:
        return None, str(error)


def _sure(pairs: JudgedPairs, wanted: Wanted) -> Reached | None:
    fitted_on, judged_on = pairs.halves
    threshold = chosen(fitted_on, replace(wanted, sure=True))
    return None if threshold is None else reached(judged_on.best_of_each_query, threshold)


def _answerable(
    there: Mapping[str, SearchResult],
    taken_out: Mapping[str, SearchResult],
    relevant: Mapping[str, Sequence[str]],
    pairs: JudgedPairs,
    wanted: Wanted,
) -> Answerable:
    fitted_on, judged_on = pairs.halves
    threshold = chosen(fitted_on, wanted)
    positives = np.array([_best(result) for result in there.values()])
    negatives = np.array([_best(taken_out[query]) for query in there])
    found = np.array(
        [any(hit.id in relevant[query] for hit in result.hits) for query, result in there.items()]
    )
    said: list[float | None] = [None, None]
    if threshold is not None:
        said = [float((x >= np.float32(threshold.score)).mean()) for x in (positives, negatives)]
    return Answerable(
        auroc=_auroc(positives, negatives),
        auroc_where_found=_auroc(positives[found], negatives[found]),
        num_queries=len(positives),
        threshold=threshold,
        reached=None if threshold is None else reached(judged_on.best_of_each_query, threshold),
        said_where_there=said[0],
        said_where_taken_out=said[1],
    )


def _both(there: JudgedPairs, taken_out: JudgedPairs) -> JudgedPairs:
    """The pairs of queries that are asked both ways, each way as a query of its own."""
    return JudgedPairs(
        np.concatenate([there.logits, taken_out.logits]),
        np.concatenate([there.scores, taken_out.scores]),
        np.concatenate([there.relevant, taken_out.relevant]),
        np.concatenate([there.query, taken_out.query + there.num_queries]),
        np.concatenate([there.in_held_out, taken_out.in_held_out]),
        there.num_queries + taken_out.num_queries,
    )


def _best(result: SearchResult) -> float:
    """The greatest score; -1 where nothing was found."""
    return max((hit.score for hit in result.hits if hit.score is not None), default=-1.0)


def _auroc(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> Estimate:
    """With an interval of 95 % by drawing queries, each with both of its scores."""
    if not len(positives):
        nothing = float("nan")
        return Estimate(nothing, nothing, nothing)
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(positives), (_RESAMPLES, len(positives)))
    figures = [auroc(positives[rows], negatives[rows]) for rows in drawn]
    low, high = np.percentile(figures, [2.5, 97.5])
    return Estimate(auroc(positives, negatives), float(low), float(high))


def _lengths(
    answers: Mapping[str, SearchResult],
    qrels: Mapping[str, Mapping[str, int]],
    unjudged: Unjudged,
    threshold: Threshold | None,
) -> tuple[tuple[int, bool], ...]:
    """Of each query that is accepted, how long its best hit is, and whether it is relevant."""
    accepted: list[tuple[int, bool]] = []
    for query, result in answers.items():
        counted = [
            hit for hit in result.hits if hit.id in qrels[query] or unjudged is Unjudged.IRRELEVANT
        ]
        best = max(counted, key=lambda hit: hit.score or 0.0, default=None)
        if best is None or threshold is None or (best.score or 0.0) < threshold.score:
            continue
        num_characters = len(f"{best.title} {best.text}".strip())
        accepted.append((num_characters, bool(qrels[query].get(best.id))))
    return tuple(accepted)
