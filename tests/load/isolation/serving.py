"""The server that is measured, over a copy of a collection that is made once."""

import asyncio
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from twopass.server.local import COMPUTES_ALL, LocalServer

from .calls import Setting
from .observing import Endpoint, Log, busy_after
from .steps import fill_corpus

COLLECTION = "searched"
_CACHE = Path(".cache/isolation")
_SETTLE_SECONDS = 120.0
# Few enough that merges are under way whenever there are writes, in a run of seconds too.
_MERGE_CHANGES = 1_000


class MeasuredServer:
    """A server process of one version, started as often as needed.

    Attributes:
        setting: How neighbours reach it.
        log: Of the process that runs.
        metrics: Of that process, too.
    """

    log: Log
    metrics: Endpoint

    def __init__(
        self, scratch: Path, *, num_documents: int, seconds: float, tree: Path | None
    ) -> None:
        """Prepares a server.

        Args:
            scratch: An empty folder.
            num_documents: In the collection that is searched.
            seconds: How long searches are measured beside a neighbour.
            tree: Where Python imports the server from, to measure another version; None for the
                version that this process has.
        """
        self._scratch = scratch
        self._tree = tree
        self._keys = scratch / "keys.toml"
        self.setting = Setting("", self._make_key(), COLLECTION, num_documents, seconds)
        self._server: LocalServer | None = None

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._server is not None
        return self._server.pid

    async def start(self, sender: Executor) -> None:
        """Starts a process over a fresh copy of the data, which is made first where it is missing.

        Args:
            sender: Where callers are.
        """
        source = self._source()
        if not source.exists():
            await self._make_source(source, sender)
        data = self._scratch / "data"
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(source, data)
        self._start(data)

    def stop(self, *, at_once: bool = False) -> None:
        """Ends the process.

        Args:
            at_once: Without waiting for what it does.
        """
        if self._server is not None:
            if at_once:
                os.kill(self._server.pid, signal.SIGKILL)
            self._server.__exit__(None, None, None)
            self._server = None

    async def _make_source(self, source: Path, sender: Executor) -> None:
        made = source.with_suffix(".part")
        shutil.rmtree(made, ignore_errors=True)
        self._start(made)
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(sender, fill_corpus, self.setting)
            await busy_after(self.pid, _SETTLE_SECONDS)
        finally:
            self.stop()
        made.rename(source)

    def _start(self, data: Path) -> None:
        log = self._scratch / "log.jsonl"
        self.metrics = Endpoint(f"127.0.0.1:{_free_port()}")
        flags = (
            *("--keys", str(self._keys), "--metrics-address", self.metrics.address),
            *("--merge-changes", str(_MERGE_CHANGES)),
            # Another version may not know the flag.
            *(COMPUTES_ALL if self._tree is None else ()),
        )
        server = LocalServer(data, flags=flags, log=log)
        with _imported_from(self._tree):
            server.__enter__()
        self._server = server
        self.log = Log(log)
        self.setting = replace(self.setting, target=server.target)

    def _source(self) -> Path:
        """Where the data is kept between runs, for each version of the server apart."""
        version = hashlib.sha256(str(self._tree or "").encode()).hexdigest()[:8]
        return _CACHE / f"{self.setting.num_documents}-{version}"

    def _make_key(self) -> str:
        command = (sys.executable, "-m", "twopass.commands.main", "keys", "load")
        with _imported_from(self._tree):
            made = subprocess.run(
                (*command, "--file", str(self._keys)), capture_output=True, text=True, check=True
            )
        return made.stdout.strip()


@contextmanager
def _imported_from(tree: Path | None) -> Iterator[None]:
    """Has Python in new processes look for modules in a folder first."""
    before = os.environ.get("PYTHONPATH")
    if tree is not None:
        os.environ["PYTHONPATH"] = str(tree)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = before


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
