"""What a report says in words, and what could be done by it.

The thresholds are where a person would begin to look: none is a law, so each text gives the figures
that it follows from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from twopass.server.telemetry.relevance import RERANK_STATUSES, Place
from twopass.server.telemetry.relevance_report import RelevanceReport

# Below this many answers compared, shares are off by 10 points and more.
_ENOUGH = 100
# Shares from which on advice is given.
_MANY_TRUNCATED = 0.2
_MANY_LATE = 0.05
_MANY_OVERLOADED = 0.02
_MANY_FAILED = 0.001
_MANY_INCOMPLETE = 0.02
_MANY_EMPTY = 0.25
_LITTLE_CHANGE = 0.05
_KEPT_BY_LOWER_DEPTH = 0.99
_FAR_FIRST_HITS = 0.2


class AdviceKind(Enum):
    """What advice is about."""

    FEW_SEARCHES = "few_searches"
    LOWER_DEPTH = "lower_depth"
    LITTLE_CHANGE = "little_change"
    HIGHER_DEPTH = "higher_depth"
    TRUNCATED_PASSAGES = "truncated_passages"
    TRUNCATED_QUERIES = "truncated_queries"
    LATE = "late"
    OVERLOADED = "overloaded"
    FAILING = "failing"
    RETRIEVAL_INCOMPLETE = "retrieval_incomplete"
    LEFT_EMPTY = "left_empty"
    SHADOW_BETTER = "shadow_better"


@dataclass(frozen=True, slots=True)
class Advice:
    """What could be done.

    Attributes:
        kind: What it is about.
        text: A sentence or two, with the figures it follows from.
    """

    kind: AdviceKind
    text: str


def summary(report: RelevanceReport) -> str:
    """What a report says, in a few sentences."""
    searches = f"{report.num_searches:,} search{'' if report.num_searches == 1 else 'es'}"
    if not report.num_searches:
        return "No searches were answered in this time."
    compared = report[Place.COMPARED]
    if not compared:
        return f"{searches} answered, none of them with a second pass to compare."
    of = (
        f"{compared:,} searches"
        if compared == report.num_searches
        else (f"{compared:,} searches compared ({searches} answered)")
    )
    said = [
        f"The second pass changed the first hit in {_share(report, Place.FIRST_CHANGED)} of {of}, "
        f"brought a new document into the first three in {_share(report, Place.THREE_CHANGED)}, "
        f"and kept {report.overlap:.0%} of the hits that the first pass alone would have shown."
    ]
    second, whole = report.second_pass, report.searches
    if second is not None and whole is not None:
        said.append(
            f"It costs {_ms(second.median)} of {_ms(whole.median)} at the median, "
            f"{_ms(second.p99)} of {_ms(whole.p99)} at the 99th percentile."
        )
    return " ".join(said)


def advice(report: RelevanceReport) -> list[Advice]:
    """What could be done, the most pressing first."""
    return [*_of_failures(report), *_of_order(report), *_of_reading(report)]


def _of_failures(report: RelevanceReport) -> Iterator[Advice]:
    wanted = report.num_searches - report[_rerank("disabled")]
    if not wanted:
        return
    if (share := report[_rerank("failed")] / wanted) >= _MANY_FAILED:
        yield Advice(
            AdviceKind.FAILING,
            f"The reranker failed in {_percent(share)} of the searches, which were answered in "
            "first-pass order: the server's log says why.",
        )
    late = report[_rerank("skipped_deadline")] + report[_rerank("partial")]
    if (share := late / wanted) >= _MANY_LATE:
        yield Advice(
            AdviceKind.LATE,
            f"In {_percent(share)} of the searches the time budget left the second pass out or cut "
            "it short: allow more time_budget, lower rerank.depth, or choose a smaller reranker; "
            "`twopass tune` weighs them.",
        )
    if (share := report[_rerank("skipped_overload")] / wanted) >= _MANY_OVERLOADED:
        yield Advice(
            AdviceKind.OVERLOADED,
            f"In {_percent(share)} of the searches the reranker's queue was full: lower "
            "rerank.depth, or add machines.",
        )
    num_incomplete = report.num_searches - report.retrieve_statuses.get("complete", 0)
    if (share := num_incomplete / report.num_searches) >= _MANY_INCOMPLETE:
        yield Advice(
            AdviceKind.RETRIEVAL_INCOMPLETE,
            f"In {_percent(share)} of the searches the first pass lacked one of its two lists, or "
            "what joins or reads them; the statuses say what and why.",
        )


def _of_order(report: RelevanceReport) -> Iterator[Advice]:
    compared, depth = report[Place.COMPARED], report.mean_depth
    if compared < _ENOUGH:
        if compared:
            yield Advice(
                AdviceKind.FEW_SEARCHES,
                f"{compared:,} answer{' was' if compared == 1 else 's were'} compared: too few to "
                f"judge by; wait for {_ENOUGH} or look back further.",
            )
        return
    if (share := report.share(Place.THREE_CHANGED, Place.COMPARED)) < _LITTLE_CHANGE:
        yield Advice(
            AdviceKind.LITTLE_CHANGE,
            f"The second pass brought a new document into the first three in {_percent(share)} of "
            "the searches alone: a lower depth may do, or no second pass; `twopass tune` and "
            "`twopass eval` tell what the answers would lose.",
        )
    enough = report.depth_for(_KEPT_BY_LOWER_DEPTH)
    if enough is not None and enough <= depth / 2:
        yield Advice(
            AdviceKind.LOWER_DEPTH,
            f"A depth of {enough} would have kept the first three hits of "
            f"{_KEPT_BY_LOWER_DEPTH:.0%} of the searches, {depth:,.0f} candidates are read on "
            "average: lower rerank.depth; `twopass tune` weighs it against quality.",
        )
    elif (share := report.share_beyond(depth / 2)) >= _FAR_FIRST_HITS:
        yield Advice(
            AdviceKind.HIGHER_DEPTH,
            f"{_percent(share)} of the first hits came from the second half of the {depth:,.0f} "
            "candidates that are read on average: further candidates may be better still; raise "
            "retrieve.k and rerank.depth, which `twopass tune` weighs against time.",
        )


def _of_reading(report: RelevanceReport) -> Iterator[Advice]:
    share = report.share(Place.PASSAGES_TRUNCATED, Place.PASSAGES)
    if share >= _MANY_TRUNCATED:
        yield Advice(
            AdviceKind.TRUNCATED_PASSAGES,
            f"Of {_percent(share)} of the passages the reranker did not read the end: ask for "
            "rerank.truncation MAX_WINDOW, or index into a collection with chunking.",
        )
    if report.num_searches:
        share = report[Place.QUERIES_TRUNCATED] / report.num_searches
        if share >= _MANY_TRUNCATED:
            yield Advice(
                AdviceKind.TRUNCATED_QUERIES,
                f"Of {_percent(share)} of the queries a model did not read the end: send the "
                "question alone, or choose a model with a greater max_query_tokens.",
            )
    share = report.share(Place.LEFT_EMPTY, Place.WITH_MIN_SCORE)
    if share >= _MANY_EMPTY and report[Place.WITH_MIN_SCORE] >= _ENOUGH:
        yield Advice(
            AdviceKind.LEFT_EMPTY,
            f"min_score left {_percent(share)} of the searches that set it without a reranked hit: "
            "lower it, or add the documents that are missing; `twopass calibrate` finds a score "
            "for a wanted precision.",
        )


def _rerank(status: str) -> int:
    return Place.RERANK + RERANK_STATUSES.index(status)


def _share(report: RelevanceReport, place: int) -> str:
    return _percent(report.share(place, Place.COMPARED))


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 or not share else f"{share:.1%}"


def _ms(seconds: float) -> str:
    milliseconds = seconds * 1e3
    return f"{milliseconds:,.0f} ms" if milliseconds >= 10 else f"{milliseconds:.1f} ms"
