"""An engine in a process of its own, stopped while others have their turn.

Thread pools spin for a while after their work is done, and would rob whoever comes next: so a
process is stopped (SIGSTOP) at the end of its turn and continued at the next.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from twopass.benchmarks.engines import worker
from twopass.benchmarks.engines.adapters.base import Source
from twopass.benchmarks.engines.roster import Contender
from twopass.benchmarks.engines.worker import Case, Ready, Refused, Turn

# A fresh interpreter: nothing is inherited but the environment and the CPUs.
_context = multiprocessing.get_context("spawn")
_END_SECONDS = 10.0


class EngineRefusedError(Exception):
    """An engine is missing, can't compute the model, or died; says why."""


class EngineProcess:
    """A contender with one model loaded, waiting for its turn."""

    def __init__(self, contender: Contender, source: Source, num_threads: int) -> None:
        """Exports the weights, loads them, and stops.

        Raises:
            EngineRefusedError: It can't be done; names the reason.
        """
        if contender.omission:
            raise EngineRefusedError(contender.omission)
        log = source.exports / f"{contender.label}.log"
        exporter = _Child(log, worker.export, contender.module, source)
        try:
            exporter.receive()
        finally:
            exporter.end()
        self._child = _Child(log, worker.serve, contender.module, source, num_threads)
        try:
            ready: Ready = self._child.receive()
        except EngineRefusedError:
            self._child.end()
            raise
        self.device = ready.device
        self.is_packed = ready.is_packed
        self._child.signal(signal.SIGSTOP)

    def take_turn(self, case: Case) -> Turn:
        """Computes a case, all others being stopped.

        Raises:
            EngineRefusedError: It failed or died.
        """
        self._child.signal(signal.SIGCONT)
        self._child.send(case)
        turn: Turn = self._child.receive()
        self._child.signal(signal.SIGSTOP)
        return turn

    def close(self) -> None:
        """Ends the process."""
        self._child.signal(signal.SIGCONT)
        self._child.send(None)
        self._child.end()


class _Child:
    """A process, the pipe to it, and the file it prints to."""

    def __init__(self, log: Path, target: Callable[..., None], *arguments: Any) -> None:
        self._log = log
        self._pipe: Connection
        self._pipe, theirs = _context.Pipe()
        self._process: SpawnProcess = _context.Process(
            target=target, args=(theirs, log, *arguments), daemon=True
        )
        self._process.start()
        theirs.close()

    def signal(self, number: signal.Signals) -> None:
        if self._process.pid and self._process.is_alive():
            os.kill(self._process.pid, number)

    def send(self, message: object) -> None:
        try:
            self._pipe.send(message)
        except OSError:  # it is dead, which `receive` will tell
            return

    def receive(self) -> Any:
        try:
            answer = self._pipe.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            raise EngineRefusedError(
                f"its process ended with exit code {self._process.exitcode}{self._last_words()}"
            ) from None
        if isinstance(answer, Refused):
            raise EngineRefusedError(answer.reason)
        return answer

    def _last_words(self) -> str:
        if not self._log.exists():
            return ""
        printed = self._log.read_text(encoding="utf-8", errors="replace").split()
        return f"; it last printed: {' '.join(printed[-20:])}" if printed else ""

    def end(self) -> None:
        self._process.join(_END_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
