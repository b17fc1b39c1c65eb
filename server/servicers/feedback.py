"""FeedbackService: clicks and judgements in, qrels out, and what shadows have found."""

import base64
import hashlib
import json
import time
from collections.abc import Callable, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from twopass.index.documents import MAX_ID_BYTES
from twopass.index.feedback import Feedback, FeedbackKind, Selection
from twopass.server.collections import Collections
from twopass.server.errors import InvalidRequestError
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.feedback.types import Event, Refusal
from twopass.server.models.passages import Limits, check_count, check_text
from twopass.server.request import Request
from twopass.server.servicers.documents import check_ids
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import read_page_size, read_query_id
from twopass.server.servicers.translating import Translating
from twopass.server.shadowing.results import (
    Comparison,
    Difference,
    Measure,
    Outcome,
    ShadowResult,
)
from twopass.v1 import feedback_pb2

_MAX_GRADE = 100
_DEFAULT_PAGE_SIZE = 1_000
_MAX_PAGE_SIZE = 10_000
_DAY_US = 24 * 3600 * 1_000_000
_EVENT_BYTES = 64
_KINDS = EnumMapping[int, FeedbackKind | None](
    feedback_pb2.FeedbackKind,
    {
        feedback_pb2.FEEDBACK_KIND_CLICK: FeedbackKind.CLICK,
        feedback_pb2.FEEDBACK_KIND_JUDGEMENT: FeedbackKind.JUDGEMENT,
    },
    default=None,
)
_REASONS = {
    Refusal.SEARCH_UNKNOWN: feedback_pb2.FEEDBACK_REFUSAL_REASON_SEARCH_UNKNOWN,
    Refusal.NOT_SHOWN: feedback_pb2.FEEDBACK_REFUSAL_REASON_NOT_SHOWN,
}
_MEASURES = {
    Measure.JUDGED_NDCG: feedback_pb2.SHADOW_MEASURE_JUDGED_NDCG_10,
    Measure.JUDGED_RR: feedback_pb2.SHADOW_MEASURE_JUDGED_RR_10,
    Measure.CLICKED_RR: feedback_pb2.SHADOW_MEASURE_CLICKED_RR_10,
}


