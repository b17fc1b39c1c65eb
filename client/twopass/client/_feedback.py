"""Feedback on answers: clicks and judgements, and the shadows that are judged by them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._enums import (
    FeedbackKind,
    FeedbackRefusalReason,
    ShadowMeasure,
    number_of,
    word_of,
)
from twopass.client._values import int32, moment, refuse_single, text, texts
from twopass.v1 import feedback_pb2

FeedbackKindName: TypeAlias = FeedbackKind | Literal["click", "judgement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A click or judgement to record: of one document, for one query.

    Attributes:
        document_id: The document.
        search_id: `search_id` of the result that showed it.
        query_id: Your own key of the query: where there is no `search_id`, or the server may have
            forgotten it. Any text but the query itself.
        grade: How relevant the document is, 0 (not at all) to 100. None: it was clicked.
        time: When; a time without a zone is one of UTC. None: now.
    """

    document_id: str
    search_id: str = ""
    query_id: str = ""
    grade: int | None = None
    time: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeedbackRefusal:
    """Feedback that was not recorded.

    Attributes:
        index: Its place in what was sent, from 0.
        reason: Why.
    """

    index: int
    reason: FeedbackRefusalReason


@dataclass(frozen=True, slots=True)
class FeedbackSummary:
    """What became of feedback.

    Attributes:
        num_recorded: How much of it is recorded.
        refused: The rest.
    """

    num_recorded: int
    refused: tuple[FeedbackRefusal, ...]


@dataclass(frozen=True, slots=True)
class RecordedFeedback:
    """A click or judgement as the server keeps it.

    Attributes:
        query_id: The query: your key of it, or the `search_id` of a search without one.
        document_id: The document, which may be deleted since.
        kind: Click or judgement.
        grade: The grade; 1 of a click.
        time: When it was given, in UTC.
        rank: The rank at which the document was shown, from 1; 0 where it was not, or that is not
            known.
        query: The query's text, where the server keeps it; else empty.
    """

    query_id: str
    document_id: str
    kind: FeedbackKind
    grade: int
    time: datetime
    rank: int
    query: str


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    """Some of a collection's feedback.

    Attributes:
        feedback: Ordered by query, document and kind.
        next_page_token: Of the next page; empty on the last.
    """

    feedback: tuple[RecordedFeedback, ...]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackListing:
    """Which feedback to list, and how much at a time."""

    page_size: int
    kind: FeedbackKindName | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """How much better a shadow is than what callers got. Valid whenever it is looked at.

    Attributes:
        measure: What it is measured by, and on which feedback.
        num_searches: Searches with such feedback.
        mean: Mean of shadow less live, -1 to 1.
        lower: Least that the true mean may be at 95% confidence.
        upper: Greatest that it may be.
        p_value: Probability that chance alone makes so much evidence of a difference; for clicks,
            of an advantage.
        num_better: Searches where the shadow's order is better.
        num_worse: Searches where it is worse.
    """

    measure: ShadowMeasure
    num_searches: int
    mean: float
    lower: float
    upper: float
    p_value: float
    num_better: int
    num_worse: int


@dataclass(frozen=True, slots=True)
class ShadowComparison:
    """A shadow compared with the live order, on one collection.

    Attributes:
        collection: The collection's name.
        num_compared: Searches of which both orders are known.
        equal_first: Share of them with the same first hit.
        overlap: Mean share of the first ten that both have.
        rank_biased_overlap: Mean rank-biased overlap of the first ten.
        differences: One for each measure with feedback.
        start_time: When the first search was compared, in UTC.
    """

    collection: str
    num_compared: int
    equal_first: float
    overlap: float
    rank_biased_overlap: float
    differences: tuple[ShadowDifference, ...]
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Shadow:
    """Another second pass that the server runs on a share of searches, to compare.

    Attributes:
        name: Its name in the server's settings.
        reranker: Its model; empty for that of each search.
        depth: How many candidates it reranks; 0 for as many as the search does.
        blend: Weight of the first pass; None for its model's own, or the search's.
        share: Share of searches that are compared.
        collections: Pattern of the names of collections.
        counts: What became of its searches since the server started: "compared", "dropped_full",
            "dropped_busy", "unfit", "failed".
        comparisons: By collection.
    """

    name: str
    reranker: str
    depth: int
    blend: float | None
    share: float
    collections: str
    counts: Mapping[str, int]
    comparisons: tuple[ShadowComparison, ...]


def record_feedback(
    collection: str, feedback: Iterable[Feedback], *, timeout: float | None = None
) -> Call[FeedbackSummary]:
    """Records clicks and judgements, which are on the server's disk when this returns.

    Recording the same again changes nothing but the time: of one query, document and kind the last
    one counts.

    Args:
        collection: The collection's name or alias, as searched.
        feedback: 1 to the server's `max_documents` clicks and judgements.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        InvalidArgumentError: A field is wrong; nothing is recorded.
        NotFoundError: No such collection.
        PermissionDeniedError: The key may not write.
        UnimplementedError: The server keeps no feedback.
    """
    refuse_single(feedback, "feedback", str, Feedback, Mapping)
    request = feedback_pb2.RecordFeedbackRequest(
        collection=text(collection, "collection"),
        events=[_event(one, f"feedback[{i}]") for i, one in enumerate(feedback)],
    )
    return Call(_rpcs.RECORD_FEEDBACK, request, _summary, timeout)


