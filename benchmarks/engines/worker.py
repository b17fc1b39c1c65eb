"""What runs in an engine's own process: loading, then turns as they are asked for."""

import ctypes
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

import numpy as np

from twopass.benchmarks.engines.adapters.base import Adapter, AdapterModule, Forward, Source
from twopass.benchmarks.engines.batching import Order, packed_plan, padded_plan, select
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch

# A turn begins with so much untimed work: another engine had the caches before.
_WARM_UP_SECONDS = 0.5
# No pass begins after so long: of large models fewer tell as much.
_LONGEST_TURN_SECONDS = 3.0
_LONGEST_REASON = 300
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Ready:
    """The engine is loaded.

    Attributes:
        device: What it says it runs on.
        is_packed: Whether it computes no padding, so that order means nothing to it.
    """

    device: str
    is_packed: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine is missing or can't compute this model, with the reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Case:
    """What to compute.

    Attributes:
        name: Unique; what is prepared for it is kept while turns of the same case follow.
        batch: All sequences, in the order given.
        order: How an engine that pads cuts them into batches.
        passes: How often a turn computes all of them, at most: none begins after three seconds.
        warm_up: Whether a turn begins with untimed work.
    """

    name: str
    batch: TokenBatch
    order: Order
    passes: int
    warm_up: bool = True


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of a turn.

    Attributes:
        seconds: Of each pass over all sequences.
        results: Of the last pass, in the order given.
    """

    seconds: tuple[float, ...]
    results: Float32s


def export(connection: Connection, log: Path, module: str, source: Source) -> None:
    """Answers None once the weights are in the engine's format, or `Refused`."""
    _end_with_parent()
    _write_to(log)
    _answer(connection, lambda: _adapter_module(module).export(source))


def serve(connection: Connection, log: Path, module: str, source: Source, num_threads: int) -> None:
    """Answers `Ready`, then a `Turn` to each `Case` until there is none; or `Refused`."""
    _end_with_parent()
    _write_to(log)
    loaded: list[Adapter] = []

    def load() -> Ready:
        adapter = _adapter_module(module).load(source, num_threads)
        loaded.append(adapter)
        return Ready(adapter.device, adapter.max_batch_tokens is not None)

    _answer(connection, load)
    if not loaded:
        return
    prepared: _Prepared | None = None
    while (case := connection.recv()) is not None:
        if prepared is None or prepared.name != case.name:
            prepared = _Prepared(loaded[0], case)
        _answer(connection, prepared.turn)


class _Prepared:
    """A case in the form an engine takes."""

    def __init__(self, adapter: Adapter, case: Case) -> None:
        lengths = case.batch.lengths
        self.name = case.name
        self._passes = case.passes
        self._is_warmed_up = case.warm_up
        self._plan: list[Int32s] = (
            padded_plan(lengths, case.order)
            if adapter.max_batch_tokens is None
            else packed_plan(lengths, adapter.max_batch_tokens)
        )
        self._forwards: list[Forward] = [
            adapter.prepare(select(case.batch, rows)) for rows in self._plan
        ]

    def turn(self) -> Turn:
        if self._is_warmed_up:
            self._warm_up()
        seconds: list[float] = []
        outputs: list[Float32s] = []
        while len(seconds) < self._passes and sum(seconds) < _LONGEST_TURN_SECONDS:
            began = time.perf_counter()
            outputs = [forward() for forward in self._forwards]
            seconds.append(time.perf_counter() - began)
        joined = np.concatenate(outputs)
        results = np.empty_like(joined)
        results[np.concatenate(self._plan)] = joined
        return Turn(tuple(seconds), results)

    def _warm_up(self) -> None:
        until = time.perf_counter() + _WARM_UP_SECONDS
        while time.perf_counter() < until:
            for forward in self._forwards:
                forward()
                if time.perf_counter() >= until:
                    break


def _end_with_parent() -> None:
    """Asks the kernel for SIGKILL when the parent is gone: a stopped process would never notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Gone before it could be asked for: nobody would send the signal any more.
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:
        os._exit(1)


def _write_to(log: Path) -> None:
    """Sends what libraries print, from C++ too, to a file."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _adapter_module(name: str) -> AdapterModule:
    module = import_module(f"twopass.benchmarks.engines.adapters.{name}")
    return cast("AdapterModule", module)


def _answer(connection: Connection, act: Callable[[], object]) -> None:
    try:
        connection.send(act())
    except Exception as error:  # whatever libraries raise is a line in the report
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        connection.send(Refused(reason[:_LONGEST_REASON]))
