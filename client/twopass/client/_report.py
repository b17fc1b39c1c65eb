"""Whether the second pass pays: what it changed in a collection's searches, and what it cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._enums import AdviceKind, word_of
from twopass.client._feedback import Shadow, shadow_of
from twopass.client._values import duration, moment, seconds, text
from twopass.v1 import report_pb2


@dataclass(frozen=True, slots=True)
class Advice:
    """What could be done.

    Attributes:
        kind: What it is about.
        text: A sentence or two of English, with the figures it follows from.
    """

    kind: AdviceKind
    text: str


@dataclass(frozen=True, slots=True)
class PlaceBin:
    """How often a place was in a range.

    Attributes:
        last: The last place of the range, from 1; the first is the one after the range before.
            None: the range has no end.
        count: How often.
    """

    last: int | None
    count: int


@dataclass(frozen=True, slots=True)
class ValueBin:
    """How often a value was in a range.

    Attributes:
        end: The range's upper end, itself outside it; the lower is the end of the range before.
            None: the range has no upper end.
        count: How often.
    """

    end: float | None
    count: int


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What the second pass changed in the order of answers.

    Attributes:
        num_compared: Answers compared: those that begin with the first hit, at most 100 hits each.
        num_first_changed: Answers whose first hit was not the first pass's first.
        num_three_changed: Answers with a new document among the first three.
        num_top_changed: Answers with a new document among all their hits.
        overlap: The share of the hits that were among as many of the first pass, 0 to 1.
        mean_displacement: By how many ranks a hit moved, on average.
        first_hit_places: Where the first hit stood in the first pass's order.
        reaches: How many candidates were read until the first three hits were.
    """

    num_compared: int
    num_first_changed: int
    num_three_changed: int
    num_top_changed: int
    overlap: float
    mean_displacement: float
    first_hit_places: tuple[PlaceBin, ...]
    reaches: tuple[PlaceBin, ...]


@dataclass(frozen=True, slots=True)
class TopScores:
    """How good the best candidate of each search was, by the reranker.

    Attributes:
        scores: Its score, in 20 ranges from 0 to 1.
        margins: Its logit less that of the second best.
        median_score: The score that half of them are above; None without searches.
        num_with_min_score: Searches with a `min_score`.
        num_left_empty: Searches in which no reranked candidate reached it.
        num_with_threshold: Searches with an answer threshold.
        num_unanswerable: Searches in which nothing reached it.
    """

    scores: tuple[ValueBin, ...]
    margins: tuple[ValueBin, ...]
    median_score: float | None
    num_with_min_score: int
    num_left_empty: int
    num_with_threshold: int = 0
    num_unanswerable: int = 0


@dataclass(frozen=True, slots=True)
class PassagesRead:
    """What the reranker read of passages.

    Attributes:
        num_passages: Passages scored.
        num_truncated: Passages whose end was not read.
        num_below_min_score: Passages that a `min_score` left out.
    """

    num_passages: int
    num_truncated: int
    num_below_min_score: int


@dataclass(frozen=True, slots=True)
class SecondPassTime:
    """What the second pass cost, in milliseconds; of searches in which it scored a candidate.

    Attributes:
        median_ms: The median time of the second pass, its waiting for the engine included.
        p99_ms: The time of the second pass that 99% do not exceed.
        search_median_ms: The median time of the whole search, in the server.
        search_p99_ms: The time of the whole search that 99% do not exceed.
        total_ms: All second passes together.
        search_total_ms: All of these searches together.
    """

    median_ms: float
    p99_ms: float
    search_median_ms: float
    search_p99_ms: float
    total_ms: float
    search_total_ms: float


@dataclass(frozen=True, slots=True)
class FeedbackCounts:
    """Clicks and judgements of a collection.

    Attributes:
        num_clicks: Clicks.
        num_clicked_queries: Queries with a click.
        num_ranked_clicks: Clicks whose rank is known.
        num_first_clicks: Clicks on the first hit.
        mean_reciprocal_rank: The mean of 1 / rank over the clicks whose rank is known; None
            without such clicks.
        num_judgements: Judgements.
        num_judged_queries: Queries with a judgement.
        num_relevant: Judgements with a grade above 0.
    """

    num_clicks: int
    num_clicked_queries: int
    num_ranked_clicks: int
    num_first_clicks: int
    mean_reciprocal_rank: float | None
    num_judgements: int
    num_judged_queries: int
    num_relevant: int


