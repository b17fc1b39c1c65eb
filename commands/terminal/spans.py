"""The sentences of hits that answer, as they are shown."""

from enum import StrEnum

from rich.text import Text

from twopass.client import RerankHit, SearchHit, SpansStatus
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.query_words import QueryWords

_SPAN_STYLE = "underline"
_SCORE_STYLE = "dim"
# Characters of a text beside the best span that a terminal shows of it.
_BESIDE = 160
_WITHOUT = {
    SpansStatus.PARTIAL: "Not all documents have their sentences: time did not suffice, or their "
    "texts were not read.",
    SpansStatus.SKIPPED_DEADLINE: "No sentences, since time did not suffice.",
    SpansStatus.SKIPPED_OVERLOAD: "No sentences, since too much else waited.",
    SpansStatus.FAILED: "No sentences, since the reranker failed, or the texts could not be read.",
}


class Shown(StrEnum):
    """What is shown of a hit's text."""

    TEXT = "text"
    SPANS = "spans"
    HIGHLIGHT = "highlight"
    PRUNED = "pruned"


def in_a_pipe(hit: SearchHit | RerankHit, shown: Shown) -> str:
    """What a table's cell holds of a hit's text, whole; "" where the hit has no spans."""
    match shown:
        case Shown.SPANS:
            return " | ".join(f"{score:.3f} {text}" for score, text in _sentences(hit))
        case Shown.HIGHLIGHT:
            return hit.highlighted_text
    return hit.pruned_text


def on_a_terminal(hit: SearchHit | RerankHit, shown: Shown, words: QueryWords) -> list[Text]:
    """What a terminal shows of a hit's text, a line each; nothing where the hit has no spans."""
    match shown:
        case Shown.SPANS:
            return [
                Text.assemble((f"{score:.3f}  ", _SCORE_STYLE), words.marked(_on_a_line(text)))
                for score, text in _sentences(hit)
            ]
        case Shown.HIGHLIGHT if hit.spans:
            return [_highlighted(hit)]
        case Shown.PRUNED if hit.pruned_text:
            return [words.marked(_on_a_line(hit.pruned_text))]
    return []


def told_of_spans(status: SpansStatus | None) -> str:
    """Why hits are without sentences, in words; "" where they are not."""
    return _WITHOUT.get(status, "") if status is not None else ""


def passage_of(hit: SearchHit | RerankHit) -> tuple[str, int]:
    """Title, space and text together, whose characters spans count; and where the text begins."""
    if not hit.title:
        return hit.text, 0
    passage = f"{hit.title} {hit.text}".strip()
    start = len(hit.title.lstrip()) + 1 if hit.title.strip() else 0
    return passage, start if start < len(passage) else 0


def _sentences(hit: SearchHit | RerankHit) -> list[tuple[float, str]]:
    passage, _ = passage_of(hit)
    return [(span.score, passage[span.start : span.end]) for span in hit.spans]


def _highlighted(hit: SearchHit | RerankHit) -> Text:
    """The text around the best span, with every span in it underlined."""
    passage, before = passage_of(hit)
    best = hit.spans[0]
    start = max(before, best.start - _BESIDE)
    end = min(len(passage), best.end + _BESIDE)
    shown = Text("… " if start > before else "")
    at = start
    for span in sorted(hit.spans, key=lambda span: span.start):
        first, last = max(at, min(span.start, end)), max(at, min(span.end, end))
        shown.append(_on_a_line(passage[at:first]))
        shown.append(_on_a_line(passage[first:last]), style=_SPAN_STYLE)
        at = last
    shown.append(_on_a_line(passage[at:end]))
    return shown.append(" …" if end < len(passage) else "")


def _on_a_line(text: str) -> str:
    return printable(text)
