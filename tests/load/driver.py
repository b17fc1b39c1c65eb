"""Sends requests at times fixed beforehand, and looks at the server's process meanwhile."""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from twopass.benchmarks.load import poisson_arrivals
from twopass.client import AsyncClient, TwopassError

Ask = Callable[[AsyncClient, int], Awaitable[object]]
Result = TypeVar("Result")
NO_RETRIES = (("grpc.enable_retries", 0),)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request.

    Attributes:
        status: The gRPC status.
        seconds: From when it was sent.
        retry_after: What the server said; None if it did not.
        answer: None where it failed.
    """

    status: str
    seconds: float
    retry_after: float | None = None
    answer: object = None


def step_back() -> None:
    """Lowers the priority of this process, once its server has begun.

    The users of a server send from machines of their own, and take no processor time from it.
    """
    os.nice(10)


async def ask_once(client: AsyncClient, ask: Ask, number: int) -> Outcome:
    """Makes a request and tells what came of it."""
    began = time.perf_counter()
    try:
        answer = await ask(client, number)
    except TwopassError as error:
        seconds = time.perf_counter() - began
        return Outcome(error.code.name, seconds, error.retry_after)
    return Outcome("OK", time.perf_counter() - began, None, answer)


async def open_loop(client: AsyncClient, ask: Ask, rate: float, seconds: float) -> list[Outcome]:
    """Sends at random times at a mean rate, whatever is unanswered; returns all outcomes."""
    return await sent_at_random(lambda number: ask_once(client, ask, number), rate, seconds)


async def closed_loop(
    client: AsyncClient, ask: Ask, concurrency: int, seconds: float
) -> list[Outcome]:
    """Keeps a number of requests under way; returns all outcomes."""
    return await kept_under_way(lambda number: ask_once(client, ask, number), concurrency, seconds)


async def sent_at_random(
    send: Callable[[int], Awaitable[Result]], rate: float, seconds: float
) -> list[Result]:
    """As `open_loop`, by any means of sending a request by its number."""
    sent = []
    began = time.perf_counter()
    for number, offset in enumerate(poisson_arrivals(rate, seconds, seed=1)):
        await asyncio.sleep(began + offset - time.perf_counter())
        sent.append(asyncio.ensure_future(send(number)))
    return await asyncio.gather(*sent)


async def kept_under_way(
    send: Callable[[int], Awaitable[Result]], concurrency: int, seconds: float
) -> list[Result]:
    """As `closed_loop`, by any means of sending a request by its number."""
    end = time.perf_counter() + seconds
    results: list[Result] = []

    async def one_after_another(first: int) -> None:
        number = first
        while time.perf_counter() < end:
            results.append(await send(number))
            number += concurrency

    await asyncio.gather(*map(one_after_another, range(concurrency)))
    return results


def percentile(seconds: Sequence[float], percent: float) -> float:
    """A percentile in milliseconds, by the nearest rank; not a number of nothing."""
    if not seconds:
        return float("nan")
    ordered = sorted(seconds)
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def by_status(outcomes: Sequence[Outcome]) -> dict[str, list[float]]:
    """Seconds of the requests of each status."""
    found: dict[str, list[float]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.status, []).append(outcome.seconds)
    return found


def print_statuses(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Prints how many requests ended how, and how fast."""
    for status, times in sorted(by_status(outcomes).items()):
        figures = "  ".join(f"p{p:g} {percentile(times, p):7.1f}" for p in (50, 99, 100))
        print(f"  {status:20} {len(times):7,}  {len(times) / seconds:8.1f}/s  ms: {figures}")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def num_files(pid: int) -> int:
    """Files and sockets that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def stolen_share() -> Callable[[], float]:
    """Begins to watch how much processor time the host takes; call it for the share since."""

    def ticks() -> tuple[int, int]:
        fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
        return fields[7], sum(fields[:8])

    stolen, total = ticks()

    def share() -> float:
        now_stolen, now_total = ticks()
        return (now_stolen - stolen) / max(1, now_total - total)

    return share


def passages(number: int, count: int, num_words: int = 60) -> list[str]:
    """Texts that differ from those of every other number."""
    generator = random.Random(number)
    words = [f"w{generator.randrange(10_000)}" for _ in range(count + num_words)]
    return [" ".join(words[i : i + num_words]) for i in range(count)]


def statuses(outcomes: Sequence[Outcome]) -> Counter[str]:
    """How many ended how."""
    return Counter(outcome.status for outcome in outcomes)
