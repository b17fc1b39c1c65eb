"""What the second pass changed, as counters and histograms of each collection."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from twopass.server.telemetry.relevance import (
    MARGIN_EDGES,
    RERANK_STATUSES,
    SCORE_EDGES,
    TIME_EDGES,
    Place,
    Relevance,
)

_CHANGES = {
    "first": Place.FIRST_CHANGED,
    "three": Place.THREE_CHANGED,
    "top": Place.TOP_CHANGED,
}
_HITS = {"shown": Place.TOP_HITS, "kept": Place.TOP_KEPT}
_PASSAGES = {
    "read": Place.PASSAGES,
    "truncated": Place.PASSAGES_TRUNCATED,
    "below_min_score": Place.PASSAGES_BELOW,
}
# Every eighth bound of the times, so that each is twice the one before.
_TIMES_KEPT = 8


def relevance_metrics(relevance: Relevance) -> Iterator[Metric]:
    """Yields the counts of all collections that were searched in the last day."""
    totals = relevance.totals()

    def counter(name: str, text: str, label: str, places: dict[str, int]) -> CounterMetricFamily:
        labels = ["collection", label] if label else ["collection"]
        family = CounterMetricFamily(f"twopass_relevance_{name}", text, labels=labels)
        for collection, counts in totals:
            for value, place in places.items():
                family.add_metric([collection, value] if label else [collection], counts[place])
        return family

    def histogram(
        name: str, text: str, place: int, edges: Sequence[float], total: int, kept: int = 1
    ) -> HistogramMetricFamily:
        family = HistogramMetricFamily(f"twopass_relevance_{name}", text, labels=["collection"])
        for collection, counts in totals:
            bins = counts[place : place + len(edges) + 1]
            buckets, so_far = [], 0
            for i, edge in enumerate(edges):
                so_far += bins[i]
                if i % kept == 0:
                    buckets.append((f"{edge:g}", so_far))
            whole = sum(bins)
            sum_value = counts[total] / 1e6 if total else None
            family.add_metric([collection], [*buckets, ("+Inf", whole)], sum_value)
        return family

    statuses = {name: Place.RERANK + i for i, name in enumerate(RERANK_STATUSES)}
    yield counter(
        "searches", "Answered searches by what became of the second pass.", "rerank", statuses
    )
    yield counter(
        "compared",
        "Answers whose order was compared with the first pass's.",
        "",
        {"": Place.COMPARED},
    )
    yield counter(
        "changes",
        "Compared answers whose first hit the second pass changed, or into whose first three or "
        "whose hits it brought a new document.",
        "of",
        _CHANGES,
    )
    yield counter(
        "hits",
        "Hits of compared answers: shown, and those of them that as many of the first pass had.",
        "kind",
        _HITS,
    )
    yield counter(
        "moved_ranks",
        "Ranks by which hits of compared answers moved, up or down.",
        "",
        {"": Place.TOP_MOVES},
    )
    yield counter(
        "passages",
        "Passages read by the second pass, those not read to their end, and those left out by "
        "min_score.",
        "kind",
        _PASSAGES,
    )
    yield counter(
        "left_empty",
        "Searches in which no reranked candidate reached min_score.",
        "",
        {"": Place.LEFT_EMPTY},
    )
    yield counter(
        "answerable",
        "Searches with an answer threshold, and those of them in which nothing reached it.",
        "kind",
        {"asked": Place.WITH_THRESHOLD, "unanswerable": Place.UNANSWERABLE},
    )
    yield counter(
        "queries_truncated",
        "Searches of which a model did not read the query's end.",
        "",
        {"": Place.QUERIES_TRUNCATED},
    )
    yield histogram(
        "top_score", "Score of the best candidate of a search.", Place.SCORES, SCORE_EDGES, 0
    )
    yield histogram(
        "top_margin",
        "Logit of the best candidate of a search, less that of the second.",
        Place.MARGINS,
        MARGIN_EDGES,
        0,
    )
    yield histogram(
        "second_pass_seconds",
        "Time of a second pass, waiting included.",
        Place.SECOND_TIMES,
        TIME_EDGES,
        Place.SECOND_MICROSECONDS,
        _TIMES_KEPT,
    )
    yield histogram(
        "search_seconds",
        "Time of a search with a second pass, in the server.",
        Place.SEARCH_TIMES,
        TIME_EDGES,
        Place.SEARCH_MICROSECONDS,
        _TIMES_KEPT,
    )
