"""The processes of a measurement: one server, and those that call it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twopass.benchmarks.frontend.requests import COLLECTION, Case, documents
from twopass.client import Client

_ROOM = "twopass.benchmarks.frontend"
# Less than the passages that callers send in turn take, so that each is new to the server: what a
# cache of the default size does once it is full of others' passages.
_CACHE_BYTES = 2 * 2**20
_NUM_DOCUMENTS = 2_000
_DOCUMENTS_AT_ONCE = 500


class Server:
    """A server over engines that cost nothing.

    Attributes:
        pid: Of its process.
        address: Where it listens for gRPC.
        http_url: And for HTTP.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Waits until it serves.

        Args:
            process: Runs `server.py`.
        """
        self._process = process
        self.pid = process.pid
        told = self._line()
        self.address, self.http_url = str(told["address"]), str(told["http"])

    def thread_seconds(self) -> dict[str, float]:
        """Processor time of its threads so far, by name."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server has ended; see what it wrote above")
        told: dict[str, Any] = json.loads(line)
        return told


@contextmanager
def running_server(
    cpus: Sequence[int], batch_seconds: float, tree: Path | None = None
) -> Iterator[Server]:
    """A server for as long as the block, with a collection for searches.

    Args:
        cpus: The processors that it may use; it takes as many threads.
        batch_seconds: How long its engines take for a batch.
        tree: Folder with another version's package `twopass`; None for this one.
    """
    with ExitStack() as undo:
        data = undo.enter_context(tempfile.TemporaryDirectory())
        settings = {
            "address": "127.0.0.1:0",
            "http_address": "127.0.0.1:0",
            "data": data,
            "threads": len(cpus),
            "passage_cache_bytes": _CACHE_BYTES,
            "score_cache_bytes": 0,  # every pair is to reach the engine
        }
        asked = json.dumps({"batch_seconds": batch_seconds, "settings": settings})
        process = _started("server", asked, cpus, tree)
        undo.callback(_end, process)
        server = Server(process)
        _make_collection(server.address)
        yield server


def _make_collection(address: str) -> None:
    texts = documents(_NUM_DOCUMENTS)
    with Client(address) as client:
        client.create_collection(COLLECTION)
        for start in range(0, len(texts), _DOCUMENTS_AT_ONCE):
            part = range(start, min(start + _DOCUMENTS_AT_ONCE, len(texts)))
            client.upsert(COLLECTION, [{"id": f"document-{i}", "text": texts[i]} for i in part])


@dataclass(frozen=True, slots=True)
class Load:
    """How a server is loaded.

    Attributes:
        case: What it is asked.
        num_callers: Processes that ask.
        concurrency: Requests that each has under way.
        cpus: Processors that the callers may use.
        seconds: How long they ask.
    """

    case: Case
    num_callers: int
    concurrency: int
    cpus: tuple[int, ...]
    seconds: float


@contextmanager
def callers_ready(server: Server, load: Load) -> Iterator["list[subprocess.Popen[str]]"]:
    """Processes that have their requests and wait for a line."""
    address = server.http_url if load.case.wire == "http" else server.address
    callers = []
    try:
        for number in range(load.num_callers):
            asked = {
                "case": load.case.name,
                "caller": number,
                "address": address,
                "concurrency": load.concurrency,
                "seconds": load.seconds,
            }
            callers.append(_started("callers", json.dumps(asked), load.cpus))
        for each in callers:
            assert each.stdout is not None
            if each.stdout.readline() != "ready\n":
                raise RuntimeError("a caller has ended; see what it wrote above")
        yield callers
    finally:
        for each in callers:
            _end(each)


def answers_of(callers: "Sequence[subprocess.Popen[str]]") -> list[tuple[float, float]]:
    """When requests were sent and answered, of all callers, once these have ended.

    Returns:
        Seconds of the machine's monotonic clock.
    """
    answered: list[tuple[float, float]] = []
    for each in callers:
        assert each.stdout is not None
        line = each.stdout.readline()
        if not line:
            raise RuntimeError("a caller has failed; see what it wrote above")
        answered += map(tuple, json.loads(line))
    return answered


def begin(callers: "Sequence[subprocess.Popen[str]]") -> None:
    """Lets callers begin."""
    for each in callers:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()


def _started(
    module: str, asked: str, cpus: Sequence[int], tree: Path | None = None
) -> "subprocess.Popen[str]":
    environment = dict(os.environ)
    if tree is not None:
        environment["PYTHONPATH"] = str(tree)
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and modules
        (sys.executable, "-m", f"{_ROOM}.{module}", asked),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=environment,
    )
    # Before it has threads: those that it starts may use the same processors.
    os.sched_setaffinity(process.pid, cpus)
    return process


def _end(process: "subprocess.Popen[str]") -> None:
    """Ends a process by the end of its input, or at once where that does not help."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
