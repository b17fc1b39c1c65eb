"""What requests ask of spans, and spans as messages."""

from typing import Any

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_text
from twopass.server.search.spans.settings import (
    DEFAULT_HITS,
    DEFAULT_SPANS,
    DEFAULT_WINDOW_TOKENS,
    MAX_HITS,
    MAX_NEIGHBORS,
    MAX_TAG_BYTES,
    MAX_UNITS,
    MAX_WINDOW_TOKENS,
    MIN_WINDOW_TOKENS,
    HitSpans,
    SpanSettings,
    SpansStatus,
    SpanUnit,
    Tags,
)
from twopass.server.servicers.enums import EnumMapping
from twopass.server.servicers.options import read_min_score
from twopass.v1 import rerank_pb2, search_pb2, spans_pb2

_UNITS = EnumMapping(
    spans_pb2.SpanUnit,
    {
        spans_pb2.SPAN_UNIT_SENTENCE: SpanUnit.SENTENCE,
        spans_pb2.SPAN_UNIT_WINDOW: SpanUnit.WINDOW,
    },
    default=SpanUnit.SENTENCE,
)
# Of a span as a message.
_SPAN_BYTES = 20
_STATUS = {
    SpansStatus.NONE: spans_pb2.SPANS_STATUS_UNSPECIFIED,
    SpansStatus.COMPLETE: spans_pb2.SPANS_STATUS_COMPLETE,
    SpansStatus.PARTIAL: spans_pb2.SPANS_STATUS_PARTIAL,
    SpansStatus.SKIPPED_DEADLINE: spans_pb2.SPANS_STATUS_SKIPPED_DEADLINE,
    SpansStatus.SKIPPED_OVERLOAD: spans_pb2.SPANS_STATUS_SKIPPED_OVERLOAD,
    SpansStatus.FAILED: spans_pb2.SPANS_STATUS_FAILED,
}


def read_spans(message: Any) -> SpanSettings | None:
    """Reads the field `spans` of a request; None where it is unset.

    Raises:
        InvalidRequestError: Names the field, the limit and the value.
    """
    if not message.HasField("spans"):
        return None
    options: spans_pb2.SpanOptions = message.spans
    unit = _UNITS.read("spans.unit", options.unit)
    if unit is SpanUnit.SENTENCE and options.window_tokens:
        raise InvalidRequestError(
            f"spans.window_tokens: {options.window_tokens:,} given, but spans.unit is sentences; "
            "set it to SPAN_UNIT_WINDOW, or leave window_tokens 0",
            value=options.window_tokens,
        )
    return SpanSettings(
        unit=unit,
        window_tokens=_read_between(
            "spans.window_tokens",
            options.window_tokens or DEFAULT_WINDOW_TOKENS,
            MIN_WINDOW_TOKENS,
            MAX_WINDOW_TOKENS,
        ),
        hits=_read_between("spans.hits", options.hits or DEFAULT_HITS, 1, MAX_HITS),
        max_spans=_read_between(
            "spans.max_spans", options.max_spans or DEFAULT_SPANS, 1, MAX_UNITS
        ),
        min_score=read_min_score("spans.min_score", options),
        pruned_text=options.pruned_text,
        neighbors=_read_between("spans.neighbors", options.neighbors, 0, MAX_NEIGHBORS),
        highlight=_read_tags(options.highlight) if options.HasField("highlight") else None,
    )


def _read_between(field: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise InvalidRequestError(
            f"{field}: {value:,} given, {least} to {most} is needed",
            limit=least if value < least else most,
            value=value,
        )
    return value


def _read_tags(options: spans_pb2.HighlightOptions) -> Tags:
    check_text("spans.highlight.pre_tag", options.pre_tag, MAX_TAG_BYTES)
    check_text("spans.highlight.post_tag", options.post_tag, MAX_TAG_BYTES)
    usual = Tags()
    return Tags(
        before=options.pre_tag if options.HasField("pre_tag") else usual.before,
        after=options.post_tag if options.HasField("post_tag") else usual.after,
        escape_html=options.escape_html,
    )


def spans_status(status: SpansStatus) -> "spans_pb2.SpansStatus.ValueType":
    """The status as the contract has it."""
    return _STATUS[status]


def add_spans(spans: HitSpans, hit: search_pb2.SearchHit | rerank_pb2.RerankHit) -> None:
    """Adds to a hit where its spans stand, and their scores."""
    for span in spans.spans:
        message = hit.spans.add(score=span.score, logit=span.logit)
        message.span.start, message.span.end = span.start, span.end


def add_texts(spans: HitSpans, hit: search_pb2.SearchHit | rerank_pb2.RerankHit) -> None:
    """Adds to a hit the texts that are made of its spans."""
    hit.pruned_text, hit.highlighted_text = spans.pruned_text, spans.highlighted_text


def texts_length(spans: HitSpans) -> int:
    """Characters of the texts that are made of a hit's spans."""
    return len(spans.pruned_text) + len(spans.highlighted_text)


def spans_bytes(spans: HitSpans) -> int:
    """Estimated size of a hit's spans and of the texts that are made of them."""
    return _SPAN_BYTES * len(spans.spans) + texts_length(spans)
