"""The CUDA device through pycuda; its graphs, which pycuda lacks, through cuda-python.

Everything here but `gpu_of` runs on the one thread that opened the device: the primary context is
current there alone. Other libraries of the process (faiss, PyTorch) share that context.
"""

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from twopass.engines.errors import DeviceError, EngineUnavailableError, OutOfDeviceMemoryError
from twopass.engines.gpu.device_kind import device_kind, require_driver
from twopass.engines.gpu.tensorrt.api import TensorRT
from twopass.engines.installing import how_to_install

_logger = logging.getLogger("twopass.engines")


def gpu_of(tensorrt: TensorRT) -> str:
    """What a plan of this TensorRT is to be built for: nothing in particular where it is portable.

    Raises:
        EngineUnavailableError: TensorRT builds for the GPU it runs on, and this machine has none.
    """
    return "any" if tensorrt.is_portable else str(device_kind())


def _driver() -> Any:
    require_driver()
    try:
        driver = importlib.import_module("pycuda.driver")
        driver.init()
    except ImportError as error:
        raise EngineUnavailableError(
            f"pycuda is not installed in working order ({error}): {how_to_install('pycuda')}, "
            "which needs a CUDA toolkit"
        ) from error
    except Exception as error:  # pycuda's errors can't be named before it is imported
        raise EngineUnavailableError(f"the NVIDIA driver does not start ({error})") from error
    return driver


def _device(driver: Any, index: int) -> Any:
    count = driver.Device.count()
    if index >= count:
        raise EngineUnavailableError(f"GPU {index} asked for, the driver shows {count}")
    return driver.Device(index)


class CudaGraph:
    """Work recorded from a stream, to be launched again at a fraction of the cost."""

    def __init__(self, driver: Any, executable: Any) -> None:
        self._driver = driver
        self._executable = executable

    def launch(self, stream: Any) -> None:
        """Queues the recorded work; shapes and addresses are those of the recording.

        Raises:
            DeviceError: The driver refuses.
        """
        cuda = self._driver
        _checked(cuda, cuda.cuGraphLaunch(self._executable, cuda.CUstream(stream.handle)))

    def close(self) -> None:
        """Frees it."""
        self._driver.cuGraphExecDestroy(self._executable)


class CudaDevice:
    """A GPU with its primary context current on this thread; see `opened_device`."""

    def __init__(self, driver: Any, name: str) -> None:
        self._driver = driver
        self._name = name

    def stream(self) -> Any:
        """A stream of its own, `handle` its number."""
        return self._driver.Stream()

    def event(self) -> Any:
        """An event that marks a place in a stream, untimed."""
        return self._driver.Event(self._driver.event_flags.DISABLE_TIMING)

    def pinned(self, size: int, dtype: DTypeLike) -> NDArray[Any]:
        """A page-locked array `[size]`, which copies overlap with; its content is undefined."""
        array: NDArray[Any] = self._driver.pagelocked_empty(size, np.dtype(dtype))
        return array

    def allocate(self, num_bytes: int) -> Any:
        """Memory on the device; `int(…)` is its address; freed when nothing refers to it.

        Raises:
            OutOfDeviceMemoryError: There is not that much.
        """
        with self.errors():
            return self._driver.mem_alloc(max(1, num_bytes))

    def upload(self, target: Any, source: NDArray[Any], stream: Any) -> None:
        """Queues a copy of a page-locked array to the device."""
        self._driver.memcpy_htod_async(target, source, stream)

    def download(self, target: NDArray[Any], source: Any, stream: Any) -> None:
        """Queues a copy from the device into a page-locked array."""
        self._driver.memcpy_dtoh_async(target, source, stream)

    def capture(self, stream: Any, enqueue: Callable[[], None]) -> CudaGraph | None:
        """Records what a function queues on a stream; None where cuda-python is missing.

        Raises:
            DeviceError: The work can't be recorded.
        """
        try:
            cuda = importlib.import_module("cuda.bindings.driver")
        except ImportError as error:
            _logger.info("no CUDA graphs: cuda-python is not installed (%s)", error)
            return None
        handle = cuda.CUstream(stream.handle)
        mode = cuda.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked(cuda, cuda.cuStreamBeginCapture(handle, mode))
        try:
            enqueue()
        finally:  # a stream left capturing would refuse everything after
            ended = cuda.cuStreamEndCapture(handle)
        (graph,) = _checked(cuda, ended)
        (executable,) = _checked(cuda, cuda.cuGraphInstantiate(graph, 0))
        cuda.cuGraphDestroy(graph)
        return CudaGraph(cuda, executable)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translates pycuda's errors.

        Raises:
            OutOfDeviceMemoryError: Memory ran out; the context can still be used.
            DeviceError: Anything else, which the context does not survive.
        """
        try:
            yield
        except self._driver.MemoryError as error:
            raise OutOfDeviceMemoryError(f"{self._name}: {error}") from error
        except self._driver.Error as error:
            raise DeviceError(f"{self._name}: {error}") from error


@contextmanager
def opened_device(index: int = 0) -> Iterator[CudaDevice]:
    """Makes a GPU's primary context current on this thread for as long as the block lasts.

    Raises:
        EngineUnavailableError: No driver, no pycuda, or no such GPU; says which.
    """
    driver = _driver()
    device = _device(driver, index)
    context = device.retain_primary_context()
    context.push()
    try:
        yield CudaDevice(driver, device.name())
    finally:
        context.pop()


def _checked(cuda: Any, answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call of cuda-python returned, after the status that comes first."""
    status, *values = answer
    if status == cuda.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
        raise OutOfDeviceMemoryError(status.name)
    if status != cuda.CUresult.CUDA_SUCCESS:
        raise DeviceError(f"CUDA driver: {status.name}")
    return tuple(values)
