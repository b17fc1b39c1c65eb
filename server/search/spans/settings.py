"""What a request asks of spans, and what it gets."""

from dataclasses import dataclass
from enum import Enum

DEFAULT_HITS = 5
MAX_HITS = 100
DEFAULT_SPANS = 3
MAX_UNITS = 64
"""Most sentences or windows of a hit that are scored."""

MAX_CHARS = 32_768
"""Most characters of a hit that are cut into sentences."""

DEFAULT_WINDOW_TOKENS = 64
MIN_WINDOW_TOKENS, MAX_WINDOW_TOKENS = 8, 512
MAX_NEIGHBORS = 8
MAX_TAG_BYTES = 256


class SpanUnit(Enum):
    """What a text is cut into."""

    SENTENCE = "sentence"
    WINDOW = "window"


class SpansStatus(Enum):
    """What became of the spans that a request asked for."""

    NONE = "none"
    COMPLETE = "complete"
    PARTIAL = "partial"
    SKIPPED_DEADLINE = "skipped_deadline"
    SKIPPED_OVERLOAD = "skipped_overload"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """How spans are marked in a text.

    Attributes:
        before: Stands before each span.
        after: Stands after each span.
        escape_html: Whether the text, not the tags, is written as HTML's entities.
    """

    before: str = "<mark>"
    after: str = "</mark>"
    escape_html: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanSettings:
    """Which spans are looked for.

    Attributes:
        unit: What a text is cut into.
        window_tokens: With windows: most tokens of one.
        hits: Of how many of the best hits, at least 1.
        max_spans: Most spans of a hit, at least 1.
        min_score: Spans below it are left out; None for those that are far below the hit's best.
        pruned_text: Whether to make the text that is left of a hit.
        neighbors: How many units before and after each one stay in the pruned text too.
        highlight: How spans are marked in the text; None for no such text.
    """

    unit: SpanUnit = SpanUnit.SENTENCE
    window_tokens: int = DEFAULT_WINDOW_TOKENS
    hits: int = DEFAULT_HITS
    max_spans: int = DEFAULT_SPANS
    min_score: float | None = None
    pruned_text: bool = False
    neighbors: int = 0
    highlight: Tags | None = None


@dataclass(frozen=True, slots=True)
class ScoredSpan:
    """A part of a hit's text.

    Attributes:
        start: Its first character in title, space and text together.
        end: One past its last.
        score: The calibrated logit, in [0, 1].
        logit: The reranker's output.
    """

    start: int
    end: int
    score: float
    logit: float


@dataclass(frozen=True, slots=True)
class HitSpans:
    """What a hit has of spans.

    Attributes:
        spans: Best first, ties in the text's order.
        pruned_text: What is left of its text; "" where that was not asked for.
        highlighted_text: Its text with marks; "" where that was not asked for.
    """

    spans: tuple[ScoredSpan, ...] = ()
    pruned_text: str = ""
    highlighted_text: str = ""


NO_SPANS = HitSpans()
