"""A whole server in a process of its own, started in milliseconds and killed at any moment."""

import asyncio
import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

from twopass.server.app import App
from twopass.server.config import ServerConfig
from twopass.server.telemetry.logs import configure_logging

# Children come from a process that has imported everything and started nothing: no thread of
# OpenMP or gRPC is lost in the fork, and no child pays for the imports.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload([__name__])


class KillableServer:
    """A server that runs the whole of twopass over a real socket.

    Attributes:
        pid: Of its process.
    """

    def __init__(self, config: ServerConfig, log: Path) -> None:
        """Starts the process; its log lines are appended to `log`."""
        self._log = log
        self._port, sender = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=_serve, args=(config, log, sender), daemon=True)
        self._process.start()
        sender.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def wait_until_serving(self, seconds: float) -> str:
        """Returns where it listens, or "" if it does not within so many seconds.

        Raises:
            RuntimeError: It ended by itself.
        """
        if not self._port.poll(seconds):
            return ""
        try:
            return f"127.0.0.1:{self._port.recv()}"
        except EOFError:
            self._process.join()
            raise RuntimeError(
                f"the server ended by itself, exit code {self._process.exitcode}; see {self._log}"
            ) from None

    def kill(self) -> None:
        """Ends it as `kill -9` does, and waits until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self._process.join()
        self._port.close()

    def stop(self) -> None:
        """Ends it as SIGTERM does: drained and closed."""
        self._process.terminate()
        self._process.join()
        self._port.close()


def _serve(config: ServerConfig, log: Path, port: Connection) -> None:
    with log.open("a") as stream:
        os.dup2(stream.fileno(), 2)
    configure_logging(config.log_format, config.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as `running.run` has
        runner.run(_run(config, port))


async def _run(config: ServerConfig, port: Connection) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    app = App(config)
    await app.start()
    port.send(app.port)
    await stopping.wait()
    await app.stop()
