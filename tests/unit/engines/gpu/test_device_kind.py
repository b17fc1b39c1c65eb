"""The kind of a GPU, asked of a driver that stands in for NVIDIA's."""

import ctypes

import pytest

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import DeviceKind, device_kind, num_gpus


class Driver:
    """Two GPUs of compute capability 8.9."""

    status = 0

    def cuInit(self, flags):  # the driver's name
        return self.status

    count = 2

    def cuDeviceGetCount(self, count):
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device, index):
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name, size, device):
        name.value = f"NVIDIA L{device.value}".encode()[:size]
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


@pytest.fixture
def driver(monkeypatch):
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    return driver


def test_a_kind_is_a_name_and_a_compute_capability(driver):
    assert device_kind(1) == DeviceKind("NVIDIA L1", (8, 9))
    assert str(device_kind()) == "NVIDIA L0, compute capability 8.9"


def test_a_gpu_that_is_not_there_is_told_with_how_many_are(driver):
    with pytest.raises(EngineUnavailableError, match="GPU 2 asked for, the driver shows 2"):
        device_kind(2)


def test_a_driver_that_does_not_start_is_told_by_its_number(driver):
    driver.status = 999
    with pytest.raises(EngineUnavailableError, match=r"does not start \(CUDA error 999\)"):
        device_kind()


def test_a_machine_without_a_driver_is_told_so(monkeypatch):
    def refuse(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(EngineUnavailableError, match="no NVIDIA driver on this machine"):
        device_kind()


def test_the_gpus_are_counted(driver):
    assert num_gpus() == 2


@pytest.mark.parametrize("status", [0, 100], ids=["no GPU", "CUDA_ERROR_NO_DEVICE"])
def test_a_driver_without_a_gpu_is_told_so(driver, status):
    driver.count, driver.status = 0, status
    with pytest.raises(EngineUnavailableError, match="the NVIDIA driver shows no GPU"):
        num_gpus()
