"""What came of the calls, by phase and by server."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from .load import Ended


def report(ended: Sequence[Ended], phases: Sequence[str], num_servers: int) -> None:
    """Prints a row for each phase.

    Args:
        ended: All calls.
        phases: Their phases, in order.
        num_servers: Number of servers that searches tell apart.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("phase")
    servers = [f"searches by {chr(ord('A') + i)}" for i in range(num_servers)]
    columns = ("calls", *servers, "without 2nd pass", "p50 ms", "p99 ms", "longest ms", "failed")
    for column in columns:
        table.add_column(column, justify="right")
    for phase in phases:
        calls = [call for call in ended if call.phase == phase]
        by_server = Counter(call.server for call in calls)
        taken = sorted(1e3 * call.seconds for call in calls) or [0.0]
        table.add_row(
            phase,
            f"{len(calls):,}",
            *(f"{by_server[i]:,}" for i in range(num_servers)),
            f"{sum(call.fell_back for call in calls):,}",
            f"{taken[len(taken) // 2]:,.0f}",
            f"{taken[int(0.99 * len(taken))]:,.0f}",
            f"{taken[-1]:,.0f}",
            failures(calls),
        )
    Console(width=200).print(table)


def failures(calls: Sequence[Ended]) -> str:
    """How many calls failed, by status and kind."""
    failed = Counter((call.status, call.kind) for call in calls if call.status != "OK")
    return ", ".join(f"{n} {kind} {status}" for (status, kind), n in failed.items()) or "0"
