"""Runs every check, whatever becomes of the others, and writes `report.json` and `report.md`.

python -m twopass.benchmarks.gpu.ledger --out report [--models PATH] [--dry-run]
"""

import dataclasses
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from twopass.benchmarks.gpu import checks
from twopass.benchmarks.gpu.checks import Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.machine import this_machine
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.cuda_device import find_gpu

Check = Callable[[Scale], list[Row]]
CEILING = "fp16 matmul ceiling"


@dataclass(frozen=True, slots=True)
class Entry:
    """What came of one check.

    Attributes:
        name: What was measured.
        rows: Figures; none where something stood in the way.
        obstacle: What it was, in its own words; empty where there are figures.
        seconds: How long it took.
    """

    name: str
    rows: list[Row]
    obstacle: str
    seconds: float


def checks_of(scale: Scale) -> dict[str, Check]:
    """Every check by its name, in order of worth."""
    found: dict[str, Check] = {
        "TensorRT accepts the GPU": checks.tensorrt_accepts_the_gpu,
        CEILING: checks.matmul_ceiling,
    }
    engines = checks.engines_of(scale)
    for what, check in (
        ("latency", checks.latency_of_requests),
        ("mixed lengths", checks.speed_at_mixed_lengths),
        ("speed by shape", checks.speed_by_shape),
    ):
        found |= {f"{what}: {name}": partial(check, make=make) for name, make in engines.items()}
    found["plain PyTorch"] = checks.plain_pytorch
    for engine in ("tensorrt", "torch", "cpu") if scale.on_gpu else ("cpu",):
        found[f"through gRPC: {engine}"] = partial(checks.through_grpc, engine=engine)
    found["vector search"] = checks.vector_search
    return found


def run_checks(
    named: dict[str, Check], scale: Scale, on_done: Callable[[Entry], None]
) -> list[Entry]:
    """Runs checks one after another; what one raises is its entry, and the next one runs."""
    entries = []
    for name, check in named.items():
        began = time.perf_counter()
        rows, obstacle = [], ""
        try:
            rows = check(scale)
        except Exception as error:  # whatever it is, it is the finding
            obstacle = f"{type(error).__name__}: {error}"
        entries.append(Entry(name, rows, obstacle, round(time.perf_counter() - began, 1)))
        on_done(entries[-1])
    return entries


def with_shares(entries: Sequence[Entry]) -> list[Entry]:
    """Adds to every speed in TFLOP/s what share it is of the measured ceiling."""
    ceilings = [row["TFLOP/s"] for e in entries if e.name == CEILING for row in e.rows]
    if not ceilings:
        return list(entries)

    def shared(row: Row) -> Row:
        return row | {"of ceiling": row["TFLOP/s"] / ceilings[0]} if "TFLOP/s" in row else row

    return [dataclasses.replace(e, rows=[shared(row) for row in e.rows]) for e in entries]


def as_markdown(about: dict[str, Any], entries: Sequence[Entry]) -> str:
    """The report for people: a table for each check, or what stood in its way."""
    lines = ["# GPU report", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    for entry in entries:
        lines += ["", f"## {entry.name}", ""]
        if entry.obstacle:
            lines.append(f"Not measured: {entry.obstacle}")
            continue
        columns = list(dict.fromkeys(column for row in entry.rows for column in row))
        lines.append("| " + " | ".join(columns) + " |")
        lines.append("|" + "---|" * len(columns))
        for row in entry.rows:
            lines.append("| " + " | ".join(_cell(row.get(column)) for column in columns) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
    return str(value).replace("|", "/").replace("\n", " ")


def ledger(
    out: Annotated[Path, typer.Option(help="Folder for report.md and report.json.")],
    models: Annotated[
        Path | None, typer.Option(help="Folder of the models' folders; unset: those shipped.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="A taste of every check on the CPU.")
    ] = False,
) -> None:
    """Measure engines on this machine's GPU and write a report."""
    console = Console(stderr=True)
    logging.basicConfig(level=logging.WARNING)
    scale = Scale.dry(models) if dry_run else Scale(models, on_gpu=True)
    about: dict[str, Any] = {"machine": " · ".join(this_machine().lines())}
    try:
        about["GPU"] = str(find_gpu())
    except EngineUnavailableError as error:
        about["GPU"] = str(error)
    if dry_run:
        about["dry run"] = "on the CPU, sizes cut: no figure means anything"

    def show(entry: Entry) -> None:
        found = entry.obstacle or f"{len(entry.rows)} rows"
        console.print(f"{entry.name}: {found} ({entry.seconds:.1f} s)", markup=False)

    entries = with_shares(run_checks(checks_of(scale), scale, show))
    out.mkdir(parents=True, exist_ok=True)
    plain = {"about": about, "checks": [dataclasses.asdict(entry) for entry in entries]}
    (out / "report.json").write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    (out / "report.md").write_text(as_markdown(about, entries), encoding="utf-8")
    console.print(f"{out / 'report.md'}", markup=False)


if __name__ == "__main__":
    typer.run(ledger)
