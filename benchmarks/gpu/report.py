"""What a run has found so far, as `report.json` for programs and `report.md` for people."""

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from twopass.benchmarks.gpu.figures import Figure
from twopass.benchmarks.gpu.goals import Judged
from twopass.benchmarks.gpu.outcome import Outcome, Row

FORMAT = 2
"""Of `report.json`; reports without one are of no use any more."""


class ReportError(Exception):
    """A file is no report, or not one that can be told further; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What was measured on, and how.

    Attributes:
        date: Of the beginning, UTC, as 2026-11-28.
        commit: Of the tree, marked where files differ from it; "" where nobody knows.
        gpu: Its name; "" on a CPU.
        compute_capability: Such as (9, 0); None on a CPU.
        driver: NVIDIA's driver, its version; "" where it is not told.
        cuda: The newest CUDA that the driver runs; "" where it is not told.
        cpu: The processor's name.
        num_cores: Processors that the run could use.
        flags: Instruction sets of the processor.
        versions: Of Python and packages.
        minutes: How long the run was allowed to take; None without a bound.
        seconds: How long it has taken.
        turns: Measurements of each figure.
        is_dry: Whether it was a run on a CPU that is after the path, not the figures.
        remarks: What else a reader has to know.
    """

    date: str
    commit: str
    gpu: str
    compute_capability: tuple[int, int] | None
    driver: str
    cuda: str
    cpu: str
    num_cores: int
    flags: tuple[str, ...]
    versions: dict[str, str]
    minutes: float | None
    seconds: float
    turns: int
    is_dry: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run.

    Attributes:
        format: `FORMAT`.
        about: What was measured on.
        checks: In the order in which they ran; those left out stand last.
        goals: What was wanted, and what is.
    """

    about: About
    checks: tuple[Outcome, ...]
    goals: tuple[Judged, ...] = ()
    format: int = FORMAT

    def outcome(self, name: str) -> Outcome | None:
        """What came of a check; None where it is not in the report."""
        return next((each for each in self.checks if each.name == name), None)


def read_report(file: Path) -> Report:
    """Reads `report.json`, or an entry of the ledger.

    Raises:
        ReportError: It is none; says where it differs.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReportError(f"{file}: no report of the GPU ledger: {error}") from error


def write_report(report: Report, folder: Path) -> None:
    """Writes both files; a run that is killed meanwhile leaves the ones before."""
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "report.json", as_json(report))
    _replace(folder / "report.md", as_markdown(report))


def as_json(report: Report) -> str:
    """The report for programs. A number that JSON has no word for is one, such as "nan"."""
    plain = _without_odd_numbers(dataclasses.asdict(report))
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _without_odd_numbers(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _without_odd_numbers(cell) for name, cell in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd_numbers(each) for each in value]
    return value


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def as_markdown(report: Report) -> str:
    """The report for people: a table of each check or what stood in its way, the goals last."""
    lines = ["# GPU report", ""]
    lines += [f"- {name}: {value}" for name, value in _described(report.about)]
    for each in report.checks:
        lines += ["", f"## {each.name}", ""]
        if each.obstacle:
            lines.append(f"{'Not all' if each.rows else 'Not measured'}: {each.obstacle}")
        if each.rows:
            lines += ["", *_table(each.rows)] if each.obstacle else _table(each.rows)
        lines += [line for note in each.notes for line in ("", f"Warned of: {_words(note)}")]
        if each.seconds:
            lines += ["", f"{each.seconds:.1f} s."]
    lines += ["", "## Goals", "", *goals_table(report.goals)]
    return "\n".join(lines) + "\n"


def goals_table(goals: Sequence[Judged]) -> list[str]:
    """The table goal / measured / met."""
    lines = ["| goal | wanted | measured | met |", "|---|---|---|---|"]
    for each in goals:
        met = {True: "yes", False: "no", None: "not measured"}[each.is_met]
        cells = (each.goal, each.wanted, each.measured, met)
        lines.append("| " + " | ".join(map(_words, cells)) + " |")
    return lines


def _described(about: About) -> list[tuple[str, str]]:
    gpu = about.gpu or "none: on a CPU"
    if about.compute_capability is not None:
        gpu += ", compute capability {}.{}".format(*about.compute_capability)
    software = [f"{name} {number}" for name, number in about.versions.items() if number]
    bound = "" if about.minutes is None else f" of {about.minutes:g} minutes"
    lines = [
        ("GPU", gpu),
        ("driver", ", CUDA ".join(filter(None, (about.driver, about.cuda)))),
        ("machine", f"{about.cpu}, {about.num_cores} cores, {' '.join(about.flags)}"),
        ("software", ", ".join(software)),
        ("commit", about.commit or "unknown"),
        ("date", f"{about.date}, {about.seconds:.0f} s{bound}"),
        ("figures", f"median of {about.turns} (least to most)"),
    ]
    lines += [("remark", words) for words in about.remarks]
    return [(name, value) for name, value in lines if value]


def _table(rows: Sequence[Row]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    return lines + ["| " + " | ".join(each) + " |" for each in cells]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    figure = None if isinstance(value, int) else Figure.read(value)
    if figure is None:
        return _words(value)
    if figure.turns == 1:
        return _number(figure.median)
    return f"{_number(figure.median)} ({_number(figure.least)} to {_number(figure.most)})"


def _words(value: Any) -> str:
    return str(value).replace("|", "/").replace("\n", " ")


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"
