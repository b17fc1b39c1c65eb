"""What was measured, the bounds it is held to, and tables of it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from .probe import Latencies

_MIB = 2**20
# A plain search may take this much longer beside a neighbour than alone.
_QUIET_TIMES, _ADDED_MS = 3, 50
# Allocators keep some of what was used; what is kept for callers that are gone grows with them.
_KEPT_SHARE, _KEPT_BYTES = 0.10, 32 * _MIB
# What may still be done for callers that are gone: in a lane, which tells it exactly, and by the
# whole process, whose threads are looked at from outside and do other things too.
_OVERRUN_MS, _BUSY_SECONDS = 50.0, 1.0
_LOOP_MS = 1.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the server's process in RAM, in bytes: before, at most beside, and afterwards."""

    before: int
    peak: int
    after: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a neighbour did to the server.

    Attributes:
        name: The neighbour's.
        quiet: Searches alone, directly before.
        beside: Searches beside the neighbour.
        memory: Of the server.
        busy_seconds: How long the server went on working when all callers were gone.
        overrun_ms: Longest time that a lane of the server worked on for a caller that was gone, if
            it is longer than with the neighbours before; None where the server does not tell.
        loop_ms: Processor time that one message of an unknown caller takes of the event loop; None
            where there were none.
        num_tracebacks: In the server's log.
        ended: How many of the neighbour's calls ended how.
        allowed: How they may end.
        leaves_work: Whether the server had reason to go on working.
    """

    name: str
    quiet: Latencies
    beside: Latencies
    memory: Memory
    busy_seconds: float
    overrun_ms: float | None
    loop_ms: float | None
    num_tracebacks: int
    ended: Mapping[str, int]
    allowed: Sequence[str]
    leaves_work: bool

    @property
    def bound_ms(self) -> float:
        """What the p99 beside the neighbour must not exceed."""
        return _QUIET_TIMES * self.quiet.p99 + _ADDED_MS

    def faults(self) -> list[str]:
        """What went wrong, however busy the machine was, each as a sentence."""
        num_failed = self.quiet.num_failed + self.beside.num_failed
        unexpected = sorted(set(self.ended) - set(self.allowed))
        found = {
            f"{num_failed} searches failed": num_failed > 0,
            f"{self.num_tracebacks} tracebacks in the log": self.num_tracebacks > 0,
            f"calls ended with {', '.join(unexpected)}": bool(unexpected),
        }
        return self._sentences(found)

    def broken_bounds(self) -> list[str]:
        """Which figures are beyond their bounds, each as a sentence."""
        memory = self.memory
        found = {
            f"p99 {self.beside.p99:.1f} ms, at most {self.bound_ms:.1f}": (
                self.beside.p99 > self.bound_ms
            ),
            f"memory {memory.after / _MIB:,.0f} MiB afterwards, {memory.before / _MIB:,.0f} "
            "before": (memory.after > most_kept(memory.before)),
            f"busy for {self.busy_seconds:.1f} s when all callers were gone": (
                not self.leaves_work and self.busy_seconds > _BUSY_SECONDS
            ),
            f"a lane went on for {self.overrun_ms or 0:.0f} ms": (
                self.overrun_ms is not None and self.overrun_ms > _OVERRUN_MS
            ),
            f"{self.loop_ms or 0:.1f} ms of the event loop a message": (
                self.loop_ms is not None and self.loop_ms > _LOOP_MS
            ),
        }
        return self._sentences(found)

    def _sentences(self, found: Mapping[str, bool]) -> list[str]:
        return [f"{self.name}: {sentence}" for sentence, is_so in found.items() if is_so]


def most_kept(before: int) -> int:
    """Bytes that a server may have in RAM when all is over that it had `before` of."""
    return int((1 + _KEPT_SHARE) * before) + _KEPT_BYTES


def save(path: Path, results: Sequence[Result], about: Mapping[str, Any]) -> None:
    """Writes results, and what they were measured on, as JSON."""
    content = {**about, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Result]:
    """Reads what `save` wrote, by the neighbours' names."""
    content = json.loads(path.read_text(encoding="utf-8"))
    results = []
    for fields in content["results"]:
        for side in ("quiet", "beside"):
            fields[side] = Latencies(**fields[side])
        fields["memory"] = Memory(**fields["memory"])
        results.append(Result(**fields))
    return {result.name: result for result in results}


def searches_table(results: Sequence[Result], against: Mapping[str, Result]) -> Table:
    """Latencies of searches, with those of an earlier run where there is one."""
    columns = ["quiet p50 ms", "quiet p99 ms", "p50 ms", "p99 ms", "bound ms", "slowest ms"]
    if against:
        columns += ["p99 ms then", "slowest ms then"]
    table = _table("beside", columns)
    for result in results:
        quiet, beside = result.quiet, result.beside
        cells: list[float | None] = [
            quiet.p50,
            quiet.p99,
            beside.p50,
            beside.p99,
            result.bound_ms,
            beside.slowest,
        ]
        if against:
            then = against.get(result.name)
            cells += [then.beside.p99, then.beside.slowest] if then else [None, None]
        table.add_row(result.name, *map(_number, cells))
    return table


def server_table(results: Sequence[Result], against: Mapping[str, Result]) -> Table:
    """What became of the server, with what became of an earlier one where there is one."""
    columns = ["before MiB", "peak MiB", "after MiB", "busy after s", "overrun ms", "tracebacks"]
    if against:
        columns += ["grew MiB", "grew MiB then", "busy after s then", "tracebacks then"]
    table = _table("beside", columns)
    for result in results:
        memory = result.memory
        cells: list[str] = [
            *(f"{size / _MIB:,.0f}" for size in (memory.before, memory.peak, memory.after)),
            f"{result.busy_seconds:.1f}",
            _number(result.overrun_ms),
            str(result.num_tracebacks),
        ]
        if against:
            cells += [_growth(result), *_then(against.get(result.name))]
        table.add_row(result.name, *cells)
    return table


def endings(results: Sequence[Result]) -> list[str]:
    """How the neighbours' calls ended, and what a message of an unknown caller cost."""
    lines = []
    for result in results:
        counts = ", ".join(f"{count:,} {status}" for status, count in sorted(result.ended.items()))
        lines.append(f"{result.name}: {counts or 'no calls'}")
        if result.loop_ms is not None:
            lines.append(
                f"{result.name}: {result.loop_ms:.2f} ms of the event loop for a message of 64 MiB"
            )
    return lines


def _then(result: Result | None) -> list[str]:
    if result is None:
        return ["", "", ""]
    return [_growth(result), f"{result.busy_seconds:.1f}", str(result.num_tracebacks)]


def _growth(result: Result) -> str:
    return f"{(result.memory.peak - result.memory.before) / _MIB:,.0f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.1f}"


def _table(first: str, columns: Sequence[str]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table
