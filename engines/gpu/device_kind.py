"""What kind of GPU a machine has, by NVIDIA's driver alone: no package is imported for it."""

import ctypes
from dataclasses import dataclass

from twopass.engines.errors import EngineUnavailableError

# CUdevice_attribute of cuda.h.
_MAJOR, _MINOR = 75, 76
_NAME_BYTES = 256
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """A kind of GPU.

    Attributes:
        name: As the driver says.
        compute_capability: Such as (9, 0).
    """

    name: str
    compute_capability: tuple[int, int]

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return f"{self.name}, compute capability {major}.{minor}"


def require_driver() -> None:
    """Looks for NVIDIA's driver, and starts nothing.

    Raises:
        EngineUnavailableError: No driver is installed, so no GPU can be used.
    """
    _library()


def device_kind(index: int = 0) -> DeviceKind:
    """The kind of a GPU of this machine; opens nothing on it.

    Args:
        index: Which GPU, from 0.

    Raises:
        EngineUnavailableError: There is no driver, or no such GPU; says which.
    """
    driver, count = _driver()
    if index >= count:
        raise EngineUnavailableError(f"GPU {index} asked for, the driver shows {count}")
    device = ctypes.c_int()
    _check(driver.cuDeviceGet(ctypes.byref(device), index))
    name = ctypes.create_string_buffer(_NAME_BYTES)
    _check(driver.cuDeviceGetName(name, _NAME_BYTES, device))
    numbers = []
    for attribute in (_MAJOR, _MINOR):
        value = ctypes.c_int()
        _check(driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device))
        numbers.append(value.value)
    major, minor = numbers
    return DeviceKind(name.value.decode(errors="replace"), (major, minor))


def num_gpus() -> int:
    """How many GPUs the driver shows, at least one; opens nothing on them.

    Raises:
        EngineUnavailableError: There is no driver, or it shows no GPU; says which.
    """
    _, count = _driver()
    if not count:
        raise EngineUnavailableError("the NVIDIA driver shows no GPU")
    return count


def _library() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise EngineUnavailableError(
            "no NVIDIA driver on this machine: libcuda.so.1 is not there"
        ) from error


def _driver() -> tuple[ctypes.CDLL, int]:
    """The driver, started, and how many GPUs it shows."""
    driver, count = _library(), ctypes.c_int()
    status = driver.cuInit(0)
    if status == _NO_DEVICE:
        return driver, 0
    _check(status)
    _check(driver.cuDeviceGetCount(ctypes.byref(count)))
    return driver, count.value


def _check(status: int) -> None:
    if status:
        raise EngineUnavailableError(f"the NVIDIA driver does not start (CUDA error {status})")
