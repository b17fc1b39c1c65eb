"""Which sentences of a hit answer the query: what is asked of them, and what they are."""

from collections.abc import Iterable
from dataclasses import dataclass

from twopass.client._enums import SpansStatus, SpanUnit, number_of, word_of
from twopass.client._values import int32, real, text
from twopass.v1 import rerank_pb2, search_pb2, spans_pb2


@dataclass(frozen=True, slots=True, kw_only=True)
class Highlight:
    """How spans are marked in the text of a hit.

    Attributes:
        pre_tag: Stands before each span.
        post_tag: Stands after each span.
        escape_html: Whether the text, not the tags, is written as HTML's entities, so that a page
            may show it as it is.
    """

    pre_tag: str = "<mark>"
    post_tag: str = "</mark>"
    escape_html: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Which sentences of the best hits answer the query: each is scored as a passage is.

    What is looked at of a hit is its best window where it has one, else its text from the
    beginning: the first 64 sentences within 32,768 characters.

    Attributes:
        unit: What a text is cut into: "sentence", or "window" for whole sentences in a row. None:
            "sentence".
        window_tokens: With "window": most tokens of one, 8 to 512. None: 64.
        hits: Of how many of the hits, from the first, 1 to 100. None: 5.
        max_spans: Most spans of a hit, 1 to 64. None: 3.
        min_score: Leaves out spans whose `score` is lower; 0 leaves out none. None: those are left
            out whose odds are below one eighth of those of the hit's best span.
        pruned_text: Whether hits carry `pruned_text`: what `min_score` leaves of the text, for the
            context of a language model.
        neighbors: How many sentences before and after each of those stay in it too, 0 to 8.
        highlight: Whether hits carry `highlighted_text`, and with which tags.
    """

    unit: SpanUnit | None = None
    window_tokens: int | None = None
    hits: int | None = None
    max_spans: int | None = None
    min_score: float | None = None
    pruned_text: bool = False
    neighbors: int = 0
    highlight: Highlight | bool = False


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A part of a hit's text, by how well it answers the query.

    Attributes:
        start: Its first character in title, space and text together, counted from 0.
        end: One past its last.
        score: Relevance in [0, 1] by the reranker, calibrated.
        logit: The reranker's raw output.
    """

    start: int
    end: int
    score: float
    logit: float


def spans_message(spans: Spans | bool) -> spans_pb2.SpanOptions | None:
    """What is asked of spans, as a message; None for nothing."""
    if spans is False:
        return None
    if spans is True:
        return spans_pb2.SpanOptions()
    return spans_pb2.SpanOptions(
        unit=number_of(spans_pb2.SpanUnit, spans.unit, "spans.unit"),
        window_tokens=int32(spans.window_tokens, "spans.window_tokens"),
        hits=int32(spans.hits, "spans.hits"),
        max_spans=int32(spans.max_spans, "spans.max_spans"),
        min_score=real(spans.min_score, "spans.min_score"),
        pruned_text=spans.pruned_text,
        neighbors=int32(spans.neighbors, "spans.neighbors"),
        highlight=_highlight_message(spans.highlight),
    )


def _highlight_message(highlight: Highlight | bool) -> spans_pb2.HighlightOptions | None:
    if highlight is False:
        return None
    if highlight is True:
        return spans_pb2.HighlightOptions()
    return spans_pb2.HighlightOptions(
        pre_tag=text(highlight.pre_tag, "spans.highlight.pre_tag"),
        post_tag=text(highlight.post_tag, "spans.highlight.post_tag"),
        escape_html=highlight.escape_html,
    )


def scored_spans(messages: Iterable[spans_pb2.ScoredSpan]) -> tuple[ScoredSpan, ...]:
    """Reads the spans of a hit."""
    return tuple(
        ScoredSpan(message.span.start, message.span.end, message.score, message.logit)
        for message in messages
    )


def spans_status(
    response: search_pb2.SearchResponse | rerank_pb2.RerankResponse,
) -> SpansStatus | None:
    """Reads what became of the spans; None where none were asked for."""
    number = response.spans_status
    return word_of(SpansStatus, spans_pb2.SpansStatus, number) if number else None
