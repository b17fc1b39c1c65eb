"""`make mixed`: small sets while large ones are under way. Prints how long the small ones wait.

Over HTTP by `make mixed LOAD='--over http'`.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable
from pathlib import Path

from twopass.server.local import COMPUTES_ALL, LocalServer

from .driver import (
    Outcome,
    kept_under_way,
    passages,
    percentile,
    sent_at_random,
    statuses,
    step_back,
)
from .fronts import Answered, Front, add_front

SMALL, LARGE = 10, 1_000
_PATIENCE = 600.0


async def run(server: LocalServer, *, front: Front, seconds: float, rate: float) -> None:
    """Measures small sets alone, then beside large ones."""
    texts = passages(0, LARGE)
    smalls = [front.message(f"question {n}", passages(n, SMALL)) for n in range(1, 65)]
    large = [front.message(f"question {n}", texts) for n in range(8)]
    line = await front.connect(server, _PATIENCE, large=True)

    def ask_small(number: int) -> Awaitable[Answered]:
        return line.call(smalls[number % len(smalls)])

    def ask_large(number: int) -> Awaitable[Answered]:
        return line.call(large[number % len(large)])

    def outcomes(answers: list[Answered]) -> list[Outcome]:
        return [answer.outcome(_PATIENCE) for answer in answers]

    await kept_under_way(ask_small, 1, 1.0)
    alone = outcomes(await sent_at_random(ask_small, rate, seconds))
    busy = asyncio.create_task(kept_under_way(ask_large, 2, seconds))
    await asyncio.sleep(0.5)
    beside = outcomes(await sent_at_random(ask_small, rate, seconds))
    larges = outcomes(await busy)
    line.close()
    times = {
        name: [o.seconds for o in outcomes]
        for name, outcomes in (("alone", alone), ("beside", beside))
    }
    print(
        f"over {front.name}, sets of {SMALL} at {rate:g} a second, alone and beside two sets of "
        f"{LARGE} under way:"
    )
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
    add_front(parser)
    options = parser.parse_args()
    flags = options.front.flags
    with (
        tempfile.TemporaryDirectory() as data,
        LocalServer(Path(data), flags=(*COMPUTES_ALL, *flags)) as server,
    ):
        step_back()
        asyncio.run(run(server, **vars(options)))


if __name__ == "__main__":
    main()
