"""What a server's process says of itself: memory, threads at work, lanes, log."""

import asyncio
import time
import urllib.request
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from ..driver import resident_bytes

_LOOK_SECONDS = 0.05
# A process is idle when in all of so many looks in a row, but for one, no thread of it had work to
# do: by processor time, one that waits for its turn on a busy machine would seem idle.
_IDLE_LOOKS = 10
_RETURN_SECONDS = 8.0
_OVERRUN = "twopass_lane_longest_overrun_seconds"
_TRACEBACK = "Traceback (most recent call last)"


def is_working(pid: int) -> bool:
    """Whether a thread of a process runs, waits for a processor or for the disk."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:  # it has ended
            continue
        if state in "RD":
            return True
    return False


def loop_seconds(pid: int) -> float:
    """Processor time that the server's event loop has taken: that of its main thread."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e9


async def busy_after(pid: int, patience: float) -> float:
    """Waits until a process is idle; returns how long it was not, or `patience`, in seconds."""
    began = time.perf_counter()
    looks: deque[tuple[float, bool]] = deque(maxlen=_IDLE_LOOKS)
    while (now := time.perf_counter()) - began < patience:
        looks.append((now, is_working(pid)))
        if len(looks) == _IDLE_LOOKS and sum(works for _, works in looks) <= 1:
            return looks[0][0] - began
        await asyncio.sleep(_LOOK_SECONDS)
    return patience


async def memory_after(pid: int, wanted: int) -> int:
    """Bytes of a process in RAM, once they are as few as wanted, or as few as they get in 8 s.

    A server gives back what it has freed every few seconds.
    """
    end = time.perf_counter() + _RETURN_SECONDS
    while time.perf_counter() < end:
        if resident_bytes(pid) <= wanted:
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return resident_bytes(pid)


class PeakMemory:
    """Watches the memory of a process from a task, for as long as a block lasts.

    Attributes:
        num_bytes: The most that was seen.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.num_bytes = resident_bytes(pid)

    async def __aenter__(self) -> "PeakMemory":
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._watching.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self.num_bytes = max(self.num_bytes, resident_bytes(self._pid))


class Log:
    """A server's log, read piece by piece."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0

    def tracebacks_since(self) -> int:
        """How many tracebacks were written since this was called before."""
        with self._path.open(encoding="utf-8") as lines:
            lines.seek(self._read)
            content = lines.read()
            self._read = lines.tell()
        return content.count(_TRACEBACK)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server's metrics."""

    address: str

    async def gauges(self) -> dict[str, dict[str, float]]:
        """Every gauge of the server's own, by name and by the value of its label."""
        content = await asyncio.to_thread(self._read)
        return gauges_in(content)

    def _read(self) -> str:
        url = f"http://{self.address}/metrics"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return str(answer.read().decode())


def gauges_in(content: str) -> dict[str, dict[str, float]]:
    """The gauges in a text of Prometheus's format, by name and by the value of their one label."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(content):
        for sample in family.samples:
            if sample.name.startswith("twopass_") and family.type == "gauge":
                label = next(iter(sample.labels.values()), "")
                found.setdefault(sample.name, {})[label] = sample.value
    return found


def longest_overrun(gauges: Mapping[str, Mapping[str, float]]) -> float | None:
    """Seconds that any lane worked on for a caller that was gone; None where it does not tell."""
    return max(gauges.get(_OVERRUN, {}).values(), default=None)
