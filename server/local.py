"""A server in a process of its own, for as long as a `with` block lasts."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class LocalServerError(Exception):
    """The process ended before it served; the message has the last line it wrote."""


class LocalServer:
    """Runs `twopass serve` on a free port of the loopback interface.

    A SIGTERM to this process, where nothing else handles it, leaves the block by `SystemExit`, so
    that the server does not outlive what started it.

    Attributes:
        target: Where it listens, host:port; known inside the block.
        http_url: Where it answers over HTTP; "" where its flags ask for none.
    """

    def __init__(self, data: Path, *, flags: tuple[str, ...] = (), log: Path | None = None) -> None:
        """Prepares a server.

        Args:
            data: Folder of its collections.
            flags: Further flags of `twopass serve`.
            log: File its log goes to; None drops it.
        """
        self.target = self.http_url = ""
        self._command = [
            *(sys.executable, "-m", "twopass.commands.main", "serve"),
            *("--data", str(data), "--address", "127.0.0.1:0", "--log-format", "json"),
            *flags,
        ]
        self._log = log

    def __enter__(self) -> Self:
        """Starts the process and returns when it serves.

        Raises:
            LocalServerError: The process ended first.
        """
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and command
            self._command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert self._process.stderr is not None
        sink = self._log.open("w", encoding="utf-8") if self._log else None
        self._leaves_on_sigterm = _leave_on_sigterm()
        try:
            self.target = self._wait_until_serving(self._process.stderr, sink)
        except BaseException:
            self._end()
            raise
        self._drain = threading.Thread(
            target=_drain, args=(self._process.stderr, sink), name="server-log", daemon=True
        )
        self._drain.start()
        return self

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self._process.pid

    def _wait_until_serving(self, lines: IO[str], sink: IO[str] | None) -> str:
        last = ""
        for line in lines:
            if sink:
                sink.write(line)
            try:
                record = json.loads(line)
            except json.JSONDecodeError:  # from before logging was set up: a failure in plain text
                last = line.strip() or last
                continue
            if record["message"] == "serving":
                self.http_url = str(record.get("http", ""))
                return str(record["address"])
            if record["level"] == "critical":
                last = record["message"]
        status = self._process.wait()
        raise LocalServerError(f"the server ended with status {status} before it served: {last}")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Lets the server drain, and waits for its end."""
        self._end()
        self._drain.join()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGTERM)  # does nothing to a process that has ended
        self._process.wait()
        if self._leaves_on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _leave_on_sigterm() -> bool:
    """Makes SIGTERM raise `SystemExit`, if it would end the process; returns whether it did."""
    is_main = threading.current_thread() is threading.main_thread()  # no other may set handlers
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return False
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    return True


def _drain(lines: IO[str], sink: IO[str] | None) -> None:
    """Reads the server's log, so that the server never waits for a full pipe."""
    for line in lines:
        if sink:
            sink.write(line)
            sink.flush()
    lines.close()
    if sink:
        sink.close()
