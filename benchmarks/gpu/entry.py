"""Makes an entry of the ledger of a report, and says what it shows to `auto` and to defaults.

python -m twopass.benchmarks.gpu.entry REPORT [--name gpu-l4] [--commit abcdef0]

The entry goes to `benchmarks/results/NAME.json` of the tree it is started in, its rows to
`engines/shown.json`; both are to be committed together.
"""

import dataclasses
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from twopass.benchmarks.gpu.figures import Figure
from twopass.benchmarks.gpu.goals import judge
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.report import (
    FORMAT,
    Report,
    ReportError,
    as_json,
    goals_table,
    read_report,
)
from twopass.benchmarks.gpu.shown_by import shown_by, tell
from twopass.engines.shown import Ledger, paths_by_default

RESULTS, SHOWN = Path("benchmarks/results"), Path("engines/shown.json")
_NAME = re.compile(r"gpu-[a-z0-9][a-z0-9.-]*")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def faults(report: Report) -> Iterator[str]:
    """What keeps a report from being an entry, one sentence each."""
    about = report.about
    if report.format != FORMAT:
        yield f"format: {report.format} given, it is {FORMAT}"
    if about.is_dry:
        yield "is_dry: a dry run's figures mean nothing"
    if not about.gpu or about.compute_capability is None:
        yield "gpu: no card is named"
    if not about.driver:
        yield "driver: not told"
    if not _COMMIT.fullmatch(about.commit):
        yield f"commit: {about.commit or 'none'} given; it is that of a tree without changes"
    for name in ("python", "torch"):
        if not about.versions.get(name):
            yield f"versions: {name} is missing"
    if not any(each.rows for each in report.checks):
        yield "checks: none has a figure"
    seen: set[str] = set()
    for each in report.checks:
        if each.name in seen:
            yield f"{each.name}: twice"
        seen.add(each.name)
        yield from _faults_of(each)


def _faults_of(outcome: Outcome) -> Iterator[str]:
    name = outcome.name
    if not outcome.rows and not outcome.obstacle:
        yield f"{name}: neither figures nor what stood in their way"
    if outcome.seconds < 0:
        yield f"{name}: took {outcome.seconds} s"
    for row in outcome.rows:
        for column, value in row.items():
            yield from (f"{name}, {column}: {words}" for words in _faults_of_cell(value))
        low, high = (Figure.read(row.get(column)) for column in ("p50 ms", "p99 ms"))
        if low and high and low.median > high.median:
            yield f"{name}: p50 above p99"


def _faults_of_cell(value: Any) -> Iterator[str]:
    figure = Figure.read(value)
    if figure is None:
        if not (value is None or isinstance(value, str | bool)):
            yield f"{value!r} is no cell"
        return
    numbers = (figure.least, figure.median, figure.most)
    if not all(map(math.isfinite, numbers)):
        yield "not finite"
    elif not figure.least <= figure.median <= figure.most:
        yield "the median is not between the least and the most"
    if figure.turns < 1:
        yield "measured in no turn"


def entry_of(report: Report, *, commit: str | None = None) -> Report:
    """The entry of a report: its goals judged anew, a commit filled in where it had none.

    Raises:
        ReportError: It is no entry; says everything that keeps it from being one.
    """
    about = report.about
    if commit is not None:
        if about.commit and about.commit != commit:
            raise ReportError(f"--commit: {commit} given, the report says {about.commit}")
        about = dataclasses.replace(about, commit=commit)
    entry = dataclasses.replace(report, about=about, goals=judge(report.checks))
    found = list(faults(entry))
    if found:
        raise ReportError("no entry of the ledger:\n" + "\n".join(f"  {each}" for each in found))
    return entry


def name_of(report: Report) -> str:
    """A name made of the card's, such as gpu-nvidia-l4-2026-11-28."""
    words = re.sub(r"[^a-z0-9]+", "-", report.about.gpu.lower()).strip("-")
    return f"gpu-{words}-{report.about.date}"


def main(
    report: Annotated[Path, typer.Argument(help="report.json of a run.")],
    name: Annotated[
        str | None, typer.Option(help="Of the entry, gpu-…; unset: the card's and the date.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option(help="Of the tree that ran, where the report has none.")
    ] = None,
) -> None:
    """Check a report, keep it as an entry of the ledger, and tell engines/shown.json."""
    if not (RESULTS.is_dir() and SHOWN.is_file()):
        raise typer.BadParameter("start it in the root of the tree", param_hint="the folder")
    try:
        entry = entry_of(read_report(report), commit=commit)
    except ReportError as error:
        typer.echo(error, err=True)
        raise typer.Exit(1) from error
    name = name or name_of(entry)
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{name}: it begins with gpu-, in lower case", param_hint="--name")
    file = RESULTS / f"{name}.json"
    file.write_text(as_json(entry), encoding="utf-8")
    rows = shown_by(entry, file.name)
    tell(rows, file.name, SHOWN)
    typer.echo("\n".join((*goals_table(entry.goals), "", *_told(rows), f"{file} and {SHOWN}")))


def _told(rows: Ledger) -> Iterator[str]:
    for each in rows.engines:
        verdict = "faster" if each.is_faster else "not faster"
        yield (
            f"engine {each.engine}: {verdict} than the engine cpu "
            f"({each.pairs_per_second:,} and {each.core_pairs_per_second:,} pairs/s)"
        )
    for path in rows.paths:
        verdict = "better" if path.is_better else "not better"
        alike = "results alike" if path.is_alike else "results NOT shown alike"
        yield (
            f"{path.path}: {verdict}; {alike}, 40 passages {path.p50_us_without:,} -> "
            f"{path.p50_us:,} us, mixed lengths {path.pairs_per_second_without:,} -> "
            f"{path.pairs_per_second:,} pairs/s"
        )
    for kind in {each.compute_capability for each in rows.paths}:
        on = ", ".join(sorted(paths_by_default(kind, rows.paths))) or "none"
        yield "on by default where nothing else is shown on {}.{}: {}".format(*kind, on)


if __name__ == "__main__":
    typer.run(main)
