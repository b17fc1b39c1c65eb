"""A server in a process of its own, for as long as a `with` block lasts.

The server ends with the process that started it, however that ends: the server's standard input is
a pipe whose other end that process alone holds. The kernel closes it even after SIGKILL.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, NoReturn, Self

COMPUTES_ALL = ("--score-cache-bytes", "0")
"""Flags of a server whose engines are measured: what is asked again is computed again."""

_ENDINGS = (signal.SIGTERM, signal.SIGHUP)
_WAIT_SECONDS = 0.5
# Settings of who may come in, where, and for what, and of where collections are. Variables that
# give them to a public server on this machine would keep out the process that a local one is for,
# or take the public one's ports, or write into its store.
_OF_PUBLIC_SERVERS = frozenset(
    f"TWOPASS_{name}"
    for name in (
        *("ROLE", "INSECURE", "TLS_CERTIFICATE", "TLS_KEY", "TLS_CLIENT_CA", "KEYS"),
        *("METRICS_ADDRESS", "HTTP_ADDRESS", "HTTP_CORS_ORIGINS", "TEI_ADDRESS"),
        "STORE",
    )
)


class LocalServerError(Exception):
    """The process ended before it served; the message has the last line it wrote."""


class LocalServer:
    """Runs `twopass serve` on a free port of the loopback interface.

    A SIGTERM to this process, or the end of its terminal, leaves the block by `SystemExit`, so that
    what is temporary is deleted; see `orderly_end`.

    Settings of models and limits come from `TWOPASS_` variables where its flags don't give them;
    keys, certificates, further addresses and a store come from its flags alone.

    Attributes:
        target: Where it listens, host:port; known inside the block.
        http_url: Where it answers over HTTP; "" where its flags ask for none.
    """

    def __init__(
        self, data: Path | None, *, flags: tuple[str, ...] = (), log: Path | None = None
    ) -> None:
        """Prepares a server.

        Args:
            data: Folder of its collections; None for a temporary one, which the server makes, and
                deletes itself when it ends.
            flags: Further flags of `twopass serve`.
            log: File its log goes to; None drops it.
        """
        self.target = self.http_url = ""
        self._data = data
        self._flags = flags
        self._log = log
        self._process: subprocess.Popen[str] | None = None
        self._drain: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Starts the process and returns when it serves.

        Raises:
            LocalServerError: The process ended first.
        """
        with ExitStack() as undo:
            undo.enter_context(orderly_end())
            data = self._data or undo.enter_context(_temporary_folder())
            log = undo.enter_context(self._log.open("w", encoding="utf-8")) if self._log else None
            theirs, ours = os.pipe()
            undo.callback(self._wait_for_end)
            undo.callback(_Lifeline(ours).let_go)
            self._start(data, theirs)
            assert self._process is not None
            assert self._process.stderr is not None
            self._drain = threading.Thread(
                target=_drain, args=(self._process.stderr, log), name="server-log", daemon=True
            )
            self.target = self._wait_until_serving(self._process.stderr, log)
            self._drain.start()
            self._undo = undo.pop_all()
        return self

    def _start(self, data: Path, standard_input: int) -> None:
        command = [
            *(sys.executable, "-m", "twopass.commands.main", "serve", "--stop-at-eof"),
            *(("--temporary",) if self._data is None else ()),
            *(
                "--data",
                str(data),
                "--store",
                "",
                "--address",
                "127.0.0.1:0",
                "--log-format",
                "json",
            ),
            *self._flags,
        ]
        try:
            # In a group of its own it hears no Ctrl-C: this process does, and ends it once.
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and command
                command,
                stdin=standard_input,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                encoding="utf-8",
                errors="replace",
                env={k: v for k, v in os.environ.items() if k.upper() not in _OF_PUBLIC_SERVERS},
                process_group=0,
            )
        finally:
            os.close(standard_input)

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        assert self._process is not None
        return self._process.pid

    def wait(self) -> int:
        """Waits until the server ends by itself; returns its exit status."""
        assert self._process is not None
        # A signal that comes just before a wait begins does not interrupt it, so waits are short.
        # The log ends with the server.
        while self._drain is not None and self._drain.is_alive():
            self._drain.join(_WAIT_SECONDS)
        return self._process.wait()

    def _wait_until_serving(self, lines: IO[str], log: IO[str] | None) -> str:
        last = ""
        for line in lines:
            if log:
                log.write(line)
                log.flush()
            record = _log_record(line)
            if record is None:  # from before logging was set up: a failure in plain text
                last = line.strip() or last
            elif record["message"] == "serving" and "address" in record:
                self.http_url = str(record.get("http", ""))
                return str(record["address"])
            elif record["level"] == "critical":
                last = str(record["message"])
        raise LocalServerError(
            f"the server ended with status {self.wait()} before it served: {last}"
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Lets the server drain, and waits for its end; interrupted here, it ends all the same."""
        self._undo.close()

    def _wait_for_end(self) -> None:
        if self._process is None:  # it could not be started
            return
        if self._drain is not None and self._drain.ident is None:  # it has not served yet
            self._drain.start()
        self._process.wait()
        if self._drain is not None:
            self._drain.join()


@contextmanager
def orderly_end() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP, where they would end this process, leave the block by `SystemExit`.

    So what is temporary is deleted, and what was started ends, before the process does. Where
    something else handles a signal, or ignores it as nohup does, or this is not the main thread,
    which alone may set handlers, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = [each for each in _ENDINGS if signal.getsignal(each) is signal.SIG_DFL]
    for each in handled:
        signal.signal(each, _leave)
    try:
        yield
    finally:
        for each in handled:
            signal.signal(each, signal.SIG_DFL)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(128 + number)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """A name for a folder that the server makes; what it leaves there is deleted at the end.

    Made here, the folder would stay where this process is killed before it has started the server.
    """
    folder = Path(tempfile.gettempdir()) / f"twopass-{secrets.token_hex(8)}"
    owner = os.getpid()
    try:
        yield folder
    finally:
        if os.getpid() == owner:  # a forked child that leaves the block deletes nothing
            shutil.rmtree(folder, ignore_errors=True)


class _Lifeline:
    """Our end of the pipe by which a server notices that this process is gone.

    Programs that this process starts don't inherit it. Forked children, such as the workers of a
    data loader, close it at once: held by one that outlives us, it would keep the server alive.
    """

    _held: ClassVar[set[int]] = set()

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._held.add(descriptor)

    def let_go(self) -> None:
        """Closes it, once, in the process that opened it."""
        if self._descriptor in self._held:
            self._held.remove(self._descriptor)
            os.close(self._descriptor)

    @classmethod
    def let_go_of_all(cls) -> None:
        """Closes those that this process has."""
        while cls._held:
            os.close(cls._held.pop())


os.register_at_fork(after_in_child=_Lifeline.let_go_of_all)


def _log_record(line: str) -> dict[str, Any] | None:
    """The fields of a line of the server's log; None where it is something else."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_record = isinstance(record, dict) and record.keys() >= {"message", "level"}
    return record if is_record else None


def _drain(lines: IO[str], log: IO[str] | None) -> None:
    """Reads the server's log, so that the server never waits for a full pipe."""
    for line in lines:
        if log:
            log.write(line)
            log.flush()
    lines.close()
