"""`make mixed`: small sets while large ones are under way. Prints how long the small ones wait."""

import argparse
import asyncio
import tempfile
from pathlib import Path

from twopass.client import AsyncClient
from twopass.server.local import LocalServer

from .driver import NO_RETRIES, closed_loop, open_loop, passages, percentile, statuses, step_back

SMALL, LARGE = 10, 1_000


async def run(server: LocalServer, *, seconds: float, rate: float) -> None:
    """Measures small sets alone, then beside large ones."""
    large = passages(0, LARGE)
    smalls = [passages(number, SMALL) for number in range(1, 65)]

    async def ask_small(client: AsyncClient, number: int) -> object:
        return await client.rerank(f"question {number}", smalls[number % 64], timeout=60)

    async def ask_large(client: AsyncClient, number: int) -> object:
        return await client.rerank(f"question {number}", large, timeout=600)

    async with AsyncClient(server.target, options=NO_RETRIES) as client:
        await closed_loop(client, ask_small, 1, 1.0)
        alone = await open_loop(client, ask_small, rate, seconds)
        busy = asyncio.create_task(closed_loop(client, ask_large, 2, seconds))
        await asyncio.sleep(0.5)
        beside = await open_loop(client, ask_small, rate, seconds)
        larges = await busy
    times = {
        name: [o.seconds for o in outcomes]
        for name, outcomes in (("alone", alone), ("beside", beside))
    }
    print(f"sets of {SMALL} at {rate:g} a second, alone and beside two sets of {LARGE} under way:")
    for name, waits in times.items():
        figures = "  ".join(f"p{p:g} {percentile(waits, p):.1f} ms" for p in (50, 99, 100))
        print(f"  {name:7} {figures}")
    limit = 3 * percentile(times["alone"], 99) + 40
    print(f"  wanted at p99: at most 3 x alone + 40 = {limit:.0f} ms")
    median = percentile([o.seconds for o in larges], 50)
    print(f"  sets of {LARGE}: {len(larges)}, p50 {median:.0f} ms")
    assert set(statuses([*alone, *beside, *larges])) == {"OK"}


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=3.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, LocalServer(Path(data)) as server:
        step_back()
        asyncio.run(run(server, **vars(options)))


if __name__ == "__main__":
    main()
