"""Measures a GPU within a time, writes what it finds after each check, and ends with the goals.

python -m twopass.benchmarks.gpu.ledger --out report [--minutes 9] [--dry-run]
"""

import dataclasses
import logging
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from twopass.benchmarks.gpu import catalogue
from twopass.benchmarks.gpu.catalogue import Check
from twopass.benchmarks.gpu.describing import describe
from twopass.benchmarks.gpu.figures import median_of
from twopass.benchmarks.gpu.goals import judge
from twopass.benchmarks.gpu.names import CEILING, TESTS
from twopass.benchmarks.gpu.outcome import Outcome, Row, rows_of
from twopass.benchmarks.gpu.report import About, Report, goals_table, write_report
from twopass.benchmarks.gpu.running import Running
from twopass.benchmarks.gpu.scale import Scale

# Kept of the time for the last report.
_TO_WRITE_SECONDS = 3.0


def with_shares(outcomes: list[Outcome]) -> list[Outcome]:
    """Adds to every speed in TFLOP/s what share it is of the measured ceiling."""
    ceilings = [median_of(row.get("TFLOP/s")) for row in rows_of(outcomes, CEILING)]
    if not ceilings or not ceilings[0]:
        return outcomes
    ceiling = ceilings[0]

    def shared(row: Row) -> Row:
        speed = median_of(row.get("TFLOP/s"))
        return row if speed is None else row | {"of ceiling": speed / ceiling}

    return [dataclasses.replace(e, rows=[shared(row) for row in e.rows]) for e in outcomes]


class Writing:
    """The report of a run, written anew after every check.

    Attributes:
        outcomes: Of the checks so far.
    """

    def __init__(self, out: Path, about: About, began: float) -> None:
        """Writes nothing yet.

        Args:
            out: Folder of the report.
            about: What is measured on.
            began: When the run did, seconds of `time.monotonic`.
        """
        self.outcomes: list[Outcome] = []
        self._out = out
        self._about = about
        self._began = began

    def add(self, outcome: Outcome) -> None:
        """Writes both files with one more outcome."""
        self.outcomes.append(outcome)
        self.write()

    def write(self) -> Report:
        """Writes both files; returns what they say."""
        about = dataclasses.replace(self._about, seconds=round(time.monotonic() - self._began, 1))
        checks = tuple(with_shares(self.outcomes))
        goals = judge(checks, is_dry=about.is_dry)
        report = Report(about=about, checks=checks, goals=goals)
        write_report(report, self._out)
        return report


def ledger(
    out: Annotated[Path, typer.Option(help="Folder for report.md, report.json and logs.")],
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="How long it may take; checks that do not fit are left out, those of least worth "
            "first. Unset: as long as they all take.",
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of the models' folders; unset: those shipped.")
    ] = None,
    root: Annotated[
        Path | None, typer.Option(help="The tree, whose tests of GPUs are run; unset: none are.")
    ] = None,
    faiss_gpu: Annotated[
        Path | None,
        typer.Option(help="Folder with the package faiss-gpu, apart; unset: what is installed."),
    ] = None,
    commit: Annotated[
        str, typer.Option(help="Of the tree, where it has no git; unset: git's.")
    ] = "",
    only: Annotated[
        list[str] | None, typer.Option(help="Checks to run, by how their names begin; unset: all.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="A taste of every check on the CPU.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Tell the checks and their times, and measure nothing.")
    ] = False,
) -> None:
    """Measure engines on this machine's GPU, write a report, and tell which goals are met."""
    began = time.monotonic()
    console = Console(stderr=True, soft_wrap=True)
    logging.basicConfig(level=logging.WARNING)
    out.mkdir(parents=True, exist_ok=True)
    logs = out.resolve() / "logs"
    logs.mkdir(exist_ok=True)
    scale = dataclasses.replace(
        Scale.dry() if dry_run else Scale(None, on_gpu=True),
        models=models and models.resolve(),
        root=root and root.resolve(),
        logs=logs,
        faiss_gpu=faiss_gpu and faiss_gpu.resolve(),
    )
    checks = _chosen(catalogue.checks_of(scale), only or [])
    if plan:
        console.print(_plan(checks, scale))
        return
    writing = Writing(out, describe(scale, minutes=minutes, commit=commit), began)
    writing.write()

    def done(outcome: Outcome) -> None:
        writing.add(outcome)
        rows = f"{len(outcome.rows)} rows" if outcome.rows else ""
        found = "; ".join(filter(None, (rows, outcome.obstacle)))
        at = time.monotonic() - began
        line = f"{at:6.1f} s  {outcome.name}: {found} ({outcome.seconds:.1f} s)"
        console.print(line, markup=False, highlight=False)

    end = None if minutes is None else began + 60 * minutes - _TO_WRITE_SECONDS
    Running(scale, end=end, on_done=done).run(checks)
    report = writing.write()
    for line in ("", *goals_table(report.goals), "", str(out / "report.md")):
        console.print(line, markup=False, highlight=False)
    if any(row.get("failed") for row in rows_of(report.checks, TESTS)):
        raise typer.Exit(1)


def _chosen(checks: list[Check], beginnings: list[str]) -> list[Check]:
    chosen = [each for each in checks if not beginnings or each.name.startswith((*beginnings,))]
    if not chosen:
        names = ", ".join(each.name for each in checks)
        raise typer.BadParameter(f"no check's name begins so; there are {names}")
    return chosen


def _plan(checks: list[Check], scale: Scale) -> Table:
    table = Table("check", "about s", "in all", title="Checks, the most worth first")
    spent = 0.0
    for each in checks:
        spent += each.expected(scale)
        table.add_row(escape(each.name), f"{each.expected(scale):.0f}", f"{spent:.0f}")
    return table


if __name__ == "__main__":
    typer.run(ledger)
