"""A server under the load of client processes, and who of both had no time left.

The clients are `twopass.benchmarks.frontend.callers`: messages written beforehand go out as bytes,
and come back as bytes, on processors that the server does not use where there are any.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from twopass.benchmarks.gpu.nvml import watched
from twopass.benchmarks.gpu.processor_time import main_thread_seconds, process_seconds
from twopass.benchmarks.summary import percentile

_CALLERS = "twopass.benchmarks.frontend.callers"
# Of processors, a quarter sends: writing and reading bytes is little work.
_CALLERS_SHARE = 4
_WARM_UP_SECONDS, _AFTER_SECONDS = 0.4, 0.2
_END_SECONDS = 60.0
_FULL = 0.9


@dataclass(frozen=True, slots=True)
class Cpus:
    """Which processors are whose.

    Attributes:
        server: The server's.
        callers: Those of the processes that ask; the same ones where there is but one.
    """

    server: tuple[int, ...]
    callers: tuple[int, ...]


def divided() -> Cpus:
    """This process's processors, three quarters of them the server's."""
    mine = sorted(os.sched_getaffinity(0))
    count = max(1, len(mine) // _CALLERS_SHARE)
    return Cpus(tuple(mine[: len(mine) - count] or mine), tuple(mine[-count:]))


@contextmanager
def started_on(cpus: Sequence[int]) -> Iterator[None]:
    """Has processes that are started in the block use these processors alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How a server is asked.

    Attributes:
        case: Of `twopass.benchmarks.frontend.requests`.
        address: Where the server listens for it.
        num_pairs: Of a request.
        under_way: Requests at once, of all callers.
        seconds: How long a turn is.
        turns: How many there are, one after another.
    """

    case: str
    address: str
    num_pairs: int
    under_way: int
    seconds: float
    turns: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one load gave.

    Attributes:
        pairs_per_second: In answers.
        latencies_ms: As callers see them, ascending.
        server_cores: Processors that the server kept busy.
        loop_busy: Share of the time in which its event loop ran.
        callers_busy: Share of a processor that the busiest caller took.
        device_busy: Share of the time in which some kernel ran; None where nobody tells.
        server_cpu_us: The server's processor time of a pair, microseconds.
    """

    pairs_per_second: float
    latencies_ms: tuple[float, ...]
    server_cores: float
    loop_busy: float
    callers_busy: float
    device_busy: float | None
    server_cpu_us: float

    def full(self, num_cores: int) -> str:
        """Who had no time left, of those that are looked at; "" where everybody had.

        Args:
            num_cores: Processors of the server.
        """
        sides = {
            "the callers": self.callers_busy,
            "the server's event loop": self.loop_busy,
            "the server's processors": self.server_cores / num_cores,
            "the device": self.device_busy or 0.0,
        }
        return ", ".join(name for name, share in sides.items() if share >= _FULL)


@dataclass(frozen=True, slots=True)
class Turn:
    """What is seen of one turn.

    Attributes:
        began: When it did, seconds of the machine's monotonic clock.
        ended: When it did.
        before: Processor time of the server, of its first thread, and of each caller until then.
        after: The same at its end.
        device_busy: Share of it in which some kernel ran; None where nobody tells.
    """

    began: float
    ended: float
    before: list[float]
    after: list[float]
    device_busy: float | None


def loaded(pid: int, load: Load, cpus: Cpus) -> list[Loaded]:
    """Puts a load on a server and takes the figures of each turn once it is warm.

    The callers are started once, which takes longer than a turn.

    Args:
        pid: Of the server.
        load: The load.
        cpus: Whose processors are which.
    """
    num_callers = min(load.under_way, len(cpus.callers))
    whole = _WARM_UP_SECONDS + load.turns * load.seconds + _AFTER_SECONDS
    callers = []
    try:
        for number in range(num_callers):
            share = load.under_way // num_callers + (number < load.under_way % num_callers)
            callers.append(_started(load, number, share, whole, cpus.callers))
        for each in callers:
            _line(each, "ready\n")
        for each in callers:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        time.sleep(_WARM_UP_SECONDS)
        pids = [each.pid for each in callers]
        turns = [_turn(pid, pids, load.seconds) for _ in range(load.turns)]
        answered = [pair for each in callers for pair in json.loads(_line(each))]
    finally:
        for each in callers:
            _end(each)
    return [figures(each, answered, load) for each in turns]


def figures(turn: Turn, answered: Sequence[tuple[float, float]], load: Load) -> Loaded:
    """What a turn gave, of all requests as they were sent and answered."""
    elapsed = turn.ended - turn.began
    server, loop, *of_callers = (b - a for a, b in zip(turn.before, turn.after, strict=True))
    counted = [(sent, came) for sent, came in answered if turn.began <= came < turn.ended]
    num_pairs = len(counted) * load.num_pairs
    return Loaded(
        pairs_per_second=num_pairs / elapsed,
        latencies_ms=tuple(sorted(1000 * (came - sent) for sent, came in counted)),
        server_cores=server / elapsed,
        loop_busy=loop / elapsed,
        callers_busy=max(of_callers) / elapsed,
        device_busy=turn.device_busy,
        server_cpu_us=1e6 * server / max(1, num_pairs),
    )


def middle(loads: Sequence[Loaded]) -> Loaded:
    """The load of several turns whose speed is the median."""
    speed = statistics.median_high([each.pairs_per_second for each in loads])
    return next(each for each in loads if each.pairs_per_second == speed)


def percentile_ms(loads: Sequence[Loaded], thousandths: int) -> float | None:
    """A percentile of all turns together; None where they are too few for it."""
    together = sorted(value for each in loads for value in each.latencies_ms)
    return percentile(together, thousandths)


def _turn(server: int, callers: Sequence[int], seconds: float) -> Turn:
    with watched() as device:
        began, before = time.monotonic(), _spent(server, callers)
        time.sleep(seconds)
        ended, after = time.monotonic(), _spent(server, callers)
    return Turn(began, ended, before, after, device.mean_busy)


def _spent(server: int, callers: Sequence[int]) -> list[float]:
    return [process_seconds(server), main_thread_seconds(server), *map(process_seconds, callers)]


def _started(
    load: Load, number: int, concurrency: int, seconds: float, cpus: Sequence[int]
) -> "subprocess.Popen[str]":
    asked = {
        "case": load.case,
        "caller": number,
        "address": load.address,
        "concurrency": concurrency,
        "seconds": seconds,
    }
    with started_on(cpus):
        return subprocess.Popen(  # noqa: S603  # our own interpreter and module
            (sys.executable, "-m", _CALLERS, json.dumps(asked)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )


def _line(caller: "subprocess.Popen[str]", expected: str = "") -> str:
    assert caller.stdout is not None
    line = caller.stdout.readline()
    if not line or (expected and line != expected):
        raise RuntimeError("a client process has ended; see the worker's log")
    return line


def _end(caller: "subprocess.Popen[str]") -> None:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.close()
    try:
        caller.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        caller.kill()
        caller.wait()
    caller.stdout.close()
