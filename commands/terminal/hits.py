"""Hits of a search, passages of a rerank, and where the time went.

On a terminal each hit is a block: rank, title and id, the numbers that explain its place, its
metadata, and the part that matched with the query's words in bold. In a pipe a hit is a line.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from twopass.client import (
    RerankHit,
    RerankResult,
    RerankStatus,
    RetrieveStatus,
    SearchHit,
    SearchResult,
    Span,
    Timings,
)
from twopass.commands.terminal.bidi import isolated
from twopass.commands.terminal.consoles import literal, output, table_columns
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.query_words import QueryWords
from twopass.commands.terminal.sentences import broken_lines, say
from twopass.commands.terminal.spans import Shown, in_a_pipe, on_a_terminal, passage_of
from twopass.commands.terminal.tables import Table, figures, names, print_table, texts

QUERY_CUT = "The question is longer than a model reads: the model read its beginning."
"""Told below a result whose query was cut."""

_STAGES = {
    "tokenize": "tokenising",
    "embed": "embedding the question",
    "retrieve": "first pass",
    "load": "loading passages",
    "queue": "waiting for a model",
    "rerank": "second pass",
    "spans": "sentences",
    "arrange": "comparing hits",
}
_RETRIEVED = {
    RetrieveStatus.COMPLETE: "",
    RetrieveStatus.LEXICAL_DEADLINE: "by words alone, since the search by meaning came too late",
    RetrieveStatus.LEXICAL_OVERLOAD: "by words alone, since the encoder's queue was full",
    RetrieveStatus.LEXICAL_FAILED: "by words alone, since the encoder or the vectors failed",
    RetrieveStatus.DENSE_DEADLINE: "by meaning alone, since the search by words came too late",
    RetrieveStatus.DENSE_OVERLOAD: "by meaning alone, since too many searches by words waited",
    RetrieveStatus.DENSE_FAILED: "by meaning alone, since the words could not be read",
    RetrieveStatus.FUSED_DEADLINE: "without some similarities, since they came too late",
    RetrieveStatus.FUSED_OVERLOAD: "without some similarities, since too many searches waited",
    RetrieveStatus.FUSED_FAILED: "without some similarities, since they could not be read",
    RetrieveStatus.NO_WINDOWS_DEADLINE: "long ones without their nearest part, which came too late",
    RetrieveStatus.NO_WINDOWS_OVERLOAD: "long ones without their nearest part, since too many "
    "searches waited",
    RetrieveStatus.NO_WINDOWS_FAILED: "long ones without their nearest part, since the encoder or "
    "the vectors failed",
}
_RERANKED = {
    RerankStatus.COMPLETE: "",
    RerankStatus.PARTIAL: "as many as time allowed; the others follow in the first pass's order",
    RerankStatus.DISABLED: "the order is the first pass's, since no second pass was asked for",
    RerankStatus.SKIPPED_DEADLINE: "the order is the first pass's, since time did not suffice for "
    "the second",
    RerankStatus.SKIPPED_OVERLOAD: "the order is the first pass's, since the reranker's queue was "
    "full",
    RerankStatus.FAILED: "the order is the first pass's, since the reranker failed",
}
# Lines of a terminal that a hit's text may take.
_LINES = 3
_MIN_DECIMALS, _MAX_DECIMALS = 3, 7
_GAP = 2
_DIM = "dim"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that explains a hit's place.

    Attributes:
        name: What it is, such as "score".
        value: None where it was not computed.
        decimals: How many are shown.
    """

    name: str
    value: float | None
    decimals: int = _MIN_DECIMALS

    def __str__(self) -> str:
        return "" if self.value is None else f"{self.value:.{self.decimals}f}"


def print_hits(
    result: SearchResult,
    wanted: Iterable[str],
    first_rank: int = 1,
    shown: Shown = Shown.TEXT,
) -> None:
    """Prints a search's hits, best first.

    Args:
        result: What the search found.
        wanted: The question, and other words that were searched for; they are marked.
        first_rank: The first hit's rank.
        shown: What is shown of their texts.
    """
    words = QueryWords.of(wanted)
    deciding = deciding_figures(result)
    columns = table_columns(sys.stdout)
    if columns is None:
        print_table(_hits_table(result, deciding, first_rank, shown))
        say()
        return
    widths = _figure_widths(result.hits, deciding)
    num_rank_digits = len(str(first_rank + len(result.hits) - 1))
    indent = num_rank_digits + _GAP
    within = max(1, columns - indent)
    for rank, (hit, figure) in enumerate(zip(result.hits, deciding, strict=True), first_rank):
        output().print(Text.assemble((f"{rank:>{num_rank_digits}}  ", _DIM), _heading(hit)))
        for line in (
            *_explained(hit, figure, widths, within),
            *(
                line
                for matched in _matched(hit, words, within, shown)
                for line in broken_lines(matched, within)
            ),
            *broken_lines(Text(metadata_text(hit.metadata), style=_DIM), within),
        ):
            if line:
                output().print(Text(" " * indent) + isolated(line))
        say()