class FeedbackServicer:
    """Translates; `FeedbackRecords` keeps, and `Shadowing` compares."""

    def __init__(
        self,
        records: FeedbackRecords,
        shadows: Callable[[], Sequence[ShadowResult]],
        collections: Collections,
        limits: Limits,
        translating: Translating,
    ) -> None:
        self._records = records
        self._shadows = shadows
        self._collections = collections
        self._limits = limits
        self._translating = translating

    async def record_feedback(
        self, message: feedback_pb2.RecordFeedbackRequest, request: Request
    ) -> feedback_pb2.RecordFeedbackResponse:
        """Keeps clicks and judgements."""
        self._records.ensure_kept()
        check_count("events", len(message.events), self._limits.max_documents, "use several calls")
        events = await self._translating.run(
            request.message_bytes, _read_events, message.events, request=request
        )
        collection = await self._own_name(message.collection, request)
        refused = await self._records.record(collection, events, request)
        return feedback_pb2.RecordFeedbackResponse(
            num_recorded=len(events) - len(refused),
            refused=[
                feedback_pb2.FeedbackRefusal(index=i, reason=_REASONS[reason])
                for i, reason in sorted(refused.items())
            ],
        )

    async def export_feedback(
        self, message: feedback_pb2.ExportFeedbackRequest, request: Request
    ) -> feedback_pb2.ExportFeedbackResponse:
        """Returns a page of feedback."""
        page_size = read_page_size(
            message.page_size, default=_DEFAULT_PAGE_SIZE, most=_MAX_PAGE_SIZE
        )
        selection = Selection(
            kind=_KINDS.read("kind", message.kind),
            start_us=_read_time("start_time", message, None),
            end_us=_read_time("end_time", message, None),
        )
        collection = await self._own_name(message.collection, request)
        digest = _digest(collection, selection)
        after = _read_token(message.page_token, digest)
        page = await self._records.page(collection, selection, after, page_size, request)
        return await self._translating.run(
            len(page.rows) * _EVENT_BYTES,
            self._page,
            page.rows,
            page.has_more,
            digest,
            request=request,
        )

    async def delete_feedback(
        self, message: feedback_pb2.DeleteFeedbackRequest, request: Request
    ) -> feedback_pb2.DeleteFeedbackResponse:
        """Deletes feedback."""
        if message.query_ids:
            check_ids("query_ids", message.query_ids, self._limits.max_documents)
        selection = Selection(
            query_ids=tuple(message.query_ids),
            start_us=_read_time("start_time", message, None),
            end_us=_read_time("end_time", message, None),
        )
        if message.all and selection != Selection():
            raise InvalidRequestError(
                "all: true, and something else is set too; leave out one of the two"
            )
        if not message.all and selection == Selection():
            raise InvalidRequestError(
                "query_ids: none, and no time either; say what to delete, or set all"
            )
        collection = await self._own_name(message.collection, request)
        number = await self._records.delete(collection, selection, request)
        return feedback_pb2.DeleteFeedbackResponse(num_deleted=number)

    async def list_shadows(
        self, message: feedback_pb2.ListShadowsRequest, request: Request
    ) -> feedback_pb2.ListShadowsResponse:
        """Returns what shadows have found."""
        wanted = ""
        if message.collection:
            wanted = await self._own_name(message.collection, request)

        def may_see(comparison: Comparison) -> bool:
            if wanted:
                return comparison.collection == wanted
            return request.caller.may_use(comparison.collection)

        return feedback_pb2.ListShadowsResponse(
            shadows=[shadow_message(shadow, may_see) for shadow in self._shadows()]
        )

    async def _own_name(self, collection: str, request: Request) -> str:
        """The own name of a collection that is given by its name or an alias."""
        return str((await self._collections.acquire(collection, request)).name)

    def _page(
        self, rows: Sequence[Feedback], has_more: bool, digest: str
    ) -> feedback_pb2.ExportFeedbackResponse:
        """Builds a page of as many rows as fit into an answer."""
        response = feedback_pb2.ExportFeedbackResponse()
        left = self._limits.max_answer_bytes
        for i, row in enumerate(rows):
            message = _feedback_message(row)
            left -= message.ByteSize() + 6
            if left < 0 and i:
                rows, has_more = rows[:i], True
                break
            response.feedback.append(message)
        if has_more:
            response.next_page_token = _token(rows[-1], digest)
        return response


def _read_events(messages: Sequence[feedback_pb2.FeedbackEvent]) -> list[Event]:
    now = time.time_ns() // 1_000
    return [_read_event(f"events[{i}]", message, now) for i, message in enumerate(messages)]


def _read_event(where: str, message: feedback_pb2.FeedbackEvent, now: int) -> Event:
    kind = _KINDS.read(f"{where}.kind", message.kind)
    if kind is None:
        raise InvalidRequestError(
            f"{where}.kind: unset; FEEDBACK_KIND_CLICK or FEEDBACK_KIND_JUDGEMENT is needed"
        )
    if not message.document_id:
        raise InvalidRequestError(f"{where}.document_id: empty; say which document it is about")
    check_text(f"{where}.document_id", message.document_id, MAX_ID_BYTES)
    if not message.search_id and not message.query_id:
        raise InvalidRequestError(
            f"{where}.search_id: empty, and query_id too; give that of the answer, or your own key "
            "of the query"
        )
    most = _MAX_GRADE if kind is FeedbackKind.JUDGEMENT else 0
    if not 0 <= message.grade <= most:
        between = f"0 to {_MAX_GRADE}" if most else "a click has none: 0"
        raise InvalidRequestError(
            f"{where}.grade: {message.grade} given, {between} is needed",
            limit=most,
            value=message.grade,
        )
    moment = _read_time(f"{where}.time", message, now)
    assert moment is not None
    if moment > now + _DAY_US:
        raise InvalidRequestError(
            f"{where}.time: more than a day ahead of the server's clock; give when it was, or "
            "leave it unset"
        )
    return Event(
        search_id=read_query_id(f"{where}.search_id", message.search_id),
        query_id=read_query_id(f"{where}.query_id", message.query_id),
        document_id=message.document_id,
        kind=kind,
        grade=1 if kind is FeedbackKind.CLICK else message.grade,
        time_us=moment,
    )


