"""What an entry of the ledger shows of engines and of ways to launch: rows of `shown.json`."""

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path

from twopass.benchmarks.gpu import names
from twopass.benchmarks.gpu.figures import median_of
from twopass.benchmarks.gpu.outcome import Row, rows_of
from twopass.benchmarks.gpu.report import Report
from twopass.benchmarks.gpu.variants import VARIANTS, Variant
from twopass.engines.base.engine import EngineChoice
from twopass.engines.gpu.launch_paths import LaunchPath
from twopass.engines.shown import Ledger, Shown, ShownPath

# What the engines of GPUs promise of a logit, against the same in float32.
_TOLERANCE = 0.02


def shown_by(report: Report, entry: str) -> Ledger:
    """The rows that an entry adds; none of a dry run.

    Args:
        report: The entry.
        entry: Its file's name.
    """
    about = report.about
    if about.is_dry or about.compute_capability is None:
        return Ledger((), ())
    return Ledger(tuple(_engines(report, entry)), tuple(_paths(report, entry)))


def _engines(report: Report, entry: str) -> list[Shown]:
    assert report.about.compute_capability is not None
    mixed = rows_of(report.checks, names.MIXED)
    core = _speed(mixed, names.CORE)
    if core is None:
        return []
    found = []
    for choice in (EngineChoice.TENSORRT, EngineChoice.TORCH):
        speeds = [
            speed
            for row in mixed
            if _name(row).startswith(f"{choice} fp16")
            and (speed := median_of(row.get("pairs/s"))) is not None
        ]
        if speeds:
            found.append(
                Shown(
                    engine=choice,
                    compute_capability=report.about.compute_capability,
                    device=report.about.gpu,
                    # Of the slowest way to launch, which is what is on where nothing is said.
                    pairs_per_second=round(min(speeds)),
                    core_pairs_per_second=round(core),
                    entry=entry,
                )
            )
    return found


def _paths(report: Report, entry: str) -> list[ShownPath]:
    assert report.about.compute_capability is not None
    found = []
    for less, more in itertools.pairwise(VARIANTS):
        figures = [_figures(report, each) for each in (less, more)]
        without, with_it = figures
        if without is None or with_it is None:
            continue
        (path,) = set(more.paths) - set(less.paths)
        found.append(
            ShownPath(
                path=path,
                beside=less.paths,
                compute_capability=report.about.compute_capability,
                device=report.about.gpu,
                is_alike=_is_alike(report, less, more),
                p50_us=round(1000 * with_it[0]),
                p50_us_without=round(1000 * without[0]),
                pairs_per_second=round(with_it[1]),
                pairs_per_second_without=round(without[1]),
                entry=entry,
            )
        )
    return found


def _figures(report: Report, variant: Variant) -> tuple[float, float] | None:
    """Milliseconds of 40 passages, and pairs a second at mixed lengths.

    None where it was not measured, or had given its graphs up, and so was another one.
    """
    has_graphs = LaunchPath.CUDA_GRAPHS in variant.paths
    latency = next(
        (
            median_of(row.get("p50 ms"))
            for row in rows_of(report.checks, names.LATENCY)
            if _name(row) == variant.name
            and row.get("passages") == 40
            and row.get("CUDA graphs", has_graphs) is has_graphs
        ),
        None,
    )
    speed = _speed(rows_of(report.checks, names.MIXED), variant.name)
    return None if latency is None or speed is None else (latency, speed)


def _is_alike(report: Report, less: Variant, more: Variant) -> bool:
    """Whether the results are the model's: its tests passed, and float32 is as near as without.

    A test that fails speaks against the paths that it is of, and those that are added to them.
    Random words lie farther from float32 than the texts that the promise is made of; what launches
    one by one lie apart is then the bound.
    """
    tests = rows_of(report.checks, names.TESTS)
    if not any(row.get("passed") for row in tests if _paths_tested(row) == {*more.paths}):
        return False
    if any(row.get("failed") for row in tests if _paths_tested(row) <= {*more.paths}):
        return False
    apart = {
        _name(row): median_of(row.get("furthest logit"))
        for row in rows_of(report.checks, names.ALIKE)
    }
    own, others = apart.get(more.name), apart.get(less.name)
    if own is None or others is None:
        return False
    return own <= max(_TOLERANCE, others)


def _paths_tested(row: Row) -> frozenset[LaunchPath]:
    return names.paths_of(str(row.get(names.LAUNCH_PATHS, "")))


def _speed(rows: Sequence[Row], engine: str) -> float | None:
    return next((median_of(row.get("pairs/s")) for row in rows if _name(row) == engine), None)


def _name(row: Row) -> str:
    return str(row.get("engine", ""))


def tell(ledger: Ledger, entry: str, file: Path) -> None:
    """Writes an entry's rows into `shown.json`, in place of those it had there."""
    told = json.loads(file.read_text(encoding="utf-8"))
    for kind, rows in (("engines", ledger.engines), ("paths", ledger.paths)):
        others = [row for row in told[kind] if row["entry"] != entry]
        told[kind] = others + [dataclasses.asdict(row) for row in rows]
    file.write_text(written(told), encoding="utf-8")


def written(told: dict[str, list[Row]]) -> str:
    """JSON with a line for each field, lists of numbers on one."""
    lines = []
    for kind, rows in told.items():
        written = [
            "  {\n"
            + ",\n".join(f"   {json.dumps(name)}: {json.dumps(row[name])}" for name in row)
            + "\n  }"
            for row in rows
        ]
        lines.append(
            f" {json.dumps(kind)}: [\n" + ",\n".join(written) + "\n ]"
            if rows
            else f" {json.dumps(kind)}: []"
        )
    return "{\n" + ",\n".join(lines) + "\n}\n"
