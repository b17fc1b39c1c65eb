"""ReportService: whether the second pass pays."""

import time
from collections.abc import Callable, Iterator, Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.index.feedback import FeedbackTally, Selection
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.request import Request
from twopass.server.servicers.feedback import shadow_message
from twopass.server.shadowing.results import ShadowResult
from twopass.server.telemetry.advice import Advice, AdviceKind, advice, summary
from twopass.server.telemetry.relevance import (
    MARGIN_EDGES,
    PLACE_EDGES,
    SCORE_EDGES,
    Place,
    Relevance,
)
from twopass.server.telemetry.relevance_report import RelevanceReport
from twopass.server.telemetry.rolling import MAX_SECONDS, Growth
from twopass.v1 import report_pb2

_MIN_SECONDS = 60.0
# Below it evidence counts; it holds however often anybody looks.
_SIGNIFICANT = 0.01

_KINDS = {kind: report_pb2.AdviceKind.Value(f"ADVICE_KIND_{kind.name}") for kind in AdviceKind}


class ReportServicer:
    """Reads the counts of `Relevance`, and what feedback says."""

    def __init__(
        self,
        collections: Collections,
        relevance: Relevance,
        feedback: FeedbackRecords,
        shadows: Callable[[], Sequence[ShadowResult]],
    ) -> None:
        self._collections = collections
        self._relevance = relevance
        self._feedback = feedback
        self._shadows = shadows

    async def get_report(
        self, message: report_pb2.GetReportRequest, request: Request
    ) -> report_pb2.GetReportResponse:
        """Returns the report of one collection."""
        seconds = _read_window(message)
        collection = await self._collections.summary(message.collection, request)
        growth = self._relevance.growth(collection.sequence.incarnation, seconds)
        is_full = growth is None and self._relevance.is_full
        if growth is None:
            growth = Growth.nothing(Place.END)
        report = _report_message(collection.name, growth)
        report.is_full = is_full
        begin = Selection(start_us=time.time_ns() // 1_000 - round(seconds * 1e6))
        tally = await self._feedback.tally(collection.name, begin, request)
        if tally is not None:
            report.feedback.CopyFrom(_feedback_message(tally))
        shadows = self._shadows()
        for shadow in shadows:
            found = shadow_message(shadow, lambda each: each.collection == collection.name)
            if found.comparisons:
                report.shadows.append(found)
        report.advice.extend(map(_advice_message, _of_shadows(shadows, collection.name)))
        return report_pb2.GetReportResponse(report=report)

    async def list_reports(
        self, message: report_pb2.ListReportsRequest, request: Request
    ) -> report_pb2.ListReportsResponse:
        """Returns the reports of the collections that were searched, by name."""
        seconds = _read_window(message)
        # Only a caller that may use every collection may use one of a name that none can have.
        reports = [
            _report_message(name, growth)
            for name, growth in self._relevance.growths(seconds)
            if request.caller.may_use(name)
        ]
        return report_pb2.ListReportsResponse(
            reports=[report for report in reports if report.num_searches]
        )


def _of_shadows(shadows: Sequence[ShadowResult], collection: str) -> Iterator[Advice]:
    """Which shadows feedback says to be better."""
    for shadow in shadows:
        for comparison in shadow.comparisons:
            if comparison.collection != collection:
                continue
            for each in comparison.differences:
                if each.p_value < _SIGNIFICANT and each.mean > 0:
                    yield Advice(
                        AdviceKind.SHADOW_BETTER,
                        f"The shadow {shadow.spec.name} orders better by {each.measure}: "
                        f"{each.mean:+.3f} over {each.num_searches:,} searches with feedback "
                        f"(p {each.p_value:.2g}); `twopass feedback shadows` has the figures, and "
                        "`twopass eval` tells what it is worth on judged queries.",
                    )
                    break


def _feedback_message(tally: FeedbackTally) -> report_pb2.FeedbackCounts:
    ranked = tally.num_ranked_clicks
    return report_pb2.FeedbackCounts(
        num_clicks=tally.num_clicks,
        num_clicked_queries=tally.num_clicked_queries,
        num_ranked_clicks=ranked,
        num_first_clicks=tally.num_first_clicks,
        mean_reciprocal_rank=tally.sum_reciprocal_ranks / ranked if ranked else None,
        num_judgements=tally.num_judgements,
        num_judged_queries=tally.num_judged_queries,
        num_relevant=tally.num_relevant,
    )


def _read_window(
    message: report_pb2.GetReportRequest | report_pb2.ListReportsRequest,
) -> float:
    """How far to look back, in seconds.

    Raises:
        InvalidRequestError: It is too short or too long.
    """
    if not message.HasField("window"):
        return MAX_SECONDS
    seconds = message.window.ToNanoseconds() / 1e9
    if not _MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InvalidRequestError(
            f"window: {seconds:g} s given, {_MIN_SECONDS:g} to {MAX_SECONDS:,.0f} are possible; "
            "for longer times scrape the metrics twopass_relevance_*",
            value=seconds,
        )
    return seconds


def _report_message(name: str, growth: Growth) -> report_pb2.Report:
    report, now = RelevanceReport(growth), time.time()
    return report_pb2.Report(
        collection=name,
        since=_moment(now - growth.seconds),
        until=_moment(now),
        summary=summary(report),
        advice=map(_advice_message, advice(report)),
        num_searches=report.num_searches,
        retrieve_statuses=report.retrieve_statuses,
        rerank_statuses=report.rerank_statuses,
        num_queries_truncated=report[Place.QUERIES_TRUNCATED],
        order=_order_message(report),
        top_scores=_top_scores_message(report),
        passages=report_pb2.PassagesRead(
            num_passages=report[Place.PASSAGES],
            num_truncated=report[Place.PASSAGES_TRUNCATED],
            num_below_min_score=report[Place.PASSAGES_BELOW],
        ),
        time=_time_message(report),
    )


def _order_message(report: RelevanceReport) -> report_pb2.OrderChange:
    ends = (*PLACE_EDGES, 0)
    return report_pb2.OrderChange(
        num_compared=report[Place.COMPARED],
        num_first_changed=report[Place.FIRST_CHANGED],
        num_three_changed=report[Place.THREE_CHANGED],
        num_top_changed=report[Place.TOP_CHANGED],
        overlap=report.overlap,
        mean_displacement=report.mean_displacement,
        first_hit_places=[
            report_pb2.PlaceBin(last=last, count=count)
            for last, count in zip(ends, report.first_hit_places, strict=True)
        ],
        reaches=[
            report_pb2.PlaceBin(last=last, count=count)
            for last, count in zip(ends, report.reaches, strict=True)
        ],
    )


def _top_scores_message(report: RelevanceReport) -> report_pb2.TopScores:
    scores = zip((*SCORE_EDGES, 1.0), report.scores, strict=True)
    margins = zip((*MARGIN_EDGES, None), report.margins, strict=True)
    return report_pb2.TopScores(
        scores=[report_pb2.ValueBin(end=end, count=count) for end, count in scores],
        margins=[report_pb2.ValueBin(end=end, count=count) for end, count in margins],
        median_score=report.median_score,
        num_with_min_score=report[Place.WITH_MIN_SCORE],
        num_left_empty=report[Place.LEFT_EMPTY],
        num_with_threshold=report[Place.WITH_THRESHOLD],
        num_unanswerable=report[Place.UNANSWERABLE],
    )


def _time_message(report: RelevanceReport) -> report_pb2.SecondPassTime:
    second, whole = report.second_pass, report.searches
    if second is None or whole is None:
        return report_pb2.SecondPassTime()
    return report_pb2.SecondPassTime(
        median=_duration(second.median),
        p99=_duration(second.p99),
        total=_duration(second.total),
        search_median=_duration(whole.median),
        search_p99=_duration(whole.p99),
        search_total=_duration(whole.total),
    )


def _advice_message(found: Advice) -> report_pb2.Advice:
    return report_pb2.Advice(kind=_KINDS[found.kind], text=found.text)


def _moment(seconds: float) -> Timestamp:
    moment = Timestamp()
    moment.FromMilliseconds(round(seconds * 1e3))
    return moment


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1e6))
    return duration
