"""Has every signal that should end a command end it, wherever the command is when it comes.

Python raises what a signal's handler raises at whatever the main thread does. In a destructor or a
callback of an import the exception is dropped, and a library may swallow it. A signal that comes
just before a lock is waited for goes unnoticed until the wait ends. An exception in the midst of a
library's own bookkeeping leaves that broken: gRPC may then wait forever for the end of a call. So a
thread hears of signals from the system itself, and sends one again until the command has ended.
"""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

_ENDINGS = frozenset((signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)))
# After how long a command that goes on is sent the signal again, and how often before it is ended
# at once. An orderly end takes less than a second, or a few where a server drains.
_AGAIN_SECONDS = 5.0
_TIMES = 3
# Time to leave the destructor or callback in which Python dropped what the handler had raised.
_DROPPED_SECONDS = 0.1
# What the pipe carries beside the numbers of signals, which are 1 to 64.
_HEARD, _DROPPED = 0, 255
_STDERR = 2
# Progress bars hide the cursor.
_SHOW_CURSOR = b"\x1b[?25h"


class _Watch:
    """A thread that hears of signals, and what the main thread tells it."""

    def __init__(self) -> None:
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._main_thread = threading.get_ident()
        self._is_ending = False
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._was_dropped
        self._uncaught, threading.excepthook = threading.excepthook, self._was_uncaught
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        threading.Thread(target=self._run, name="interrupts", daemon=True).start()

    def tell(self, what: int) -> None:
        """Writes to the thread; what it is told is lost while the pipe is full."""
        with suppress(OSError):
            os.write(self._writing, bytes([what]))

    def end(self) -> None:
        """Ends the thread, which reads the end of the pipe."""
        if (current := signal.set_wakeup_fd(self._wakeup)) != self._writing:
            signal.set_wakeup_fd(current)  # an event loop's
        sys.unraisablehook, threading.excepthook = self._unraisable, self._uncaught
        os.close(self._writing)

    def _run(self) -> None:
        number, times, due = 0, 0, None
        while True:
            seconds = None if due is None else max(0.0, due - time.monotonic())
            if select.select([self._reading], [], [], seconds)[0]:
                told = os.read(self._reading, 1)
                if not told:
                    os.close(self._reading)
                    return
                if told[0] == _HEARD:
                    due, self._is_ending = None, False
                elif told[0] == _DROPPED and due is not None:
                    due = time.monotonic() + _DROPPED_SECONDS
                elif told[0] in _ENDINGS and due is None:
                    number, times, self._is_ending = told[0], 0, True
                    due = time.monotonic() + _AGAIN_SECONDS
            elif times == _TIMES:
                _end_at_once(number)
            else:
                times += 1
                due = time.monotonic() + _AGAIN_SECONDS
                # To the main thread, where it interrupts the wait for a lock too.
                signal.pthread_kill(self._main_thread, number)

    def _was_dropped(self, dropped: "sys.UnraisableHookArgs") -> None:
        if issubclass(dropped.exc_type, KeyboardInterrupt | SystemExit):
            self.tell(_DROPPED)
        else:
            self._unraisable(dropped)

    def _was_uncaught(self, uncaught: threading.ExceptHookArgs) -> None:
        # A library's thread whose call was interrupted half begun has nothing to say to users.
        if not self._is_ending:
            self._uncaught(uncaught)


_watch: _Watch | None = None  # at most one: signals are the process's


@contextmanager
def watched() -> Iterator[None]:
    """Sends SIGINT, SIGTERM and SIGHUP again while the block goes on after them.

    That holds where Python handles the signal, and until `heard` says that the command goes on, or
    ends in its own time. Outside the main thread, and on Windows, nothing changes.
    """
    global _watch
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and sys.platform != "win32" and _watch is None:
        _watch = _Watch()
    try:
        yield
    finally:
        if is_main:
            unwatch()


def unwatch() -> None:
    """Leaves signals to what handles them, within a block of `watched` too."""
    global _watch
    if _watch is not None:
        watch, _watch = _watch, None
        watch.end()


def heard() -> None:
    """Says that the command goes on after the signals so far, or ends in its own time."""
    if _watch is not None:
        _watch.tell(_HEARD)


def ending_status(error: BaseException) -> int | None:
    """The exit status of a command that ended by an exception; None where no signal was its cause.

    A signal that comes while a command ends, or when a library has just released a lock to wait,
    becomes another exception on the way out.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, KeyboardInterrupt):
            return 128 + signal.SIGINT
        if isinstance(cause, SystemExit) and isinstance(cause.code, int):
            return cause.code
        cause = cause.__context__
    return None


def _end_at_once(number: int) -> NoReturn:
    if os.isatty(_STDERR):
        os.write(_STDERR, _SHOW_CURSOR)
    os._exit(128 + number)


# A forked child has no such thread, and its signals are not its parent's.
os.register_at_fork(after_in_child=unwatch)
