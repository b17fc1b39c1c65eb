"""The report for people."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.engines.results import (
    Comparison,
    Engine,
    Figure,
    Measured,
    Report,
    Scaling,
)
from twopass.benchmarks.engines.roster import REFERENCE, SUBJECT

_LEFT_OUT = (
    "Left out: tokenisation, and padding where an engine does not pad by itself. "
    "Each engine has its own process, stopped while others have their turn."
)


def as_tables(report: Report) -> RenderableType:
    """What it ran on, a table for each workload, who refused and why, ours against the best."""
    parts: list[RenderableType] = list(_header(report))
    for measured in report.measured:
        parts += ["", _title(measured, report), _table(measured, report)]
    refusals = [e for e in report.engines if e.refusal]
    if refusals:
        parts += ["", "[bold]Not measured[/]", *_refusals(refusals)]
    if comparisons := report.comparisons():
        title = "[bold]Ours against the best peer of the same rounds[/]"
        parts += ["", title, _comparisons(comparisons)]
    if scalings := report.scalings():
        parts += ["", "[bold]By threads, beside the fewest[/]", _scalings(scalings)]
    return Group(*parts)


def _header(report: Report) -> Iterator[str]:
    yield from (escape(line) for line in report.machine.lines())
    versions = {name: v for e in report.engines for name, v in e.versions.items()}
    yield ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    devices = {f"{e.contender.engine} on {e.device}": None for e in report.engines if e.device}
    yield escape("; ".join(devices))
    threads = ", ".join(map(str, report.thread_counts))
    yield (
        f"{', '.join(report.models)}; {threads} threads on {report.num_cores} cores; "
        "medians of the rounds, least to most"
    )
    yield _LEFT_OUT
    yield f"Differences are the largest of a result to that of {REFERENCE}."


def _title(measured: Measured, report: Report) -> str:
    num_rounds = max((len(f.rounds) for f in measured.figures), default=0)
    name = measured.name
    if len(report.models) > 1:
        name = f"{measured.model}, {name}"
    if len(report.thread_counts) > 1:
        name += f", threads: {measured.num_threads}"
    return f"[bold]{escape(name)}[/]: {escape(measured.title)}; rounds: {num_rounds}"


def _table(measured: Measured, report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    table.add_column("engine", no_wrap=True)
    table.add_column("order", no_wrap=True)
    for column in (measured.unit, "spread", "difference", f"{SUBJECT} is, times"):
        table.add_column(column, justify="right", no_wrap=True)
    ours = {e.contender.label for e in report.engines if e.contender.is_ours}
    for figure in measured.figures:
        ratio = measured.ratio(SUBJECT, figure)
        table.add_row(
            figure.label,
            figure.order,
            in_three_digits(figure.median),
            _spread(figure),
            "n/a" if figure.largest_difference is None else f"{figure.largest_difference:.4f}",
            str(ratio) if ratio else "",
            style="bold" if figure.label in ours else None,
        )
    return table


def _refusals(engines: list[Engine]) -> Iterator[str]:
    models: dict[tuple[str, str], dict[str, None]] = {}
    for engine in engines:
        models.setdefault((engine.contender.label, engine.refusal), {})[engine.model] = None
    for (label, refusal), names in models.items():
        yield escape(f"{label}, {', '.join(names)}: {refusal}")


def _comparisons(comparisons: list[Comparison]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in ("model", "workload"):
        table.add_column(column, no_wrap=True)
    table.add_column("threads", justify="right", no_wrap=True)
    for column in ("order of the peer", "ours", "best peer"):
        table.add_column(column, no_wrap=True)
    table.add_column("ours is, times", justify="right", no_wrap=True)
    for c in comparisons:
        table.add_row(
            c.model,
            c.workload,
            str(c.num_threads),
            c.ratio.order,
            c.ratio.label,
            c.ratio.against,
            str(c.ratio),
        )
    return table


def _scalings(scalings: list[Scaling]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in ("model", "workload", "engine", "order"):
        table.add_column(column, no_wrap=True)
    for column in ("threads", "speed", "unit", "times", "efficiency"):
        table.add_column(column, justify="right", no_wrap=True)
    for s in scalings:
        table.add_row(
            s.model,
            s.workload,
            s.label,
            s.order,
            str(s.num_threads),
            in_three_digits(s.median),
            s.unit,
            f"{s.times:.2f}",
            f"{s.efficiency:.0%}",
        )
    return table


def _spread(figure: Figure) -> str:
    return f"{in_three_digits(min(figure.rounds))} to {in_three_digits(max(figure.rounds))}"


def in_three_digits(value: float) -> str:
    """Three digits: more than a benchmark repeats."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}"
