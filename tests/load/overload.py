"""`make overload`: ten times what the server can do. Prints what was answered, refused and late."""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from twopass.client import AsyncClient
from twopass.server.local import LocalServer

from .driver import (
    NO_RETRIES,
    Ask,
    closed_loop,
    open_loop,
    passages,
    percentile,
    print_statuses,
    resident_bytes,
    statuses,
    step_back,
)

CANDIDATES = 20
ALLOWED = {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


async def _capacity(client: AsyncClient, ask: Ask, seconds: float) -> float:
    """Sets a second that are answered in a closed loop of four."""
    return statuses(await closed_loop(client, ask, 4, seconds))["OK"] / seconds


async def run(
    server: LocalServer, log: Path, *, seconds: float, times: float, deadline: float
) -> None:
    """Finds the capacity, exceeds it, and says what became of it."""
    sets = [passages(number, CANDIDATES) for number in range(64)]

    async def ask(client: AsyncClient, number: int) -> object:
        return await client.rerank(f"question {number}", sets[number % 64], timeout=deadline)

    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        await closed_loop(client, ask, 4, 1.0)
        before_it = await _capacity(client, ask, seconds / 2)
        before = resident_bytes(server.pid)
        outcomes = await open_loop(client, ask, max(1.0, times * before_it), seconds)
        middle = resident_bytes(server.pid)
        outcomes += await open_loop(client, ask, max(1.0, times * before_it), seconds)
        after = resident_bytes(server.pid)
        # Again, since a shared machine is not as fast from one minute to the next.
        capacity = (before_it + await _capacity(client, ask, seconds / 2)) / 2
    print(f"capacity: {capacity:.1f} sets of {CANDIDATES} a second, {before_it:.1f} before it all")
    print(f"{times:g} x capacity for {2 * seconds:g} s, deadline {1000 * deadline:g} ms:")
    print_statuses(outcomes, 2 * seconds)
    goodput = statuses(outcomes)["OK"] / (2 * seconds)
    refused = [o for o in outcomes if o.status == "RESOURCE_EXHAUSTED"]
    print(f"goodput: {goodput:.1f} a second, {goodput / capacity:.0%} of capacity (wanted: 90 %)")
    print(
        f"refused within {percentile(refusals(log), 99):.1f} ms at p99 in the server (wanted: 50), "
        f"{percentile([o.seconds for o in refused], 99):.1f} ms here, at low priority"
    )
    print(f"memory: {before >> 20} MiB before, {middle >> 20} in the middle, {after >> 20} after")
    assert set(statuses(outcomes)) <= ALLOWED, statuses(outcomes)
    assert all(o.retry_after is not None and o.retry_after > 0 for o in refused)
    assert after < 1.1 * middle + 32 * 2**20


def refusals(log: Path) -> list[float]:
    """Seconds of each refused call, as the server counted them."""
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    return [
        line["milliseconds"] / 1000 for line in lines if line.get("code") == "RESOURCE_EXHAUSTED"
    ]


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--deadline", type=float, default=0.5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.jsonl"
        with LocalServer(Path(scratch) / "data", log=log) as server:
            step_back()
            asyncio.run(run(server, log, **vars(options)))


if __name__ == "__main__":
    main()
