"""Runs checks in processes apart, within a time: one that hangs or dies costs itself alone."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twopass.benchmarks.gpu.catalogue import Check
from twopass.benchmarks.gpu.outcome import Outcome
from twopass.benchmarks.gpu.scale import Scale
from twopass.benchmarks.gpu.worker import scale_as_json

_WORKER = "twopass.benchmarks.gpu.worker"
# A check may take so many times what it is thought to, and as long as a process takes to begin.
# A CPU may have others beside.
_TIMES, _BEGINNING_SECONDS, _BEGINNING_ON_CPU = 2.5, 30.0, 90.0
_END_SECONDS = 5.0
_TAIL_LETTERS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """What a process answered, or what became of it.

    Attributes:
        outcome: Of the check.
        broken: Engines that failed otherwise than for want of something, the first one first.
        is_over: Whether the process has ended, or is not to be used again.
    """

    outcome: Outcome
    broken: tuple[str, ...] = ()
    is_over: bool = False


class Worker:
    """A process that runs checks; see `worker.py`."""

    def __init__(self, scale: Scale, without: Sequence[str], *, with_faiss_gpu: bool) -> None:
        """Starts it.

        Args:
            scale: Of the run.
            without: Engines to leave out.
            with_faiss_gpu: Whether faiss is the package in `scale.faiss_gpu`.
        """
        asked = json.dumps({"scale": scale_as_json(scale), "without": list(without)})
        environment = dict(os.environ)
        if not scale.on_gpu:
            # PyTorch's threads wait for each other at every operation: beside other work on few
            # processors, small operations then take milliseconds.
            environment |= {"OMP_NUM_THREADS": "1"}
        if with_faiss_gpu and scale.faiss_gpu is not None:
            paths = (str(scale.faiss_gpu), environment.get("PYTHONPATH", ""))
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self._log = None if scale.logs is None else scale.logs / "checks.log"
        with (self._log or Path(os.devnull)).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own interpreter and module
                (sys.executable, "-m", _WORKER, asked),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                env=environment,
                process_group=0,  # what it starts ends with it
            )
        self._lines = queue.SimpleQueue[str]()
        threading.Thread(target=self._read, name="worker", daemon=True).start()
        self.with_faiss_gpu = with_faiss_gpu
        self._on_gpu = scale.on_gpu
        self.num_checks = 0

    def run(self, name: str, seconds: float) -> Answer:
        """Runs a check.

        Args:
            name: Of the check.
            seconds: After which the process is killed.
        """
        self.num_checks += 1
        began = time.monotonic()
        doing = "beginning"
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps({"check": name}) + "\n")
            self._process.stdin.flush()
        while True:
            left = seconds - (time.monotonic() - began)
            try:
                line = self._lines.get(timeout=max(0.0, left))
            except queue.Empty:
                self.kill()
                words = f"killed after {seconds:.0f} s, at {doing}"
                return self._dead(name, began, doing, words)
            if not line:
                status = self._process.wait()
                words = f"the process ended with status {status} at {doing}: {self._last_words()}"
                return self._dead(name, began, doing, words)
            told: dict[str, Any] = json.loads(line)
            if "doing" in told:
                doing = told["doing"]
                continue
            broken = tuple(told["broken"])
            is_over = bool(broken) or not told["is_foreseen"]
            return Answer(Outcome(**told["outcome"]), broken, is_over)

    def close(self) -> None:
        """Lets it end, or kills it where it does not."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it and what it has started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _dead(self, name: str, began: float, doing: str, words: str) -> Answer:
        outcome = Outcome(name, [], words, round(time.monotonic() - began, 1))
        engine = doing.partition(", opening")[0]
        # On a CPU it is slow; a device may hang.
        is_to_blame = self._on_gpu and engine not in (name, "beginning")
        return Answer(outcome, (engine,) if is_to_blame else (), is_over=True)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _last_words(self) -> str:
        if self._log is None or not self._log.is_file():
            return "it said nothing"
        text = self._log.read_text(encoding="utf-8", errors="replace").strip()
        return text[-_TAIL_LETTERS:].replace("\n", " / ") or "it said nothing"


class Running:
    """A run: what was measured so far, and what is left of its time."""

    def __init__(
        self,
        scale: Scale,
        *,
        end: float | None,
        on_done: Callable[[Outcome], None],
        worker: Callable[..., Worker] = Worker,
    ) -> None:
        """Starts nothing yet.

        Args:
            scale: Of the run.
            end: When it is to be over, seconds of `time.monotonic`; None without a bound.
            on_done: Told of each check when it is done or left out.
            worker: Starts a process.
        """
        self._scale = scale
        self._end = end
        self._on_done = on_done
        self._start = worker
        self._worker: Worker | None = None
        self._without: list[str] = []

    def run(self, checks: Sequence[Check]) -> None:
        """Runs checks in their order; what does not fit into the time is left out."""
        try:
            for check in checks:
                left = float("inf") if self._end is None else self._end - time.monotonic()
                expected = check.expected(self._scale)
                if expected > left:
                    words = f"left out: it takes about {expected:.0f} s, {max(0, left):.0f} s left"
                    self._on_done(Outcome(check.name, [], words))
                    continue
                self._on_done(self._measured(check, left))
        finally:
            if self._worker is not None:
                self._worker.close()

    def _measured(self, check: Check, left: float) -> Outcome:
        """A check's outcome, without an engine that broke its process, where time allows it."""
        began = time.monotonic()
        answer = self._answer(check, left)
        still = left - (time.monotonic() - began)
        if not answer.broken or check.expected(self._scale) > still:
            return answer.outcome
        # Once a device has failed, what comes after fails with it: only the first is to blame.
        first = answer.broken[0]
        self._without.append(first)
        if answer.outcome.rows and len(answer.broken) == 1:
            return answer.outcome
        again = self._answer(check, still).outcome
        words = f"again without {first} ({answer.outcome.obstacle})"
        return replace(again, obstacle="; ".join(filter(None, (words, again.obstacle))))

    def _answer(self, check: Check, left: float) -> Answer:
        fits = self._worker is not None and (
            self._worker.with_faiss_gpu == check.wants_faiss_gpu
            and not (check.is_alone and self._worker.num_checks)
        )
        if not fits:
            if self._worker is not None:
                self._worker.close()
            self._worker = self._start(
                self._scale, self._without, with_faiss_gpu=check.wants_faiss_gpu
            )
        assert self._worker is not None
        beginning = _BEGINNING_SECONDS if self._scale.on_gpu else _BEGINNING_ON_CPU
        limit = max(_TIMES * check.expected(self._scale) + beginning, check.most_seconds)
        answer = self._worker.run(check.name, min(limit, left))
        if answer.is_over or check.is_alone:
            self._worker.close()
            self._worker = None
        return answer
