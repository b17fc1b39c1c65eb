"""What can be known of a device without one; what a device does is in tests/gpu."""

import ctypes
import sys
from types import ModuleType

import pytest

from twopass.engines.errors import DeviceError, EngineUnavailableError, OutOfDeviceMemoryError
from twopass.engines.gpu.device_kind import DeviceKind, require_driver
from twopass.engines.gpu.tensorrt import cuda_device as module
from twopass.engines.gpu.tensorrt.api import TensorRT
from twopass.engines.gpu.tensorrt.cuda_device import CudaDevice, gpu_of, opened_device


class DriverError(Exception):
    pass


class NoMemoryError(DriverError):
    pass


class FakeContext:
    current = 0

    def push(self):
        FakeContext.current += 1

    def pop(self):
        FakeContext.current -= 1


class FakeDevice:
    def __init__(self, index):
        self.index = index

    def name(self):
        return f"GPU number {self.index}"

    def retain_primary_context(self):
        return FakeContext()

    @staticmethod
    def count():
        return 2


@pytest.fixture
def driver(monkeypatch):
    """pycuda's driver module with two GPUs, as far as opening them goes."""
    package, module = ModuleType("pycuda"), ModuleType("pycuda.driver")
    module.init = lambda: None
    module.Device = FakeDevice
    module.Error, module.MemoryError = DriverError, NoMemoryError
    package.driver = module
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", module)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    return module


def test_without_a_driver_its_library_is_named(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    for look in (require_driver, opened_device().__enter__):
        with pytest.raises(EngineUnavailableError, match=r"no NVIDIA driver .*libcuda\.so\.1"):
            look()


def test_without_pycuda_the_extra_is_named(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with (
        pytest.raises(EngineUnavailableError, match=r"pycuda is not installed .*'pycuda>="),
        opened_device(),
    ):
        pass


def test_a_driver_that_does_not_start_is_unavailable_with_its_words(driver):
    def refuse():
        raise DriverError("cuInit failed: system not yet initialized")

    driver.init = refuse
    with (
        pytest.raises(EngineUnavailableError, match=r"does not start .*not yet initialized"),
        opened_device(),
    ):
        pass


def test_a_gpu_that_is_not_there_is_refused_with_the_count(driver):
    with (
        pytest.raises(EngineUnavailableError, match="GPU 2 asked for, the driver shows 2"),
        opened_device(2),
    ):
        pass


def test_the_primary_context_is_current_for_the_block_and_no_longer(driver):
    with opened_device(1):
        assert FakeContext.current == 1
    assert FakeContext.current == 0


def test_a_portable_plan_needs_no_gpu_and_a_tuned_one_is_for_this_one(monkeypatch):
    monkeypatch.setattr(module, "device_kind", lambda: DeviceKind("NVIDIA X", (9, 0)))
    assert gpu_of(TensorRT("tensorrt_rtx", "1.7", None)) == "any"
    assert gpu_of(TensorRT("tensorrt", "11.4", None)) == "NVIDIA X, compute capability 9.0"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(NoMemoryError, OutOfDeviceMemoryError), (DriverError, DeviceError)],
)
def test_memory_that_runs_out_is_told_from_a_failed_device(driver, raised, expected):
    device = CudaDevice(driver, "GPU number 0")
    with pytest.raises(expected, match="GPU number 0: what pycuda said"), device.errors():
        raise raised("what pycuda said")
