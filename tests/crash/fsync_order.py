"""Whether a write is ever acknowledged before the fsync that covers it.

A killed process leaves the kernel's page cache behind, so surviving a kill does not prove that a
write would survive lost power. The order of system calls does: strace follows `twopass serve`
while clients write, and each answer on the socket must come after an fsync of the write-ahead log
that began when the whole commit had been written to it.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twopass.client import Client, Schema

from .documents import DIMENSION, document
from .system_calls import STRACE, SystemCall, read_calls
from .tiny_models import write_tiny_models

_COLLECTION = "notes"
_NUM_CLIENTS = 4
_WRITES_OF_CLIENT = 25

_VERSION = re.compile(rb"(c\d+) version (\d+) ")
_SEQUENCE = re.compile(rb"[0-9a-f]{32}\.\d+")
_FRAME_HEADER_BYTES = 24


@dataclass(slots=True)
class FsyncOrder:
    """What strace saw.

    Attributes:
        num_writes: Acknowledged writes.
        num_fsyncs: Of the write-ahead log; fewer where writes shared one.
        problems: Every acknowledgement that came too early, in words.
    """

    num_writes: int
    num_fsyncs: int
    problems: list[str] = field(default_factory=list)


def check_fsync_order(folder: Path) -> FsyncOrder:
    """Runs a server under strace, writes to it, and holds the order of its calls to the promise."""
    trace = folder / "strace.txt"
    with _traced_server(folder, trace) as target, Client(target) as client:
        client.create_collection(_COLLECTION, Schema(client_vectors=True, dimension=DIMENSION))
        with ThreadPoolExecutor(_NUM_CLIENTS) as threads:
            written = dict(threads.map(lambda n: _write(client, n), range(_NUM_CLIENTS)))
    acknowledged = {
        sequence: version
        for of_client in written.values()
        for sequence, version in of_client.items()
    }
    return _judge(read_calls(trace), acknowledged)


def _write(client: Client, number: int) -> tuple[int, dict[bytes, tuple[bytes, bytes]]]:
    """Writes under one id again and again; returns id and version by the sequence answered."""
    name = f"c{number}"
    written = {}
    for version in range(1, _WRITES_OF_CLIENT + 1):
        summary = client.upsert(_COLLECTION, [document(name, version)])
        written[summary.sequence.encode()] = (name.encode(), str(version).encode())
    return number, written


@contextmanager
def _traced_server(folder: Path, trace: Path) -> Iterator[str]:
    """`twopass serve` under strace, and where it listens."""
    models = write_tiny_models(folder)
    command = [*STRACE, "-o", str(trace), sys.executable, "-m", "twopass.commands.main", "serve"]
    command += ["--data", str(folder / "data"), "--address", "127.0.0.1:0", "--log-format", "json"]
    command += ["--encoder", str(models.encoder), "--reranker", str(models.reranker)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        records = (json.loads(line) for line in strace.stderr if line.startswith("{"))
        try:
            yield next(r["address"] for r in records if r["message"] == "serving")
        finally:
            children = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGTERM)
            strace.stderr.read()


def _judge(
    calls: Iterable[SystemCall], acknowledged: dict[bytes, tuple[bytes, bytes]]
) -> FsyncOrder:
    log = _WriteAheadLog()
    order = FsyncOrder(len(acknowledged), 0)
    unseen = dict(acknowledged)
    for call in calls:
        if call.path.endswith("documents.sqlite-wal"):
            log.follow(call)
        elif call.path.startswith("socket:") or call.path.startswith("TCP"):
            for sequence in _SEQUENCE.findall(call.content):
                version = unseen.pop(sequence, None)
                if version is not None and version not in log.durable:
                    order.problems.append(f"{sequence!r} was answered before its fsync was done")
    order.num_fsyncs = log.num_fsyncs
    order.problems += [f"strace did not see the answer {sequence!r}" for sequence in unseen]
    return order


class _WriteAheadLog:
    """Follows the calls on SQLite's write-ahead log.

    A transaction is some frames, each a header and a page; the header of the last one says, in its
    bytes 4 to 8, how many pages the database has after it (https://sqlite.org/walformat.html).

    Attributes:
        durable: Id and version of every document whose commit has been synced.
        num_fsyncs: Syncs that ended well.
    """

    def __init__(self) -> None:
        self.durable: set[tuple[bytes, bytes]] = set()
        self.num_fsyncs = 0
        self._is_last_frame = False
        self._in_transaction: set[tuple[bytes, bytes]] = set()
        self._committed: set[tuple[bytes, bytes]] = set()
        self._syncing: set[tuple[bytes, bytes]] = set()

    def follow(self, call: SystemCall) -> None:
        """Takes in one call's beginning or end."""
        if call.name in ("fdatasync", "fsync"):
            if call.has_ended:
                self.durable |= self._syncing
                self.num_fsyncs += 1
            else:
                self._syncing = set(self._committed)
        elif call.has_ended and call.name == "pwrite64":
            self._take(call.content)

    def _take(self, content: bytes) -> None:
        if len(content) == _FRAME_HEADER_BYTES:
            self._is_last_frame = content[4:8] != b"\0\0\0\0"
            return
        self._in_transaction |= set(_VERSION.findall(content))
        if self._is_last_frame:
            self._committed |= self._in_transaction
            self._in_transaction = set()
            self._is_last_frame = False
