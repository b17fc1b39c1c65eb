"""Whose turn it is on the GPUs that PyTorch drives, and what its errors mean.

While a thread captures a CUDA graph, no other of the process may queue work on a GPU: PyTorch
leaves that to its callers. Streams come from a pool of 32 which it hands out again and again, so
that two engines may have the same one, and what one of them launches there would become part of
the other's graph; nor can memory be given back meanwhile.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Condition, get_ident
from typing import Any

from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError

# cudaErrorMemoryAllocation, of page-locked memory or of a graph: the context can still be used.
_NO_MEMORY = 2


class Turns:
    """Any number of threads that launch, or one that captures.

    A thread that is to capture comes before those that ask to launch after it. Neither kind of
    block may stand in another of the same thread.
    """

    def __init__(self) -> None:
        """Nobody is on the device."""
        self._changed = Condition()
        self._launching = set[int]()
        self._num_to_capture = 0
        self._is_capturing = False

    @contextmanager
    def launch(self) -> Iterator[None]:
        """A block that queues work, or gives memory back, beside others."""
        thread = get_ident()
        with self._changed:
            assert thread not in self._launching, "a turn within a turn would wait for itself"
            while self._num_to_capture:
                self._changed.wait()
            self._launching.add(thread)
        try:
            yield
        finally:
            with self._changed:
                self._launching.remove(thread)
                if not self._launching:
                    self._changed.notify_all()

    @contextmanager
    def capture(self) -> Iterator[None]:
        """A block that captures, alone."""
        with self._changed:
            assert get_ident() not in self._launching, "a turn within a turn would wait for itself"
            self._num_to_capture += 1
            while self._launching or self._is_capturing:
                self._changed.wait()
            self._is_capturing = True
        try:
            yield
        finally:
            with self._changed:
                self._is_capturing = False
                self._num_to_capture -= 1
                self._changed.notify_all()


turns = Turns()
"""Of all engines of the process, whatever their GPU: PyTorch captures one graph at a time."""


@contextmanager
def launching(torch: Any) -> Iterator[None]:
    """A block that queues work in inference mode, while nobody captures.

    Raises:
        OutOfDeviceMemoryError: It does not fit; what the block had allocated is free again.
        DeviceError: The device failed.
    """
    with turns.launch(), device_errors(torch), torch.inference_mode():
        yield


@contextmanager
def capturing(torch: Any) -> Iterator[None]:
    """The same for a block that captures a graph, while nobody launches."""
    with turns.capture(), device_errors(torch), torch.inference_mode():
        yield


@contextmanager
def device_errors(torch: Any) -> Iterator[None]:
    """Translates PyTorch's errors of a device.

    Raises:
        OutOfDeviceMemoryError: As `launching`; only where it stands in a turn.
        DeviceError: The device failed.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        _give_back(torch, error)
        raise OutOfDeviceMemoryError(str(error)) from error
    except torch.AcceleratorError as error:
        if getattr(error, "error_code", None) == _NO_MEMORY:
            _give_back(torch, error)
            raise OutOfDeviceMemoryError(str(error)) from error
        raise DeviceError(str(error)) from error  # the context does not survive it


def _give_back(torch: Any, error: BaseException) -> None:
    """Frees what a failed block had allocated, which its frames hold while the error lives."""
    traceback.clear_frames(error.__traceback__)
    # Some versions of PyTorch refuse to, for good, once a capture has broken.
    with suppress(RuntimeError):
        torch.cuda.empty_cache()
