"""Servers with the role engine, each a process that a test can stop, end, kill and start again."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

from ..waiting import wait_until

# Longer than anything takes on a busy machine: reached only where something never comes.
SECONDS = 120.0


class EngineProcess:
    """`twopass serve --role engine` in a process of its own.

    Attributes:
        address: Where it listens; the same after it was started again.
    """

    def __init__(self, *flags: str, address: str = "127.0.0.1:0") -> None:
        self.flags = flags
        self.address = address
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self, *flags: str) -> None:
        """Starts it, with these flags or those it had, and returns when it serves."""
        command = [sys.executable, "-m", "twopass.commands.main", "serve", "--role", "engine"]
        command += ["--address", self.address, "--threads", "1", "--log-format", "json"]
        variables = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
        self._process = subprocess.Popen(
            [*command, *(flags or self.flags)], env=variables, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr is not None
        lines = []
        for line in self._process.stderr:
            lines.append(line)
            if (record := _record(line)).get("message") == "serving":
                self.address = record["address"]
                break
        else:
            raise AssertionError("".join(lines))
        threading.Thread(target=self._process.stderr.read, daemon=True).start()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self) -> int:
        """Lets it drain; returns its status."""
        assert self._process is not None
        self.send(signal.SIGTERM)
        return self._process.wait(SECONDS)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _record(line: str) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return record


class Load:
    """Calls one after another in a few threads, until the block ends.

    Attributes:
        answers: What each call was answered with.
        failures: What calls failed with.
    """

    def __init__(self, call: Callable[[], Any], num_threads: int = 3) -> None:
        self.answers: list[Any] = []
        self.failures: list[Exception] = []
        self._call = call
        self._ends = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(num_threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self.wait_for_answers(len(self._threads))
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, count: int) -> None:
        """Waits for so many more."""
        wanted = len(self.answers) + count
        wait_until(lambda: len(self.answers) >= wanted or bool(self.failures))

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                self.answers.append(self._call())
            except Exception as error:
                self.failures.append(error)
