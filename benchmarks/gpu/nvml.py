"""What NVIDIA's management library tells of a GPU, without a package and without a context on it.

Where there is no library, or it refuses, what is asked is None or empty: nothing hangs on it.
"""

import ctypes
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

_SM_CLOCK = 1  # NVML_CLOCK_SM of nvml.h
_VERSION_BYTES = 80
_SAMPLE_SECONDS = 0.05


@dataclass(slots=True)
class Watched:
    """What was seen of a GPU while a block ran.

    Attributes:
        busy: Share of the time in which some kernel ran, a value a sample, 0 to 1.
        clocks_mhz: Of the multiprocessors, a value a sample.
    """

    busy: list[float] = field(default_factory=list)
    clocks_mhz: list[int] = field(default_factory=list)

    @property
    def mean_busy(self) -> float | None:
        """The mean of `busy`; None where nothing was seen."""
        return statistics.fmean(self.busy) if self.busy else None

    @property
    def clock_mhz(self) -> float | None:
        """The median clock; None where nothing was seen."""
        return statistics.median(self.clocks_mhz) if self.clocks_mhz else None


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


def _opened() -> Any:
    """The library, started; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


def driver_version() -> str:
    """Such as 580.159.04; "" where nobody tells."""
    library = _opened()
    text = ctypes.create_string_buffer(_VERSION_BYTES)
    if library is None or library.nvmlSystemGetDriverVersion(text, _VERSION_BYTES):
        return ""
    return text.value.decode(errors="replace")


def cuda_version() -> str:
    """The newest CUDA that the driver runs, such as 13.0; "" where nobody tells."""
    library = _opened()
    number = ctypes.c_int()
    if library is None or library.nvmlSystemGetCudaDriverVersion(ctypes.byref(number)):
        return ""
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


@contextmanager
def watched(index: int = 0) -> Iterator[Watched]:
    """Looks at a GPU every 50 ms for as long as the block."""
    found = Watched()
    library = _opened()
    device = ctypes.c_void_p()
    if library is None or library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
        yield found
        return
    ended = threading.Event()

    def look() -> None:
        used, clock = _Utilization(), ctypes.c_uint()
        while not ended.wait(_SAMPLE_SECONDS):
            if not library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(used)):
                found.busy.append(used.gpu / 100)
            if not library.nvmlDeviceGetClockInfo(device, _SM_CLOCK, ctypes.byref(clock)):
                found.clocks_mhz.append(clock.value)

    looking = threading.Thread(target=look, name="nvml", daemon=True)
    looking.start()
    try:
        yield found
    finally:
        ended.set()
        looking.join()
