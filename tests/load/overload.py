"""`make overload`: ten times what the server can do. Prints what was answered, refused and late.

Over HTTP by `make overload LOAD='--over http'`.
"""

import argparse
import asyncio
import json
import math
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import TypeAlias

from twopass.server.local import COMPUTES_ALL, LocalServer

from .driver import (
    Outcome,
    kept_under_way,
    passages,
    print_statuses,
    resident_bytes,
    sent_at_random,
    statuses,
    step_back,
)
from .fronts import Answered, Front, add_front

CANDIDATES = 20
Send: TypeAlias = Callable[[int], Awaitable[Answered]]
_UNDER_WAY = 4
# A deadline leaves room for a queue: this many times what a set takes when four are under way, and
# at least half a second, of which the pauses of a shared machine are no large share.
_DEADLINE_PACES, _SHORTEST_DEADLINE = 5.0, 0.5
# A round is longer than what is under way when it ends.
_DEADLINES_OF_ROUND = 4
_PATIENCE = 60.0
ALLOWED = {"OK", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"}


@dataclass(frozen=True, slots=True)
class Beyond:
    """What came of a while beyond capacity.

    Attributes:
        goodput: Sets a second that were answered in time.
        outcomes: Of all that were sent.
        resident: Memory of the server at the end, bytes.
    """

    goodput: float
    outcomes: list[Outcome]
    resident: int


async def capacity_now(send: Send, seconds: float, deadline: float) -> float:
    """Sets a second that are answered in a closed loop of four."""
    ended = time.perf_counter() + seconds
    return num_good(await kept_under_way(send, _UNDER_WAY, seconds), ended, deadline) / seconds


async def beyond_capacity(
    server: LocalServer, send: Send, *, rate: float, seconds: float, deadline: float
) -> Beyond:
    """Sends more than can be done."""
    ended = time.perf_counter() + seconds
    answers = await sent_at_random(send, max(1.0, rate), seconds)
    goodput = num_good(answers, ended, deadline) / seconds
    outcomes = [answer.outcome(deadline) for answer in answers]
    return Beyond(goodput, outcomes, resident_bytes(server.pid))


def num_good(answers: Sequence[Answered], ended: float, deadline: float) -> int:
    """How many were answered in time, and before sending had ended."""
    return sum(a.ended <= ended and a.outcome(deadline).status == "OK" for a in answers)


async def fitting_deadline(server: LocalServer, front: Front, messages: Sequence[bytes]) -> float:
    """Seconds in which this machine answers a set with some others before it."""
    line = await front.connect(server, _PATIENCE)
    answers = await kept_under_way(
        lambda number: line.call(messages[number % len(messages)]), _UNDER_WAY, 3.0
    )
    line.close()
    # The first ones meet caches and pools that are not filled.
    usual = median(answer.seconds for answer in answers[_UNDER_WAY:] or answers)
    return max(_SHORTEST_DEADLINE, _DEADLINE_PACES * usual)


async def run(
    server: LocalServer,
    log: Path,
    *,
    front: Front,
    rounds: int,
    seconds: float,
    times: float,
    deadline: float | None,
) -> None:
    """Goes beyond capacity in rounds, and says what became of it.

    Capacity is measured before and after each, since a shared machine changes its speed.
    """
    messages = [
        front.message(f"question {number}", passages(number, CANDIDATES)) for number in range(64)
    ]
    deadline = deadline or await fitting_deadline(server, front, messages)
    seconds = max(seconds, _DEADLINES_OF_ROUND * deadline)
    line = await front.connect(server, deadline)

    def send(number: int) -> Awaitable[Answered]:
        return line.call(messages[number % len(messages)])

    await kept_under_way(send, _UNDER_WAY, 1.0)
    capacities = [await capacity_now(send, seconds / 2, deadline)]
    done = []
    for _ in range(rounds):
        rate = times * capacities[-1]
        done.append(
            await beyond_capacity(server, send, rate=rate, seconds=seconds, deadline=deadline)
        )
        capacities.append(await capacity_now(send, seconds / 2, deadline))
    line.close()
    total = rounds * seconds
    print(
        f"over {front.name}, {times:g} x capacity for {total:g} s, "
        f"deadline {1000 * deadline:.0f} ms:"
    )
    report(capacities, done, total)
    print(f"refused within {slowest_refusal(log):.1f} ms at most in the server (wanted: 50)")


def report(capacities: Sequence[float], done: Sequence[Beyond], seconds: float) -> None:
    """Prints what became of the requests, and holds it to what was promised."""
    outcomes = [outcome for beyond in done for outcome in beyond.outcomes]
    print_statuses(outcomes, seconds)
    around = [mean(pair) for pair in pairwise(capacities)]
    # A machine that answers no set in time, alone, has no capacity to take a share of.
    shares = [
        beyond.goodput / capacity if capacity else math.nan
        for beyond, capacity in zip(done, around, strict=True)
    ]
    print(
        f"goodput: {mean(beyond.goodput for beyond in done):.1f} of {mean(around):.1f} sets of "
        f"{CANDIDATES} a second, {mean(shares):.0%} of capacity (rounds: {min(shares):.0%} to "
        f"{max(shares):.0%}; wanted: 90 %)"
    )
    memory = [beyond.resident for beyond in done]
    print(f"memory after each round: {', '.join(f'{size >> 20}' for size in memory)} MiB")
    assert set(statuses(outcomes)) <= ALLOWED, statuses(outcomes)
    refused = [o for o in outcomes if o.status == "RESOURCE_EXHAUSTED"]
    assert all(o.retry_after is not None and o.retry_after > 0 for o in refused)
    assert memory[-1] < 1.1 * memory[0] + 32 * 2**20


def slowest_refusal(log: Path) -> float:
    """Milliseconds of the refused call that took the server longest, as its log has it.

    Without those that were admitted and given up later, when a slower machine made them hopeless.
    """
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    refused = [
        line
        for line in lines
        if line.get("code") == "RESOURCE_EXHAUSTED"
        and not line.get("limit", line.get("reason", "")).startswith("deadline, given up")
    ]
    times = [line.get("slowest_milliseconds", line.get("milliseconds")) for line in refused]
    return max(times, default=float("nan"))


def main() -> None:
    """Reads the options and runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=float, default=10.0)
    parser.add_argument("--deadline", type=float, help="seconds; by default what the pace allows")
    add_front(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "log.jsonl"
        flags = (*COMPUTES_ALL, *options.front.flags)
        with LocalServer(Path(scratch) / "data", flags=flags, log=log) as server:
            step_back()
            asyncio.run(run(server, log, **vars(options)))


if __name__ == "__main__":
    main()
