"""Which sentences of hits `twopass search` and `twopass rerank` look for, by their flags."""

from dataclasses import dataclass
from typing import Annotated, TypeAlias

import typer

from twopass.client import Highlight, Spans
from twopass.commands.terminal.failures import USAGE, exit_with
from twopass.commands.terminal.spans import Shown

# The server looks for the spans of so many hits at most.
_MAX_HITS = 100
_TAG = "**"
_PANEL = "Sentences that answer"

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
