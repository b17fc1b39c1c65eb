"""Commands as people start and end them: on a terminal of their own, killed in every way."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

# Longer than any end takes, on a busy machine too: reached only where something stays.
SECONDS = 60.0
_MARK = "TEST_OF_LIFETIMES"


_STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Command:
    """A command on a terminal or pipes of its own, and all the processes that come of it."""

    def __init__(self, arguments: list[str], folder: Path, *, on_terminal: bool) -> None:
        self._folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self._mark = uuid.uuid4().hex
        environment = os.environ | {_MARK: self._mark, "TMPDIR": str(self.temporary)}
        environment |= {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
        self.printed = ""
        reading, writing = pty.openpty() if on_terminal else os.pipe()
        self._terminal = reading
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=writing if on_terminal else subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=partial(_begin_as_in_a_terminal, on_terminal),
        )
        os.close(writing)
        self._news = threading.Condition()
        self._reads = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._reads:
            # Never blocked in a read, which would keep a terminal open that is to be closed.
            if not select.select([self._terminal], [], [], 0.05)[0]:
                continue
            try:
                content = os.read(self._terminal, 65536)
            except OSError:  # a terminal that nobody has open any more
                content = b""
            with self._news:
                self.printed += _STYLES.sub("", content.decode(errors="replace"))
                self._news.notify_all()
            if not content:
                return

    def wait_until_printed(self, text: str) -> None:
        with self._news:
            found = self._news.wait_for(lambda: text in self.printed, SECONDS)
        assert found, f"{text!r} is not in {self.printed!r}"

    def type_ctrl_c(self) -> None:
        os.write(self._terminal, b"\x03")

    def close_terminal(self) -> None:
        self._reads = False
        self._reader.join()
        os.close(self._terminal)

    def processes(self) -> list[int]:
        """Those that carry its mark and have not ended."""
        wanted = f"{_MARK}={self._mark}".encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:  # ended, or another user's
                continue
        return found

    def temporary_folders(self) -> list[Path]:
        # ONNX Runtime leaves a file of its own there, .ses, which is no folder.
        return [each for each in self.temporary.iterdir() if each.is_dir()]

    def wait_until_nothing_is_left(self) -> None:
        """Waits until all that came of it has ended; else fails and shows what each is at."""
        until = time.monotonic() + SECONDS
        while self.process.poll() is None or self.processes():
            if time.monotonic() > until:
                pytest.fail(f"still there:\n{self._shown()}")
            time.sleep(0.05)
        until = time.monotonic() + SECONDS
        while left := self.temporary_folders():
            if time.monotonic() > until:
                pytest.fail(f"not deleted: {left}\n{self._shown()}")
            time.sleep(0.05)

    def _shown(self) -> str:
        """Its processes, where each of their threads is in Python, logs, and what was printed."""
        told = []
        for each in sorted(self.processes()):  # those that started others first
            with suppress(OSError):
                words = Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0")
                told.append(f"{each}: {b' '.join(words).decode(errors='replace')[-200:]}")
                os.kill(each, signal.SIGABRT)  # which has faulthandler print the stacks
        time.sleep(1.0)
        logs = [
            f"{log}:\n{log.read_text(errors='replace')[-10_000:]}"
            for log in self._folder.rglob("*.log")
        ]
        return "\n".join([*told, *logs, "printed:", self.printed])


def _begin_as_in_a_terminal(on_terminal: bool) -> None:
    import fcntl
    import termios

    # Ignored where tests run in the background, or under nohup.
    for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    if on_terminal:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def command(arguments: list[str], folder: Path, *, on_terminal: bool = True) -> Iterator[Command]:
    running = Command(arguments, folder, on_terminal=on_terminal)
    try:
        yield running
    finally:
        for each in running.processes():
            os.kill(each, signal.SIGKILL)
        running.process.wait()


def kill(number: signal.Signals) -> Callable[[Command], None]:
    return lambda running: running.process.send_signal(number)


WAYS = {
    "SIGKILL": kill(signal.SIGKILL),
    "SIGTERM": kill(signal.SIGTERM),
    "SIGHUP": kill(signal.SIGHUP),
    "Ctrl-C": Command.type_ctrl_c,
    "its terminal's end": Command.close_terminal,
}