def print_passages(result: RerankResult, query: str, shown: Shown = Shown.TEXT) -> None:
    """Prints the passages of a rerank, best first, with the query's words in bold.

    Args:
        result: What was reranked.
        query: The question.
        shown: What is shown of them.
    """
    words = QueryWords.of([query])
    decimals = _distinct_decimals([hit.logit for hit in result.hits])
    table = Table([*figures("", "line", "score", "logit"), *texts("passage")])
    columns = table_columns(sys.stdout)
    for rank, hit in enumerate(result.hits, 1):
        text = printable((shown is not Shown.TEXT and in_a_pipe(hit, shown)) or _part(hit))
        if columns is not None and shown is Shown.TEXT:
            text = _cut_to(text, words, columns)
        table.add(
            str(rank),
            f"{hit.index + 1:,}",
            number(hit.score),
            f"{hit.logit:+.{decimals}f}",
            words.marked(text),
        )
    print_table(table)
    say()
    left = result.num_below_min_score
    below = f", {left:,} left out below the least score" if left else ""
    say(
        literal(
            f"{_counted(len(result.hits), 'passage')} ordered by {result.model}'s logit; its score "
            f"is from 0 to 1{below} · {stages(result.timings)}",
            _DIM,
        )
    )


def deciding_figures(result: SearchResult) -> list[Figure]:
    """For each hit, what it is ordered by; equal places tell equal numbers, and no others do."""
    found = [_deciding(hit, result.blend) for hit in result.hits]
    by_name: dict[str, list[float]] = {}
    for figure in found:
        by_name.setdefault(figure.name, []).append(figure.value or 0.0)
    decimals = {name: _distinct_decimals(values) for name, values in by_name.items()}
    return [Figure(figure.name, figure.value, decimals[figure.name]) for figure in found]


def outcome_lines(result: SearchResult) -> list[str]:
    """What both passes did, in words, and how long each stage took."""
    found = f"{_counted(result.num_candidates, 'candidate')} found"
    if how := _RETRIEVED.get(result.retrieve_status, result.retrieve_status):
        found += f" {how}"
    if result.num_reranked:
        found += f"; {result.num_reranked:,} read by {result.reranker}"
        if result.num_cached:
            found += f", {result.num_cached:,} of them before"
    how = _RERANKED.get(result.rerank_status, result.rerank_status)
    if how and result.num_candidates:
        found += f"; {how}"
    if result.num_reranked:
        found += f"; {_blended(result.blend)}"
    if result.num_below_min_score:
        found += f"; {result.num_below_min_score:,} left out below the least score"
    if result.num_collapsed:
        found += f"; {result.num_collapsed:,} within others"
    answers = answerable_line(result)
    return [*([answers] if answers else []), f"{found}.", f"{stages(result.timings)}."]


def answerable_line(result: SearchResult) -> str:
    """Whether anything that was found answers; "" where that is not known."""
    if result.answerable is None or result.answer_threshold is None:
        return ""
    if result.answerable:
        return f"Something here answers: a score is {result.answer_threshold:.3f} or more."
    return f"Nothing here answers: no score reaches {result.answer_threshold:.3f}."


def stages(timings: Timings) -> str:
    """The milliseconds of the whole and of each stage that ran."""
    took = [
        f"{name} {milliseconds:,.1f}"
        for stage, name in _STAGES.items()
        if (milliseconds := getattr(timings, f"{stage}_ms")) is not None
    ]
    total = "" if timings.total_ms is None else f"{timings.total_ms:,.1f} ms in the server"
    return ": ".join(filter(None, [total, ", ".join(took)]))


def snippet(text: str, most: int = 90) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 2 * most].split())
    return line if len(line) <= most else line[: most - 1] + "…"


def number(value: float | None) -> str:
    """A score with three decimals; empty if it was not computed."""
    return "" if value is None else f"{value:.3f}"


def metadata_text(metadata: Mapping[str, Any]) -> str:
    """Metadata as `key=value, …` on one line; values that are no plain text are JSON."""
    return printable(
        ", ".join(
            f"{key}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for key, value in metadata.items()
        )
    )


def _deciding(hit: SearchHit, blend: float) -> Figure:
    if hit.blended_score is not None:
        return Figure("blended" if blend else "logit", hit.blended_score)
    if hit.fused_score is not None:
        return Figure("fused", hit.fused_score)
    if hit.dense_rank is not None:
        return Figure("dense", hit.dense_score)
    return Figure("lexical", hit.lexical_score)


def _distinct_decimals(values: Sequence[float]) -> int:
    """As few decimals as tell different values apart."""
    num_distinct = len(set(values))
    for decimals in range(_MIN_DECIMALS, _MAX_DECIMALS):
        if len({f"{value:.{decimals}f}" for value in values}) == num_distinct:
            return decimals
    return _MAX_DECIMALS


