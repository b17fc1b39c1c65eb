"""A latency report for people and for scripts."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.latency import Report
from twopass.benchmarks.summary import (
    CLIENT_AND_NETWORK,
    PERCENTILES,
    REST,
    SENT_LATE,
    STAGES,
    Summary,
)
from twopass.client import Model

_CLOSED_LOOP = "Closed loop: so many requests under way, the next sent when one is answered; ms"
_OPEN_LOOP = "Open loop: so many requests a second, at random; ms from the intended start"
_TOO_FEW = "[dim]n/a: too few requests for that percentile; --seconds measures longer[/]"
_STAGES = "Where the time went: means, ms"
_NAMES = {
    SENT_LATE: "sent late",
    CLIENT_AND_NETWORK: "client, network",
    "embed": "embed (inference)",
    "rerank": "rerank (inference)",
    REST: "rest of the server",
}
# Mean delay of the load generator itself, as a part of the median latency, that is worth a word.
_NOTABLE_DELAY = 0.1


def as_json(report: Report) -> dict[str, Any]:
    """The whole report in what JSON has; a percentile without enough samples is null."""
    return dataclasses.asdict(report)


def as_tables(report: Report) -> RenderableType:
    """What it ran on, then for each kind of loop its latencies and where the time went."""
    parts: list[RenderableType] = list(_header(report))
    loops = (
        (_CLOSED_LOOP, "under way", report.closed_loop),
        (_OPEN_LOOP, "a second", report.open_loop),
    )
    for title, level, summaries in loops:
        if summaries:
            parts += ["", f"[italic]{title}[/]", _latencies(level, summaries)]
            if any(None in s.latency_ms.values() for s in summaries):
                parts.append(_TOO_FEW)
            parts += [_errors(s, level) for s in summaries if s.errors]
            parts += [_known(s, level) for s in summaries if s.cached_share]
            parts += ["", f"[italic]{_STAGES}[/]", _stages(level, summaries)]
            parts += [_warning(s, level) for s in summaries if _is_delayed(s)]
    return Group(*parts)


def described(models: Iterable[Model]) -> str:
    """The models and what runs them, in one line."""
    return ", ".join(f"{m.id} on {m.engine} {m.precision} ({m.device})" for m in models)


def _header(report: Report) -> list[str]:
    sweep = report.sweep
    return [
        f"[bold]{escape(report.shape.description)}[/]",
        f"server    {escape(f'{report.target}: {described(report.models)}')}",
        *(f"client    {escape(line)}" for line in report.machine.lines()),
        f"each load {sweep.seconds:g} s after {sweep.warm_up_seconds:g} s of warm-up, "
        f"seed {sweep.seed}",
    ]


def _latencies(level: str, summaries: Sequence[Summary]) -> Table:
    columns = ("asked", "failed", "answers/s", "pairs/s", *PERCENTILES, "max")
    table = _table(level, columns)
    for s in summaries:
        table.add_row(
            _level(s.level),
            f"{s.num_requests:,}",
            f"{s.num_errors:,}",
            _figure(s.requests_per_second),
            _figure(s.pairs_per_second),
            *(_figure(s.latency_ms[name]) for name in PERCENTILES),
            _figure(s.max_ms),
        )
    return table


def _stages(level: str, summaries: Sequence[Summary]) -> Table:
    """A row for each stage that ran at all, a column for each load."""
    table = _table(level, [_level(s.level) for s in summaries])
    table.columns[0].justify = "left"
    for stage in STAGES:
        means = [s.stages_ms[stage] for s in summaries]
        if any(mean is not None for mean in means):
            table.add_row(_NAMES.get(stage, stage), *map(_figure, means))
    table.add_row("all", *(_figure(s.mean_ms) for s in summaries), style="bold")
    return table


def _table(level: str, columns: Iterable[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in (level, *columns):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _level(value: float) -> str:
    """A load as it was asked for, but for digits that rates derived from others have."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _figure(value: float | None) -> str:
    """Three digits: more than a benchmark repeats."""
    if value is None:
        return "n/a"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def _errors(summary: Summary, level: str) -> str:
    counts = ", ".join(f"{status} {count:,}" for status, count in summary.errors.items())
    return f"[red]{_level(summary.level)} {level}, failed: {counts}[/]"


def _known(summary: Summary, level: str) -> str:
    share = summary.cached_share or 0.0
    return (
        f"[yellow]{_level(summary.level)} {level}: {share:.0%} of the pairs had been scored before "
        "and were not computed again. To measure the engine, start the server with "
        "--score-cache-bytes 0, or give more queries.[/]"
    )


def _is_delayed(summary: Summary) -> bool:
    delay, median = summary.stages_ms[SENT_LATE], summary.latency_ms["p50"]
    return delay is not None and median is not None and delay > _NOTABLE_DELAY * median


def _warning(summary: Summary, level: str) -> str:
    return (
        f"[yellow]{_level(summary.level)} {level}: requests were sent "
        f"{_figure(summary.stages_ms[SENT_LATE])} ms late in the mean. The load generator lacks "
        "processor time, and the latencies hold its delay: run it on another machine.[/]"
    )