@dataclass(frozen=True, slots=True)
class Report:
    """What the second pass changed in the answered searches of a collection, and what it cost.

    Attributes:
        collection: The collection's name; "_other" for those that are not counted apart.
        since: When the time begins that is reported, in UTC.
        until: When it ends.
        summary: What the report says, in a few sentences of English.
        advice: What could be done, by what was counted.
        num_searches: Answered searches.
        retrieve_statuses: Answered searches by what became of the first pass.
        rerank_statuses: Answered searches by what became of the second pass.
        num_queries_truncated: Answered searches of which a model did not read the query's end.
        order: What the second pass changed in the order.
        top_scores: How good the best candidates were.
        passages: What the reranker read.
        time: What the second pass cost; None where it scored nothing.
        is_full: Whether the collection would be counted among the others, since the server counts
            as many collections apart as it can.
        feedback: What people sent back in the time; None of `reports`, and where the server keeps
            no feedback.
        shadows: What shadow comparisons have found on this collection; empty of `reports`.
    """

    collection: str
    since: datetime
    until: datetime
    summary: str
    advice: tuple[Advice, ...]
    num_searches: int
    retrieve_statuses: dict[str, int]
    rerank_statuses: dict[str, int]
    num_queries_truncated: int
    order: OrderChange
    top_scores: TopScores
    passages: PassagesRead
    time: SecondPassTime | None
    is_full: bool
    feedback: FeedbackCounts | None = None
    shadows: tuple[Shadow, ...] = ()


def report(
    collection: str, *, window: float | None = None, timeout: float | None = None
) -> Call[Report]:
    """Tells what the second pass changed in a collection's searches, and what it cost.

    Args:
        collection: The collection's name or alias.
        window: How many seconds to look back, 60 to 86,400. None: 24 hours.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such collection.
    """
    request = report_pb2.GetReportRequest(
        collection=text(collection, "collection"), window=duration(window, "window")
    )
    return Call(_rpcs.GET_REPORT, request, lambda response: _report(response.report), timeout)


def reports(
    *, window: float | None = None, timeout: float | None = None
) -> Call[tuple[Report, ...]]:
    """Tells the same of every collection that was searched and may be used, by name.

    Args:
        window: How many seconds to look back, 60 to 86,400. None: 24 hours.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.
    """
    request = report_pb2.ListReportsRequest(window=duration(window, "window"))
    return Call(
        _rpcs.LIST_REPORTS,
        request,
        lambda response: tuple(_report(found) for found in response.reports),
        timeout,
    )


def _report(message: report_pb2.Report) -> Report:
    order, top, passages = message.order, message.top_scores, message.passages
    return Report(
        collection=message.collection,
        since=moment(message.since),
        until=moment(message.until),
        summary=message.summary,
        advice=tuple(
            Advice(word_of(AdviceKind, report_pb2.AdviceKind, each.kind), each.text)
            for each in message.advice
        ),
        num_searches=message.num_searches,
        retrieve_statuses=dict(message.retrieve_statuses),
        rerank_statuses=dict(message.rerank_statuses),
        num_queries_truncated=message.num_queries_truncated,
        order=OrderChange(
            num_compared=order.num_compared,
            num_first_changed=order.num_first_changed,
            num_three_changed=order.num_three_changed,
            num_top_changed=order.num_top_changed,
            overlap=order.overlap,
            mean_displacement=order.mean_displacement,
            first_hit_places=_places(order.first_hit_places),
            reaches=_places(order.reaches),
        ),
        top_scores=TopScores(
            scores=_values(top.scores),
            margins=_values(top.margins),
            median_score=top.median_score if top.HasField("median_score") else None,
            num_with_min_score=top.num_with_min_score,
            num_left_empty=top.num_left_empty,
            num_with_threshold=top.num_with_threshold,
            num_unanswerable=top.num_unanswerable,
        ),
        passages=PassagesRead(
            num_passages=passages.num_passages,
            num_truncated=passages.num_truncated,
            num_below_min_score=passages.num_below_min_score,
        ),
        time=_time(message.time),
        is_full=message.is_full,
        feedback=_feedback(message.feedback) if message.HasField("feedback") else None,
        shadows=tuple(map(shadow_of, message.shadows)),
    )


def _feedback(message: report_pb2.FeedbackCounts) -> FeedbackCounts:
    has_rank = message.HasField("mean_reciprocal_rank")
    return FeedbackCounts(
        num_clicks=message.num_clicks,
        num_clicked_queries=message.num_clicked_queries,
        num_ranked_clicks=message.num_ranked_clicks,
        num_first_clicks=message.num_first_clicks,
        mean_reciprocal_rank=message.mean_reciprocal_rank if has_rank else None,
        num_judgements=message.num_judgements,
        num_judged_queries=message.num_judged_queries,
        num_relevant=message.num_relevant,
    )


def _time(message: report_pb2.SecondPassTime) -> SecondPassTime | None:
    if not message.HasField("median"):
        return None
    return SecondPassTime(
        median_ms=seconds(message.median) * 1e3,
        p99_ms=seconds(message.p99) * 1e3,
        search_median_ms=seconds(message.search_median) * 1e3,
        search_p99_ms=seconds(message.search_p99) * 1e3,
        total_ms=seconds(message.total) * 1e3,
        search_total_ms=seconds(message.search_total) * 1e3,
    )


def _places(bins: Iterable[report_pb2.PlaceBin]) -> tuple[PlaceBin, ...]:
    return tuple(PlaceBin(each.last or None, each.count) for each in bins)


def _values(bins: Iterable[report_pb2.ValueBin]) -> tuple[ValueBin, ...]:
    return tuple(ValueBin(each.end if each.HasField("end") else None, each.count) for each in bins)