def _others(hit: SearchHit, deciding: Figure) -> list[Figure]:
    """The scores beside the deciding one."""
    figures_of_hit = (
        Figure("score", hit.score),
        Figure("fused", hit.fused_score),
        Figure("dense", hit.dense_score),
        Figure("lexical", hit.lexical_score),
    )
    return [figure for figure in figures_of_hit if figure.name != deciding.name]


def _hits_table(
    result: SearchResult, deciding: Sequence[Figure], first_rank: int, shown: Shown
) -> Table:
    """A hit a row. What matched is whole, and so are long texts."""
    orders = dict.fromkeys(figure.name for figure in deciding)
    is_one = len(orders) == 1
    named = {
        figure.name
        for hit, decided in zip(result.hits, deciding, strict=True)
        for figure in _others(hit, decided)
        if figure.value is not None
    }
    beside = [name for name in ("score", "fused", "dense", "lexical") if name in named]
    by = figures(*orders) if is_one else [*names("ordered by"), *figures("by")]
    table = Table(
        [
            *figures("rank", "first pass"),
            *by,
            *figures(*beside),
            *names("id", "title", "metadata"),
            *texts("matched"),
        ]
    )
    for rank, (hit, figure) in enumerate(zip(result.hits, deciding, strict=True), first_rank):
        scores = {
            "score": hit.score,
            "fused": hit.fused_score,
            "dense": hit.dense_score,
            "lexical": hit.lexical_score,
        }
        table.add(
            str(rank),
            str(hit.first_pass_rank),
            *([] if is_one else [figure.name]),
            str(figure),
            *(number(scores[name]) for name in beside),
            hit.id,
            hit.title,
            metadata_text(hit.metadata),
            (shown is not Shown.TEXT and in_a_pipe(hit, shown)) or _part(hit),
        )
    return table


def _heading(hit: SearchHit) -> Text:
    if not hit.title or hit.title == hit.id:
        return isolated(literal(hit.id, "bold"))
    return Text.assemble(isolated(literal(hit.title, "bold")), "  ", isolated(literal(hit.id)))


def _figure_widths(hits: Sequence[SearchHit], deciding: Sequence[Figure]) -> dict[str, int]:
    """The columns that each figure takes, so that the hits' figures stand below each other."""
    widths: dict[str, int] = {}
    for hit, figure in zip(hits, deciding, strict=True):
        for each in (figure, *_others(hit, figure)):
            widths[each.name] = max(widths.get(each.name, 0), len(str(each)))
    return widths


def _explained(
    hit: SearchHit, deciding: Figure, widths: Mapping[str, int], columns: int
) -> list[Text]:
    """The figures of a hit, the deciding one first and in bold; no line ends within a figure."""
    pieces = [Text(f"{deciding.name} {deciding!s:>{widths[deciding.name]}}", style="bold")]
    pieces += [
        Text(f"{figure.name} {str(figure) or '-':>{widths[figure.name]}}")
        for figure in _others(hit, deciding)
        if widths[figure.name]
    ]
    pieces.append(Text(f"first pass {hit.first_pass_rank}"))
    if hit.truncated:
        pieces.append(Text("read in part"))
    lines = [pieces[0]]
    for piece in pieces[1:]:
        longer = Text.assemble(lines[-1], " · ", piece)
        if longer.cell_len <= columns:
            lines[-1] = longer
        else:
            lines.append(piece)
    return lines


def _part(hit: SearchHit | RerankHit) -> str:
    """The part that matched best, or the whole text; without the title, which stands beside it."""
    span: Span | None = hit.span if isinstance(hit, SearchHit) else hit.window
    if span is None:
        return hit.text
    passage, before = passage_of(hit)
    return passage[max(before, span.start) : max(before, span.end)] or hit.text


def _matched(hit: SearchHit, words: QueryWords, columns: int, shown: Shown) -> list[Text]:
    if hit.content_omitted:
        return [Text("(left out: there was no room or no time for it)", style=_DIM)]
    if shown is not Shown.TEXT and (lines := on_a_terminal(hit, shown, words)):
        return lines
    return [words.marked(_cut_to(printable(_part(hit)), words, columns))]


def _cut_to(text: str, words: QueryWords, columns: int) -> str:
    """What a few lines hold of a text, around the query's words."""
    line = " ".join(text.split())
    start, end = words.excerpt(line, _LINES * max(20, columns - 2))
    return ("… " if start else "") + line[start:end] + (" …" if end < len(line) else "")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _blended(blend: float) -> str:
    if not blend:
        return "the second pass alone decides the order"
    if blend == 1:
        return "the first pass alone decides the order (blend 1)"
    return f"the first pass counts {blend:.0%} of the order, the second {1 - blend:.0%}"
