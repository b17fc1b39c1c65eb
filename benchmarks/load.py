"""Loads a server and records what came of every request.

A closed loop holds the number of requests under way; the next is sent when one is answered. It
finds the throughput, and hides waiting: a slow server is simply asked less. An open loop sends at
times fixed beforehand, whatever the server does, as independent users would.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from twopass.benchmarks.workload import Answer, Request
from twopass.client import AsyncClient, TwopassError

OK = "OK"


@dataclass(frozen=True, slots=True)
class Sample:
    """One request. Times are seconds of `time.perf_counter`.

    Attributes:
        intended: When it was to be sent.
        sent: When it was.
        ended: When the answer, or the failure, was there.
        status: The gRPC status.
        answer: None where it failed.
    """

    intended: float
    sent: float
    ended: float
    status: str
    answer: Answer | None

    @property
    def latency(self) -> float:
        """Seconds from the intended start: a start that was delayed is a time that was waited."""
        return self.ended - self.intended


@dataclass(frozen=True, slots=True)
class Window:
    """What is counted: seconds of `time.perf_counter`. Before it the load runs to warm up."""

    start: float
    end: float


Send: TypeAlias = Callable[[Request, float], Coroutine[Any, Any, None]]
"""Sends a request that was to start at a time, and waits for its end; never raises."""


class Load(Protocol):
    """When requests are sent."""

    @property
    def level(self) -> float:
        """The size of the load: requests under way, or requests a second."""

    async def run(self, requests: Iterator[Request], send: Send, begin: float, end: float) -> None:
        """Sends requests from `begin` to `end`, and returns when all are answered.

        Args:
            requests: Endless.
            send: See `Send`.
            begin: Seconds of `time.perf_counter`, as is `end`.
            end: No request is meant to start from here on.
        """


@dataclass(frozen=True, slots=True)
class ClosedLoop:
    """A fixed number of requests under way."""

    concurrency: int

    @property
    def level(self) -> float:
        """Requests under way."""
        return self.concurrency

    async def run(self, requests: Iterator[Request], send: Send, begin: float, end: float) -> None:
        """Sends requests from `begin` to `end`; see `Load.run`."""

        async def one_after_another() -> None:
            while time.perf_counter() < end:
                request = next(requests)
                await send(request, time.perf_counter())

        await asyncio.sleep(begin - time.perf_counter())
        await asyncio.gather(*(one_after_another() for _ in range(self.concurrency)))


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """Independent requests at a mean rate a second, whatever is still unanswered."""

    rate: float
    seed: int

    @property
    def level(self) -> float:
        """Requests a second."""
        return self.rate

    async def run(self, requests: Iterator[Request], send: Send, begin: float, end: float) -> None:
        """Sends requests from `begin` to `end`; see `Load.run`."""
        async with asyncio.TaskGroup() as under_way:
            for offset in poisson_arrivals(self.rate, end - begin, self.seed):
                request = next(requests)
                await asyncio.sleep(begin + offset - time.perf_counter())
                under_way.create_task(send(request, begin + offset))


def poisson_arrivals(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yields the arrival times of a Poisson process, ascending, in [0, seconds).

    Args:
        rate: Mean arrivals a second, above 0.
        seconds: Length of the schedule.
        seed: The same seed gives the same schedule.
    """
    generator = random.Random(seed)  # noqa: S311  # no secret
    arrival = generator.expovariate(rate)
    while arrival < seconds:
        yield arrival
        arrival += generator.expovariate(rate)


async def record(
    load: Load, client: AsyncClient, requests: Iterator[Request], window: Window
) -> list[Sample]:
    """Runs a load from now to the window's end, and returns every request, warm-up included."""
    samples: list[Sample] = []

    async def send(request: Request, intended: float) -> None:
        sent = time.perf_counter()
        status, answer = OK, None
        try:
            answer = await request(client)
        except TwopassError as error:
            status = error.code.name
        samples.append(Sample(intended, sent, time.perf_counter(), status, answer))

    await load.run(requests, send, time.perf_counter(), window.end)
    return samples
