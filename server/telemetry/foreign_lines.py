"""Keeps a log of JSON objects free of anything else that is written to stderr.

gRPC's core, CUDA, faiss and other libraries write lines of their own, past Python's logging. File
descriptor 2 becomes a pipe, whose lines are logged by the logger `native`; the log itself goes to
where stderr went before.
"""

import atexit
import logging
import os
import re
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, TextIO

_logger = logging.getLogger("native")
_uncaught = logging.getLogger("twopass.server")

_STDERR = 2
# A process that ends does not wait for others that have inherited the pipe.
_CLOSE_SECONDS = 1.0
# What absl puts before a line: severity, month and day, and the time.
_ABSL = re.compile(r"([IWEF])\d{4} \d\d:\d\d:\d\d")
_LEVELS = {"I": logging.INFO, "W": logging.WARNING, "E": logging.ERROR, "F": logging.CRITICAL}


class ForeignLines:
    """Logs what is written to file descriptor 2, line by line, until it is closed.

    Lines that a process wrote just before it crashed may be lost in the pipe.

    Attributes:
        stderr: The original stderr, for the log and for output that must never wait.
    """

    def __init__(self) -> None:
        """Takes the place of file descriptor 2; what is written there waits for `start`."""
        sys.stderr.flush()
        self.stderr: TextIO = os.fdopen(os.dup(_STDERR), "w", encoding="utf-8", errors="replace")
        reading, writing = os.pipe()
        os.dup2(writing, _STDERR)
        os.close(writing)
        self._thread = threading.Thread(
            target=_log_lines, args=(reading,), name="foreign-lines", daemon=True
        )
        self._is_closed = False

    def start(self) -> None:
        """Begins to log, to handlers that write to `stderr` and no longer to descriptor 2."""
        # A handler's error would be printed to descriptor 2, logged from there, and fail again.
        logging.raiseExceptions = False
        self._thread.start()
        atexit.register(self.close)

    def close(self) -> None:
        """Logs what is left, and restores file descriptor 2. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(self.stderr.fileno(), _STDERR)  # ends the pipe, unless a child process holds it
        self._thread.join(_CLOSE_SECONDS)


def log_uncaught_exceptions() -> None:
    """Has exceptions that nobody catches, and Python's warnings, logged instead of printed."""
    logging.captureWarnings(True)
    sys.excepthook = _log_exception
    threading.excepthook = lambda uncaught: (
        None
        if uncaught.exc_type is SystemExit
        else _log_exception(
            uncaught.exc_type,
            uncaught.exc_value or uncaught.exc_type(),
            uncaught.exc_traceback,
            where=uncaught.thread.name if uncaught.thread else "",
        )
    )
    sys.unraisablehook = lambda unraisable: _log_exception(
        unraisable.exc_type,
        unraisable.exc_value or unraisable.exc_type(),
        unraisable.exc_traceback,
        where=repr(unraisable.object),
    )


def _log_exception(
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
    **fields: Any,
) -> None:
    _uncaught.critical("uncaught exception", exc_info=(kind, error, traceback), extra=fields)


def _log_lines(descriptor: int) -> None:
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if text := line.rstrip():
                absl = _ABSL.match(text)
                _logger.log(_LEVELS[absl[1]] if absl else logging.WARNING, "%s", text)