def feedback_page(
    collection: str, listing: FeedbackListing, page_token: str, timeout: float | None
) -> Call[FeedbackPage]:
    """Fetches one page of feedback; an empty token asks for the first page."""

    def result(response: feedback_pb2.ExportFeedbackResponse) -> FeedbackPage:
        return FeedbackPage(tuple(map(_recorded, response.feedback)), response.next_page_token)

    request = feedback_pb2.ExportFeedbackRequest(
        collection=text(collection, "collection"),
        kind=number_of(feedback_pb2.FeedbackKind, listing.kind, "kind"),
        start_time=_timestamp(listing.start),
        end_time=_timestamp(listing.end),
        page_size=int32(listing.page_size, "page_size"),
        page_token=page_token,
    )
    return Call(_rpcs.EXPORT_FEEDBACK, request, result, timeout)


def delete_feedback(
    collection: str,
    query_ids: Iterable[str] = (),
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    all: bool = False,  # noqa: A002  # the contract's word
    timeout: float | None = None,
) -> Call[int]:
    """Deletes feedback for good: what fits all that is given.

    Args:
        collection: The collection's name or alias.
        query_ids: Only that of these queries. Empty: of any.
        start: Only what was given then or later. None: from the first on.
        end: Only what was given before. None: to the last.
        all: Deletes everything; nothing else may be given then.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Returns:
        How many clicks and judgements are gone.

    Raises:
        InvalidArgumentError: Nothing says what to delete.
        NotFoundError: No such collection.
    """

    def result(response: feedback_pb2.DeleteFeedbackResponse) -> int:
        return response.num_deleted

    request = feedback_pb2.DeleteFeedbackRequest(
        collection=text(collection, "collection"),
        query_ids=texts(query_ids, "query_ids"),
        start_time=_timestamp(start),
        end_time=_timestamp(end),
        all=all,
    )
    return Call(_rpcs.DELETE_FEEDBACK, request, result, timeout)


def shadows(collection: str = "", *, timeout: float | None = None) -> Call[tuple[Shadow, ...]]:
    """Returns what the server's shadow comparisons have found so far.

    Args:
        collection: Only comparisons on this collection. Empty: on all that the key may use.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such collection.
    """

    def result(response: feedback_pb2.ListShadowsResponse) -> tuple[Shadow, ...]:
        return tuple(map(shadow_of, response.shadows))

    request = feedback_pb2.ListShadowsRequest(collection=text(collection, "collection"))
    return Call(_rpcs.LIST_SHADOWS, request, result, timeout)


def _event(feedback: Feedback, where: str) -> feedback_pb2.FeedbackEvent:
    kind = feedback_pb2.FEEDBACK_KIND_CLICK
    if feedback.grade is not None:
        kind = feedback_pb2.FEEDBACK_KIND_JUDGEMENT
    return feedback_pb2.FeedbackEvent(
        search_id=text(feedback.search_id, f"{where}.search_id"),
        query_id=text(feedback.query_id, f"{where}.query_id"),
        document_id=text(feedback.document_id, f"{where}.document_id"),
        kind=kind,
        grade=int32(feedback.grade, f"{where}.grade"),
        time=_timestamp(feedback.time),
    )


def _timestamp(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time if time.tzinfo is None else time.astimezone(UTC))
    return message


def _summary(response: feedback_pb2.RecordFeedbackResponse) -> FeedbackSummary:
    reasons = feedback_pb2.FeedbackRefusalReason
    return FeedbackSummary(
        response.num_recorded,
        tuple(
            FeedbackRefusal(one.index, word_of(FeedbackRefusalReason, reasons, one.reason))
            for one in response.refused
        ),
    )


def _recorded(message: feedback_pb2.Feedback) -> RecordedFeedback:
    return RecordedFeedback(
        query_id=message.query_id,
        document_id=message.document_id,
        kind=word_of(FeedbackKind, feedback_pb2.FeedbackKind, message.kind),
        grade=message.grade,
        time=moment(message.time),
        rank=message.rank,
        query=message.query,
    )


def shadow_of(message: feedback_pb2.Shadow) -> Shadow:
    """Reads a shadow of an answer."""
    counts = message.counts
    return Shadow(
        name=message.name,
        reranker=message.reranker,
        depth=message.depth,
        blend=message.blend if message.HasField("blend") else None,
        share=message.share,
        collections=message.collections,
        counts={name: getattr(counts, name) for name in counts.DESCRIPTOR.fields_by_name},
        comparisons=tuple(map(_comparison, message.comparisons)),
    )


def _comparison(message: feedback_pb2.ShadowComparison) -> ShadowComparison:
    return ShadowComparison(
        collection=message.collection,
        num_compared=message.num_compared,
        equal_first=message.equal_first,
        overlap=message.overlap,
        rank_biased_overlap=message.rank_biased_overlap,
        differences=tuple(
            ShadowDifference(
                measure=word_of(ShadowMeasure, feedback_pb2.ShadowMeasure, one.measure),
                num_searches=one.num_searches,
                mean=one.mean,
                lower=one.lower,
                upper=one.upper,
                p_value=one.p_value,
                num_better=one.num_better,
                num_worse=one.num_worse,
            )
            for one in message.differences
        ),
        start_time=moment(message.start_time),
    )
