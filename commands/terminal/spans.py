"""The sentences of hits that answer, as commands are told to show them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, TypeAlias

import typer
from rich.text import Text

from twopass.client import Highlight, RerankHit, SearchHit, Spans, SpansStatus
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.query_words import QueryWords

# The server looks for the spans of so many hits at most.
_MAX_HITS = 100
_TAG = "**"
_SPAN_STYLE = "underline"
_SCORE_STYLE = "dim"
# Characters of a text beside the best span that a terminal shows of it.
_BESIDE = 160
_PANEL = "Sentences that answer"
_WITHOUT = {
    SpansStatus.PARTIAL: "Not all documents have their sentences: time did not suffice, or their "
    "texts were not read.",
    SpansStatus.SKIPPED_DEADLINE: "No sentences, since time did not suffice.",
    SpansStatus.SKIPPED_OVERLOAD: "No sentences, since too much else waited.",
    SpansStatus.FAILED: "No sentences, since the reranker failed, or the texts could not be read.",
}

SpansOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--spans", rich_help_panel=_PANEL, help="Show the sentences that answer, with their scores."
    ),
]
HighlightOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--highlight",
        rich_help_panel=_PANEL,
        help="Show the text with the sentences that answer marked, by ** in a pipe.",
    ),
]
PrunedOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--pruned",
        rich_help_panel=_PANEL,
        help="Show what is left of the text without the sentences that do not answer.",
    ),
]
SpanWindowOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--span-window",
        min=8,
        max=512,
        rich_help_panel=_PANEL,
        metavar="<tokens>",
        help="Look for whole sentences in a row, as many as have so many tokens, rather than for "
        "single ones.",
    ),
]
MaxSpansOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-spans",
        min=1,
        max=64,
        rich_help_panel=_PANEL,
        help="Most sentences of a hit; unset: 3.",
    ),
]
SpanMinScoreOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--span-min-score",
        min=0,
        max=1,
        rich_help_panel=_PANEL,
        help="Leave out sentences whose score is lower, 0 none; unset: those whose odds are below "
        "an eighth of the best one's.",
    ),
]
NeighborsOption: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=8,
        rich_help_panel=_PANEL,
        help="How many sentences before and after each stay in the text of --pruned.",
    ),
]


class Shown(StrEnum):
    """What is shown of a hit's text."""

    TEXT = "text"
    SPANS = "spans"
    HIGHLIGHT = "highlight"
    PRUNED = "pruned"


def what_to_show(*, spans: bool, highlight: bool, pruned: bool, as_json: bool) -> Shown:
    """What is shown of hits' texts, by a command's flags.

    Exits with an error where a table is to show more than one of them.
    """
    flags = {Shown.SPANS: spans, Shown.HIGHLIGHT: highlight, Shown.PRUNED: pruned}
    given = [shown for shown, is_given in flags.items() if is_given]
    if len(given) > 1 and not as_json:
        exit_with(
            f"{' and '.join(f'--{shown}' for shown in given)}: a table shows one of them; give "
            "--json for all",
            USAGE,
        )
    return given[0] if given else Shown.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSpans:
    """Which sentences a command is told to look for.

    Attributes:
        spans: Whether sentences are shown.
        highlight: Whether they are shown in the text.
        pruned: Whether the text that is left is shown.
        window_tokens: Most tokens of sentences in a row; None for single sentences.
        max_spans: Most of a hit; None for the server's default.
        min_score: Sentences below are left out; None for the server's default.
        neighbors: Sentences beside each that stay in the text that is left.
    """

    spans: bool
    highlight: bool
    pruned: bool
    window_tokens: int | None = None
    max_spans: int | None = None
    min_score: float | None = None
    neighbors: int = 0

    def options(self, num_hits: int) -> Spans | bool:
        """What is asked of the server. Exits where flags tell more of sentences that nobody wants.

        Args:
            num_hits: How many hits are shown; 0 for all.
        """
        if self.neighbors and not self.pruned:
            exit_with("--neighbors: stay in the text of --pruned; give both", USAGE)
        if not (self.spans or self.highlight or self.pruned):
            told = {
                "--span-window": self.window_tokens,
                "--max-spans": self.max_spans,
                "--span-min-score": self.min_score,
            }
            if given := [flag for flag, value in told.items() if value is not None]:
                exit_with(
                    f"{given[0]}: says which sentences; give --spans, --highlight or --pruned too",
                    USAGE,
                )
            return False
        return Spans(
            unit=None if self.window_tokens is None else "window",
            window_tokens=self.window_tokens,
            hits=min(num_hits or _MAX_HITS, _MAX_HITS),
            max_spans=self.max_spans,
            min_score=self.min_score,
            pruned_text=self.pruned,
            neighbors=self.neighbors,
            highlight=Highlight(pre_tag=_TAG, post_tag=_TAG) if self.highlight else False,
        )


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