def _read_time(
    field: str,
    message: "feedback_pb2.FeedbackEvent | feedback_pb2.ExportFeedbackRequest | "
    "feedback_pb2.DeleteFeedbackRequest",
    default: int | None,
) -> int | None:
    """A time in microseconds since 1970, from the field that a path ends with."""
    name = field.rpartition(".")[2]
    if not message.HasField(name):  # type: ignore[arg-type]
        return default
    moment: Timestamp = getattr(message, name)
    if not (-62_135_596_800 <= moment.seconds < 253_402_300_800 and 0 <= moment.nanos < 10**9):
        raise InvalidRequestError(
            f"{field}: seconds {moment.seconds} and nanos {moment.nanos} given; the years 1 to "
            "9999 and 0 to 999,999,999 are needed"
        )
    return moment.seconds * 1_000_000 + moment.nanos // 1_000


def _digest(collection: str, selection: Selection) -> str:
    """Tells listings apart, hexadecimal."""
    return hashlib.blake2b(repr((collection, selection)).encode(), digest_size=8).hexdigest()


def _token(row: Feedback, digest: str) -> str:
    last = json.dumps([row.query_id, row.document_id, int(row.kind), digest])
    return base64.urlsafe_b64encode(last.encode()).decode()


def _read_token(token: str, digest: str) -> tuple[str, str, int] | None:
    if not token:
        return None
    try:
        query_id, document_id, kind, of = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        of = query_id = document_id = kind = None
    if of != digest or not isinstance(query_id, str) or not isinstance(document_id, str):
        raise InvalidRequestError(
            f"page_token: {token[:64]!r} is of no listing of this kind; begin with an empty one"
        )
    return query_id, document_id, int(kind)


def _feedback_message(row: Feedback) -> feedback_pb2.Feedback:
    return feedback_pb2.Feedback(
        query_id=row.query_id,
        document_id=row.document_id,
        kind=_KINDS.write(row.kind),  # type: ignore[arg-type]
        grade=row.grade,
        time=_timestamp(row.time_us),
        rank=row.rank,
        query=row.query,
    )


def shadow_message(
    shadow: ShadowResult, may_see: Callable[[Comparison], bool]
) -> feedback_pb2.Shadow:
    """A shadow as a message, with those of its comparisons that a caller may see."""
    spec, counts = shadow.spec, shadow.counts
    return feedback_pb2.Shadow(
        name=spec.name,
        reranker=spec.reranker,
        depth=spec.depth,
        blend=spec.blend,
        share=spec.share,
        collections=spec.collections,
        counts=feedback_pb2.ShadowCounts(**{outcome.value: counts[outcome] for outcome in Outcome}),
        comparisons=map(_comparison_message, filter(may_see, shadow.comparisons)),
    )


def _comparison_message(comparison: Comparison) -> feedback_pb2.ShadowComparison:
    return feedback_pb2.ShadowComparison(
        collection=comparison.collection,
        num_compared=comparison.num_compared,
        equal_first=comparison.equal_first,
        overlap=comparison.overlap,
        rank_biased_overlap=comparison.rank_biased_overlap,
        differences=map(_difference_message, comparison.differences),
        start_time=_timestamp(comparison.start_us),
    )


def _difference_message(difference: Difference) -> feedback_pb2.ShadowDifference:
    lower, upper = difference.interval()
    return feedback_pb2.ShadowDifference(
        measure=_MEASURES[difference.measure],
        num_searches=difference.num_searches,
        mean=difference.mean,
        lower=lower,
        upper=upper,
        p_value=difference.p_value,
        num_better=difference.num_better,
        num_worse=difference.num_worse,
    )


def _timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)
