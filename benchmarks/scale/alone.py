"""Searches one at a time, by the client that loads are made with: what each one cost."""

import asyncio
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.client import AsyncClient, Fields, Retrieve, SearchResult

COLLECTION = "python-docs"
TOP_N = 10
_WARM_UP = 20
_TIMEOUT_SECONDS = 60.0
_STAGES = ("tokenize_ms", "queue_ms", "embed_ms", "retrieve_ms", "load_ms", "rerank_ms")
# Linux: a process' number and this make a clock of all its threads (include/linux/posix-timers.h).
_OF_ALL_THREADS = 2


def core_seconds(pid: int) -> float:
    """Processor time that a process has used, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | _OF_ALL_THREADS)


def loop_use(pid: int) -> tuple[float, int]:
    """What a server's first thread has had, which runs its event loop: seconds, and how often."""
    file = Path(f"/proc/{pid}/task/{pid}/schedstat")
    nanoseconds, _waited, times = map(int, file.read_text(encoding="ascii").split())
    return nanoseconds / 1e9, times


def asked(depth: int, top_n: int, *, rerank: bool) -> dict[str, Any]:
    """What is asked of a search, as `SearchWorkload` asks it."""
    return {
        "top_n": top_n,
        "retrieve": Retrieve(k=depth),
        "rerank": rerank,
        "allow_fallback": False,
        "fields": Fields(text=True, metadata=False),
    }


@dataclass(frozen=True, slots=True)
class Answered:
    """One search.

    Attributes:
        pause: Seconds in which nothing was asked before it.
        result: Its answer.
        milliseconds: That the caller waited.
        server_core_ms: Processor time of the server.
        loop_core_ms: That of its event loop's thread.
        client_core_ms: The caller's.
        loop_turns: How often the event loop's thread has had a core.
    """

    pause: float
    result: SearchResult
    milliseconds: float
    server_core_ms: float
    loop_core_ms: float
    client_core_ms: float
    loop_turns: int


@dataclass(frozen=True, slots=True)
class Alone:
    """Means of searches one at a time, in milliseconds.

    Attributes:
        searches: The searches.
    """

    searches: Sequence[Answered]

    def stage(self, name: str) -> float:
        """Of a stage of `Timings`; searches that did not meet it count as none."""
        return statistics.fmean(getattr(s.result.timings, name) or 0.0 for s in self.searches)

    @property
    def waited_ms(self) -> float:
        """What the caller waited."""
        return self._mean("milliseconds")

    @property
    def server_core_ms(self) -> float:
        """Processor time of the server."""
        return self._mean("server_core_ms")

    @property
    def loop_core_ms(self) -> float:
        """That of its event loop's thread."""
        return self._mean("loop_core_ms")

    @property
    def loop_turns(self) -> float:
        """How often the event loop's thread has had a core."""
        return self._mean("loop_turns")

    @property
    def client_core_ms(self) -> float:
        """The caller's."""
        return self._mean("client_core_ms")

    @property
    def second_ms(self) -> float:
        """Of the second pass, by the clock."""
        return self.stage("queue_ms") + self.stage("rerank_ms")

    @property
    def way_ms(self) -> float:
        """What the caller waited beside the second pass."""
        return self.waited_ms - self.second_ms

    @property
    def rest_ms(self) -> float:
        """What is left of the server's own time."""
        return self.stage("total_ms") - sum(map(self.stage, _STAGES))

    @property
    def wire_ms(self) -> float:
        """What is left of the caller's time."""
        return self.waited_ms - self.stage("total_ms")

    def _mean(self, name: str) -> float:
        return statistics.fmean(getattr(search, name) for search in self.searches)


def ask_alone(
    target: str, pid: int, searches: Iterable[tuple[float, str]], depth: int, *, rerank: bool
) -> Alone:
    """Asks one search after the other.

    Args:
        target: The server.
        pid: Its process.
        searches: Each with the seconds of a pause before it.
        depth: Candidates.
        rerank: Whether there is a second pass.
    """
    return asyncio.run(_ask_alone(target, pid, list(searches), depth, rerank=rerank))


async def _ask_alone(
    target: str, pid: int, searches: Sequence[tuple[float, str]], depth: int, *, rerank: bool
) -> Alone:
    options = asked(depth, TOP_N, rerank=rerank)
    answered = []
    async with AsyncClient(target, timeout=_TIMEOUT_SECONDS) as client:
        for _, query in searches[:_WARM_UP]:
            await client.search(COLLECTION, query, **options)
        before, turns = _clocks(pid), loop_use(pid)[1]
        for pause, query in searches:
            if pause:  # as an open loop waits: how late it wakes is in its latencies
                await asyncio.sleep(pause)
            result = await client.search(COLLECTION, query, **options)
            after, turns_after = _clocks(pid), loop_use(pid)[1]
            passed, server, loop, caller = (
                1000 * (b - a) for a, b in zip(before, after, strict=True)
            )
            waited = passed - 1000 * pause
            num_turns = turns_after - turns
            answered.append(Answered(pause, result, waited, server, loop, caller, num_turns))
            before, turns = after, turns_after
    return Alone(answered)


def _clocks(pid: int) -> tuple[float, float, float, float]:
    """Seconds: by the clock, of the server, of its event loop and of this process."""
    return time.perf_counter(), core_seconds(pid), loop_use(pid)[0], time.process_time()
