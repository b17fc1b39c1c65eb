"""The report for people."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.engines.results import Engine, Figure, Measured, Report
from twopass.benchmarks.engines.roster import REFERENCE, SUBJECT

_LEFT_OUT = (
    "Left out: tokenisation, and padding where an engine does not pad by itself. "
    "Each engine has its own process, stopped while others have their turn."
)


def as_tables(report: Report) -> RenderableType:
    """What it ran on, a table for each workload, who refused and why, ours against the best."""
    parts: list[RenderableType] = list(_header(report))
    for measured in report.measured:
        parts += ["", _title(measured), _table(measured, report)]
    refusals = [e for e in report.engines if e.refusal]
    if refusals:
        parts += ["", "[bold]Not measured[/]", *_refusals(refusals)]
    parts += ["", "[bold]Ours against the best peer of the same rounds[/]", _comparisons(report)]
    return Group(*parts)


def _header(report: Report) -> Iterator[str]:
    yield from (escape(line) for line in report.machine.lines())
    versions = {name: v for e in report.engines for name, v in e.versions.items()}
    yield ", ".join(f"{name} {number}" for name, number in sorted(versions.items()))
    devices = {f"{e.contender.engine} on {e.device}": None for e in report.engines if e.device}
    yield escape("; ".join(devices))
    models = ", ".join(report.models.values())
    yield f"{models}; {report.num_threads} threads; medians of the rounds, least to most"
    yield _LEFT_OUT
    yield f"Differences are the largest of a result to that of {REFERENCE}."


def _title(measured: Measured) -> str:
    num_rounds = max((len(f.rounds) for f in measured.figures), default=0)
    return f"[bold]{measured.name}[/]: {escape(measured.title)}; rounds: {num_rounds}"


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
            _number(figure.median),
            _spread(figure),
            "n/a" if figure.largest_difference is None else f"{figure.largest_difference:.4f}",
            str(ratio) if ratio else "",
            style="bold" if figure.label in ours else None,
        )
    return table


def _refusals(engines: list[Engine]) -> Iterator[str]:
    for engine in engines:
        yield f"{engine.contender.label}, {engine.kind}: {escape(engine.refusal)}"


def _comparisons(report: Report) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for column in ("workload", "order of the peer", "ours", "best peer"):
        table.add_column(column, no_wrap=True)
    table.add_column("ours is, times", justify="right", no_wrap=True)
    for c in report.comparisons():
        table.add_row(c.workload, c.ratio.order, c.ratio.label, c.ratio.against, str(c.ratio))
    return table


def _spread(figure: Figure) -> str:
    return f"{_number(min(figure.rounds))} to {_number(max(figure.rounds))}"


def _number(value: float) -> str:
    """Three digits: more than a benchmark repeats."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}"
