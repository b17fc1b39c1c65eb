"""What a ledger of measurements shows of engines, by kind of GPU; defaults follow from it.

`shown.json` beside this file has the rows. `python -m twopass.benchmarks.gpu.entry` writes them,
from entries of the ledger that are committed, `benchmarks/results/gpu-*.json`. Where no row is,
nobody has seen the engine, or the way to launch it, compute on such a GPU.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from twopass.engines.base.engine import EngineChoice
from twopass.engines.gpu.launch_paths import LaunchPath, told

SHOWN_FILE = Path(__file__).with_name("shown.json")

# Two measurements of one engine in one run differ by as much.
_NOISE = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What one entry of the ledger shows of an engine.

    Attributes:
        engine: The engine.
        compute_capability: Of the GPU: a kind of GPU is a compute capability.
        device: The GPU's name.
        pairs_per_second: Of the engine, at mixed lengths.
        core_pairs_per_second: Of the CPU core in the same run.
        entry: The file of the entry, below `benchmarks/results`.
    """

    engine: EngineChoice
    compute_capability: tuple[int, int]
    device: str
    pairs_per_second: int
    core_pairs_per_second: int
    entry: str

    @property
    def is_faster(self) -> bool:
        """Whether the engine is to be preferred to the CPU core."""
        return self.pairs_per_second > self.core_pairs_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPath:
    """What one entry of the ledger shows of a way to launch, against the same run without it.

    Attributes:
        path: What one of both engines did.
        beside: What both did.
        compute_capability: Of the GPU.
        device: The GPU's name.
        is_alike: Whether its results were those of the model, and the tests on the GPU passed.
        p50_us: Median time of 40 passages of 128 tokens in process, microseconds.
        p50_us_without: The same without the path.
        pairs_per_second: At mixed lengths.
        pairs_per_second_without: The same without the path.
        entry: The file of the entry, below `benchmarks/results`.
    """

    path: LaunchPath
    beside: tuple[LaunchPath, ...]
    compute_capability: tuple[int, int]
    device: str
    is_alike: bool
    p50_us: int
    p50_us_without: int
    pairs_per_second: int
    pairs_per_second_without: int
    entry: str

    @property
    def is_better(self) -> bool:
        """Whether it is to be on: equal results, and faster at one end without a loss at the other.

        One end are requests one after another, the other is all the engine can do. A loss within
        what two measurements differ by is none.
        """
        latency = self.p50_us / self.p50_us_without
        speed = self.pairs_per_second / self.pairs_per_second_without
        no_loss = latency <= 1 + _NOISE and speed >= 1 - _NOISE
        return self.is_alike and no_loss and (latency < 1 - _NOISE or speed > 1 + _NOISE)


@dataclass(frozen=True, slots=True)
class Ledger:
    """All that is shown.

    Attributes:
        engines: Of engines against the CPU core.
        paths: Of ways to launch against none.
    """

    engines: tuple[Shown, ...]
    paths: tuple[ShownPath, ...]


@cache
def read_ledger(file: Path = SHOWN_FILE) -> Ledger:
    """Reads the rows, once."""
    told = json.loads(file.read_text(encoding="utf-8"))
    engines = [
        {**row, "engine": EngineChoice(row["engine"]), "compute_capability": _pair(row)}
        for row in told["engines"]
    ]
    paths = [
        {
            **row,
            "path": LaunchPath(row["path"]),
            "beside": tuple(map(LaunchPath, row["beside"])),
            "compute_capability": _pair(row),
        }
        for row in told["paths"]
    ]
    return Ledger(tuple(Shown(**row) for row in engines), tuple(ShownPath(**row) for row in paths))


def _pair(row: dict[str, list[int]]) -> tuple[int, int]:
    major, minor = row["compute_capability"]
    return major, minor


def faster_engines(
    compute_capability: tuple[int, int], shown: Iterable[Shown] | None = None
) -> list[EngineChoice]:
    """The engines that are faster than the CPU core on a kind of GPU, the fastest first.

    Args:
        compute_capability: Of the GPU.
        shown: Rows of a ledger; None for those of `shown.json`.
    """
    shown = read_ledger().engines if shown is None else shown
    rows = [row for row in shown if row.compute_capability == compute_capability and row.is_faster]
    rows.sort(key=lambda row: row.pairs_per_second, reverse=True)
    return list(dict.fromkeys(row.engine for row in rows))


def paths_by_default(
    compute_capability: tuple[int, int], shown: Iterable[ShownPath] | None = None
) -> frozenset[LaunchPath]:
    """The ways to launch that are on where nobody has said, on a kind of GPU.

    One is on where an entry shows it better beside exactly those before it that are on. Where a
    later entry shows it worse on the same kind of GPU, it is off: what is not so on every such GPU
    is left to those who measure theirs.

    Args:
        compute_capability: Of the GPU.
        shown: Rows of a ledger; None for those of `shown.json`.
    """
    shown = read_ledger().paths if shown is None else shown
    rows = [row for row in shown if row.compute_capability == compute_capability]
    found: set[LaunchPath] = set()
    for path in LaunchPath:
        seen = [row.is_better for row in rows if row.path is path and {*row.beside} == found]
        if seen and all(seen):
            found.add(path)
    return frozenset(found)


def paths_on(compute_capability: tuple[int, int]) -> frozenset[LaunchPath]:
    """The ways to launch that are on: what variables say, and by default where they say nothing.

    Raises:
        ModelError: A variable is neither 0 nor 1.
    """
    by_default = paths_by_default(compute_capability)
    said = {path: told(path) for path in LaunchPath}
    return frozenset(p for p in LaunchPath if (p in by_default if said[p] is None else said[p]))
