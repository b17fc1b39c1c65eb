"""How the process of a server ends before it serves, and with the process that started it."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from twopass.server.config import ConfigError

_STDIN = 0
_READ_BYTES = 4096
# A server that has neither drained nor ended so long after its owner has gone is stuck.
_STUCK_SECONDS = 60.0
# Whether a signal has come while the server was starting.
_is_told_to_stop = threading.Event()


class StoppedError(BaseException):
    """A signal has ended the server before it served; no error, and nothing to catch on the way."""


def ending_signals() -> tuple[signal.Signals, ...]:
    """Signals that end a server: SIGTERM, Ctrl-C and, unless nohup ignores it, a terminal's end."""
    hangup = (signal.SIGHUP,) if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else ()
    return (signal.SIGTERM, signal.SIGINT, *hangup)


def stop_while_starting() -> None:
    """Makes every ending signal raise `StoppedError` in the main thread, a second one exit at once.

    It holds until something else handles these signals. Python drops what is raised while it runs
    a destructor, or some callbacks of imports: see `ensure_not_stopped`.
    """

    def stop(number: int, _: object) -> NoReturn:
        if _is_told_to_stop.is_set():
            os._exit(128 + number)
        _is_told_to_stop.set()
        raise StoppedError

    for each in ending_signals():
        signal.signal(each, stop)


def ensure_not_stopped() -> None:
    """Looks for a signal that came while the server was starting, and whose error was dropped.

    Raises:
        StoppedError: One has come.
    """
    if _is_told_to_stop.is_set():
        raise StoppedError


def stop_at_eof(drain_seconds: float) -> None:
    """Sends this process SIGTERM once standard input ends, as it does when its owner is gone.

    What is written there means nothing. A server that is stuck is ended all the same, a minute
    after it should have drained.

    Args:
        drain_seconds: How long running calls may take to end.
    """

    def watch() -> None:
        try:
            while os.read(_STDIN, _READ_BYTES):
                pass
        except OSError:  # a terminal that is gone, or no standard input
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(drain_seconds + _STUCK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, name="owner", daemon=True).start()


@contextmanager
def temporary(folder: Path) -> Iterator[None]:
    """Makes a data folder that only this user can read, and deletes it at the end of the block.

    Raises:
        ConfigError: There is something in it, which may not be temporary.
    """
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"--temporary: {folder} is not empty; only an empty folder is deleted")
    try:
        # Within the block that deletes it: a signal between the two would leave the folder.
        folder.mkdir(mode=0o700, exist_ok=True)
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
