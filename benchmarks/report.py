"""A latency report for people and for scripts."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.latency import Report
from twopass.benchmarks.summary import PERCENTILES, SENT_LATE, STAGES, Summary
from twopass.client import Model

_CLOSED_LOOP = "Closed loop: so many requests under way, the next sent when one is answered"
_OPEN_LOOP = "Open loop: so many requests a second, at random; latency from the intended start"
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
            parts += ["", _latencies(title, level, summaries)]
            parts += [_errors(s, level) for s in summaries if s.errors]
            parts += ["", _stages(level, summaries)]
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


def _latencies(title: str, level: str, summaries: Sequence[Summary]) -> Table:
    columns = ("asked", "failed", "answers/s", "pairs/s", *PERCENTILES, "max")
    table = _table(title, level, columns)
    for s in summaries:
        table.add_row(
            f"{s.level:.3g}",
            f"{s.num_requests:,}",
            f"{s.num_errors:,}",
            _figure(s.requests_per_second),
            _figure(s.pairs_per_second),
            *(_figure(s.latency_ms[name]) for name in PERCENTILES),
            _figure(s.max_ms),
        )
    table.caption = "milliseconds; n/a: too few requests for that percentile"
    return table


def _stages(level: str, summaries: Sequence[Summary]) -> Table:
    """Means of the stages that ran at all."""
    ran = [stage for stage in STAGES if any(s.stages_ms[stage] is not None for s in summaries)]
    names = [stage.replace("_and_", "+").replace("_", " ") for stage in ran]
    table = _table("Where the time went", level, (*names, "mean"))
    for s in summaries:
        stages = (_figure(s.stages_ms[stage]) for stage in ran)
        table.add_row(f"{s.level:.3g}", *stages, _figure(s.mean_ms))
    table.caption = (
        "mean milliseconds; embed and rerank are inference, retrieve and load search the index"
    )
    return table


def _table(title: str, level: str, columns: Iterable[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        caption_justify="left",
        box=None,
        header_style="bold",
        pad_edge=False,
        collapse_padding=True,
    )
    for column in (level, *columns):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _figure(value: float | None) -> str:
    """Three digits: more than a benchmark repeats."""
    if value is None:
        return "n/a"
    decimals = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{decimals}f}"


def _errors(summary: Summary, level: str) -> str:
    counts = ", ".join(f"{status} {count:,}" for status, count in summary.errors.items())
    return f"[red]{summary.level:.3g} {level}, failed: {counts}[/]"


def _is_delayed(summary: Summary) -> bool:
    delay, median = summary.stages_ms[SENT_LATE], summary.latency_ms["p50"]
    return delay is not None and median is not None and delay > _NOTABLE_DELAY * median


def _warning(summary: Summary, level: str) -> str:
    return (
        f"[yellow]{summary.level:.3g} {level}: requests were sent "
        f"{_figure(summary.stages_ms[SENT_LATE])} ms late in the mean. The load generator lacks "
        "processor time, and the latencies hold its delay: run it on another machine.[/]"
    )
