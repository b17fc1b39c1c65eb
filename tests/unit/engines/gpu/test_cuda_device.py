"""What can be known of a device without one; what a device does is in tests/gpu."""

import ctypes
import sys
from types import ModuleType

import pytest

from twopass.engines.errors import DeviceError, EngineUnavailableError, OutOfDeviceMemoryError
from twopass.engines.gpu.cuda_device import CudaDevice, Gpu, find_gpu, gpu_of, require_driver
from twopass.engines.gpu.tensorrt_api import TensorRT


class DriverError(Exception):
    pass


class NoMemoryError(DriverError):
    pass


class FakeDevice:
    def __init__(self, index):
        self.index = index

    def name(self):
        return f"GPU number {self.index}"

    def compute_capability(self):
        return (9, 0)

    def total_memory(self):
        return 1 << 30

    @staticmethod
    def count():
        return 2


@pytest.fixture
def driver(monkeypatch):
    """pycuda's driver module with two GPUs, as far as describing them goes."""
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
    for look in (require_driver, find_gpu):
        with pytest.raises(EngineUnavailableError, match=r"no NVIDIA driver .*libcuda\.so\.1"):
            look()


def test_without_pycuda_the_extra_is_named(driver, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    with pytest.raises(EngineUnavailableError, match=r"pycuda is not installed .*'pycuda>="):
        find_gpu()


def test_a_driver_that_does_not_start_is_unavailable_with_its_words(driver):
    def refuse():
        raise DriverError("cuInit failed: system not yet initialized")

    driver.init = refuse
    with pytest.raises(EngineUnavailableError, match=r"does not start .*not yet initialized"):
        find_gpu()


def test_a_gpu_is_described_by_name_and_capability(driver):
    gpu = find_gpu(1)
    assert gpu == Gpu("GPU number 1", (9, 0), 1 << 30)
    assert str(gpu) == "GPU number 1, compute capability 9.0"


def test_a_gpu_that_is_not_there_is_refused_with_the_count(driver):
    with pytest.raises(EngineUnavailableError, match="GPU 2 asked for, the driver shows 2"):
        find_gpu(2)


def test_a_portable_plan_needs_no_gpu_and_a_tuned_one_is_for_this_one(driver):
    assert gpu_of(TensorRT("tensorrt_rtx", "1.7", None)) == "any"
    assert gpu_of(TensorRT("tensorrt", "11.4", None)) == str(find_gpu())


@pytest.mark.parametrize(
    ("raised", "expected"),
    [(NoMemoryError, OutOfDeviceMemoryError), (DriverError, DeviceError)],
)
def test_memory_that_runs_out_is_told_from_a_failed_device(driver, raised, expected):
    device = CudaDevice(driver, find_gpu())
    with pytest.raises(expected, match="GPU number 0: what pycuda said"), device.errors():
        raise raised("what pycuda said")
