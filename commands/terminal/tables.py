"""Results as tables for people."""

import os

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.client import RerankResult, SearchResult, Timings

_SNIPPET_CHARS = 90
# Without a terminal, tables are as wide as they need: a figure that is cut is lost.
_WIDTH_WITHOUT_TERMINAL = 240
QUERY_CUT = "[dim]The question is longer than a model reads: the model read its beginning.[/]"
"""Told below a result whose query was cut."""
_STAGES = ("tokenize", "embed", "retrieve", "load", "queue", "rerank", "total")


def hits_table(result: SearchResult) -> Table:
    """A search's hits: rank, rank before the second pass, scores, beginning of the text."""
    table = Table(box=None, header_style="bold")
    for column in ("", "was", "score", "dense", "lexical"):
        table.add_column(column, justify="right")
    table.add_column("document", overflow="fold")
    for rank, hit in enumerate(result.hits, 1):
        table.add_row(
            str(rank),
            str(hit.first_pass_rank),
            number(hit.score),
            number(hit.dense_score),
            number(hit.lexical_score),
            f"[bold]{escape(hit.title or hit.id)}[/]  [dim]{escape(snippet(hit.text))}[/]",
        )
    return table


def passages_table(result: RerankResult) -> Table:
    """The hits of a rerank: rank, line, score, logit, beginning of the passage."""
    table = Table(box=None, header_style="bold")
    for column in ("", "line", "score", "logit"):
        table.add_column(column, justify="right")
    table.add_column("passage", overflow="fold")
    for rank, hit in enumerate(result.hits, 1):
        table.add_row(
            str(rank),
            str(hit.index + 1),
            number(hit.score),
            f"{hit.logit:+.2f}",
            escape(snippet(hit.text)),
        )
    return table


def timings_line(result: SearchResult) -> str:
    """Candidates, statuses and the milliseconds of each stage, in one line."""
    return (
        f"[dim]{result.num_candidates} candidates ({result.retrieve_status}), "
        f"{result.num_reranked} reranked "
        f"({result.rerank_status}), blend {result.blend:g} · {stages(result.timings)}[/]"
    )


def stages(timings: Timings) -> str:
    """The milliseconds of each stage that ran."""
    took = ((stage, getattr(timings, f"{stage}_ms")) for stage in _STAGES)
    return ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in took if ms is not None)


def snippet(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 2 * _SNIPPET_CHARS].split())
    return line if len(line) <= _SNIPPET_CHARS else line[: _SNIPPET_CHARS - 1] + "…"


def number(value: float | None) -> str:
    """A score with three decimals; empty if it was not computed."""
    return "" if value is None else f"{value:.3f}"


def print_table(table: RenderableType) -> None:
    """Prints a table, or a group of tables, as wide as the terminal; uncut where there is none."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=_WIDTH_WITHOUT_TERMINAL)
    console.print(table)
