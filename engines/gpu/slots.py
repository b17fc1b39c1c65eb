"""Keeps a device busy: one thread that owns it, and a few slots whose batches are in flight.

While a slot's batch computes, the next is packed into another's buffers and copied. Nothing here
knows what the device is.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Protocol

import numpy as np

from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import DeviceError, EngineError, OutOfDeviceMemoryError
from twopass.engines.onnx.bucket_grid import Launch

_logger = logging.getLogger("twopass.engines")


class Slot(Protocol):
    """Buffers for one launch in flight. Both methods are called by the thread that opened it."""

    def start(self, batch: TokenBatch, launch: Launch) -> None:
        """Packs a launch's sequences and queues copies and computation, waiting for none.

        Raises:
            OutOfDeviceMemoryError: It does not fit; the slot can be used again.
            DeviceError: The device failed.
        """

    def finish(self) -> Float32s:
        """Waits for the launch; float32 `[num_rows, …]`, valid until the next start.

        Raises:
            OutOfDeviceMemoryError: It did not fit; the slot can be used again.
            DeviceError: The device failed.
        """


OpenSlots = Callable[[], AbstractContextManager[Sequence[Slot]]]
"""Opens a device and its slots on the thread that calls it, and closes both after the block."""


@dataclass(slots=True)
class _Task:
    """A submitted batch on its way."""

    batch: TokenBatch
    future: Future[Float32s]
    num_left: int
    output: Float32s | None = None

    def deliver(self, launch: Launch, values: Float32s) -> None:
        if self.output is None:
            self.output = np.empty((len(self.batch), *values.shape[1:]), np.float32)
        self.output[launch.rows] = values
        self.num_left -= len(launch.rows)
        if not self.num_left and not self.future.done():
            self.future.set_result(self.output)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(frozen=True, slots=True)
class _Piece:
    """One launch of a task."""

    task: _Task
    launch: Launch
    is_half: bool = False


class SlotPipeline:
    """Batches in, results out, in flight as many as there are slots."""

    def __init__(
        self,
        name: str,
        open_slots: OpenSlots,
        plan: Callable[[TokenBatch], list[Launch]],
        *,
        idle: Callable[[], bool] = lambda: False,
    ) -> None:
        """Opens the device on a thread of its own.

        Args:
            name: Of the thread.
            open_slots: Opens the device; whatever it raises is raised here.
            plan: Splits a batch into launches.
            idle: Does a little work on that thread while nothing waits and nothing is under way;
                called again until it returns False, or something waits.
        """
        self._plan = plan
        self._idle = idle
        self._queue = SimpleQueue[_Piece | None]()
        self._lock = Lock()
        self._is_closed = False
        self._failure: DeviceError | None = None
        opened: Future[int] = Future()
        self._thread = Thread(target=self._run, args=(open_slots, opened), name=name, daemon=True)
        self._thread.start()
        self.num_slots = opened.result()

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch; its future gives a row for each sequence, in batch order.

        The future raises `DeviceError` once the device has failed, now or earlier, and
        `EngineError` where even half the batch does not fit into its memory.

        Raises:
            RuntimeError: The pipeline is closed.
        """
        future: Future[Float32s] = Future()
        future.set_running_or_notify_cancel()
        task = _Task(batch, future, len(batch))
        launches = self._plan(batch)
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the engine is closed")
            if self._failure is not None:
                task.fail(self._failure)
                return future
            for launch in launches:
                self._queue.put(_Piece(task, launch))
        return future

    def close(self) -> None:
        """Finishes what was submitted, and closes the device. Idempotent."""
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self, open_slots: OpenSlots, opened: Future[int]) -> None:
        try:
            with open_slots() as slots:
                opened.set_result(len(slots))
                flights = _Flights(slots)
                try:
                    self._serve(flights)
                except DeviceError as error:
                    self._fail(flights, error)
                except Exception as error:  # a mistake of ours: nobody is to wait for ever
                    self._fail(flights, DeviceError(f"{type(error).__name__}: {error}"))
        except BaseException as error:
            if opened.done():  # closing a failed device may well fail
                _logger.warning("device not closed cleanly: %s", error)
            else:
                opened.set_exception(error)

    def _serve(self, flights: "_Flights") -> None:
        """Starts what waits while a slot is free, finishes the oldest flight otherwise."""
        is_open = True
        while is_open or flights.are_under_way:
            piece = None
            if is_open and flights.have_room:
                if not flights.are_under_way:
                    self._do_idle_work()
                try:
                    piece = self._queue.get(block=not flights.are_under_way)
                    is_open = piece is not None
                except Empty:
                    pass
            if piece is not None:
                flights.start(piece)
            elif flights.are_under_way:
                flights.finish()

    def _do_idle_work(self) -> None:
        while self._queue.empty() and self._idle():
            pass

    def _fail(self, flights: "_Flights", error: DeviceError) -> None:
        """Answers everything that waits, and all that will come, with the device's failure."""
        _logger.error("device failed: %s", error)
        with self._lock:
            self._failure = error
        flights.fail(error)
        while not self._queue.empty():
            if piece := self._queue.get():
                piece.task.fail(error)


class _Flights:
    """Slots, and the launches that are under way in them, oldest first."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._free = deque(slots)
        self._flying: deque[tuple[Slot, _Piece]] = deque()

    @property
    def have_room(self) -> bool:
        return bool(self._free)

    @property
    def are_under_way(self) -> bool:
        return bool(self._flying)

    def start(self, piece: _Piece) -> None:
        if piece.task.future.done():  # another of its launches failed
            return
        slot = self._free.popleft()
        self._flying.append((slot, piece))
        try:
            slot.start(piece.task.batch, piece.launch)
        except DeviceError:
            raise
        except Exception as error:
            self._flying.pop()
            self._free.append(slot)
            self._recover(piece, error)

    def finish(self) -> None:
        slot, piece = self._flying[0]
        try:
            piece.task.deliver(piece.launch, slot.finish())
        except DeviceError:
            raise
        except Exception as error:
            self._land(slot)
            self._recover(piece, error)
        else:
            self._land(slot)

    def fail(self, error: DeviceError) -> None:
        for _, piece in self._flying:
            piece.task.fail(error)

    def _land(self, slot: Slot) -> None:
        self._flying.popleft()
        self._free.append(slot)

    def _recover(self, piece: _Piece, error: Exception) -> None:
        """Computes a launch that did not fit as two, one after the other, with nothing beside."""
        launch = piece.launch
        if not isinstance(error, OutOfDeviceMemoryError):
            piece.task.fail(error)
            return
        size = f"{len(launch.rows)} sequences of {launch.seq_len} tokens"
        if piece.is_half or len(launch.rows) == 1:
            piece.task.fail(EngineError(f"{size} do not fit into the device's memory: {error}"))
            return
        _logger.warning("%s do not fit into the device's memory: trying halves (%s)", size, error)
        self._land_all()
        for half in launch.halves():
            self.start(_Piece(piece.task, half, is_half=True))
            self._land_all()

    def _land_all(self) -> None:
        while self._flying:
            self.finish()
