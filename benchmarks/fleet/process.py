"""Servers as processes: engines apart, slowed or real, and a server in front of them.

Run as a module it is a slowed engine: `python -m twopass.benchmarks.fleet.process 20000`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from twopass.benchmarks.fleet.slowed import SlowedEngine
from twopass.engines.base.engine import Engine
from twopass.engines.base.model import LoadedModel, ModelSpec
from twopass.engines.loading import load_model
from twopass.server.config import ServerConfig
from twopass.server.config_loading import load_config
from twopass.server.config_values import ServerRole
from twopass.server.local import COMPUTES_ALL
from twopass.server.running import run
from twopass.server.telemetry.logs import LogFormat, LogLevel, configure_logging

_SERVE = (sys.executable, "-m", "twopass.commands.main", "serve", "--address", "127.0.0.1:0")
_SLOWED = (sys.executable, "-m", "twopass.benchmarks.fleet.process")


class ServerProcess:
    """A server in a process of its own, that has said where it serves.

    Attributes:
        address: Where it listens.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        """Waits until it serves.

        Args:
            process: Logs lines of JSON on its standard error.

        Raises:
            RuntimeError: It ended first; with its log.
        """
        self._process = process
        assert process.stderr is not None
        self.address = _address(process.stderr)
        # A log that nobody reads would fill its pipe; a child reads it in a process of its own.
        self._log = subprocess.Popen(
            ["cat"],  # noqa: S607  # wherever the system has it
            stdin=process.stderr,
            stdout=subprocess.DEVNULL,
        )

    def kill(self) -> None:
        """Ends it as a machine that loses power does."""
        self._process.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """Ends it in whatever state it is."""
        self._process.kill()
        self._process.wait()
        self._log.wait()

    @property
    def processor_seconds(self) -> float:
        """Processor time it has taken so far; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _address(log: IO[str]) -> str:
    lines = []
    for line in log:
        lines.append(line)
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record.get("message") == "serving":
            return str(record["address"])
    raise RuntimeError("".join(lines[-5:]))


@contextmanager
def running(*command: str, cpus: set[int] | None = None) -> Iterator[ServerProcess]:
    """A server that runs for as long as the block.

    Args:
        command: Starts it.
        cpus: The processors it may use; None for all.
    """
    process = subprocess.Popen(  # noqa: S603  # our own interpreter and command
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        if cpus:
            os.sched_setaffinity(process.pid, cpus)
        server = ServerProcess(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    try:
        yield server
    finally:
        server.stop()


def slowed_command(tokens_per_second: float) -> tuple[str, ...]:
    """What starts an engine of a fixed speed."""
    return (*_SLOWED, f"{tokens_per_second:g}")


def engine_command(threads: int) -> tuple[str, ...]:
    """What starts an engine as users have it, on the engine cpu."""
    flags = ("--role", "engine", "--engine", "cpu", "--threads", str(threads))
    return (*_SERVE, *flags, "--log-format", "json")


def front_command(engines: list[str], data: Path) -> tuple[str, ...]:
    """What starts a server in front of engines."""
    flags = ("--engines", ",".join(engines), "--data", str(data), "--log-format", "json")
    return (*_SERVE, *COMPUTES_ALL, *flags)


def _slowed_models(config: ServerConfig, tokens_per_second: float) -> list[LoadedModel]:
    def slowed(spec: ModelSpec) -> Engine:
        return SlowedEngine(spec, tokens_per_second)

    names = (config.encoder, config.reranker)
    return [load_model(name, num_threads=1, computed_by=slowed) for name in names]


def _serve(tokens_per_second: float) -> None:
    config = load_config({"role": ServerRole.ENGINE, "address": "127.0.0.1:0"})
    run(config, load=lambda each: _slowed_models(each, tokens_per_second))


if __name__ == "__main__":
    configure_logging(LogFormat.JSON, LogLevel.INFO)
    _serve(float(sys.argv[1]))
