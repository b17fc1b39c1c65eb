"""What suits a device: tokens at once, processes beside it, memory that it reads from."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra training")

from twopass.training.computing import devices  # noqa: E402

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("memory", "tokens"), [(2**30, 8_192), (24 * 2**30, 174_762), (141 * 2**30, 262_144)]
)
def test_a_gpu_computes_as_much_at_once_as_half_of_its_memory_holds(monkeypatch, memory, tokens):
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=memory)
    )
    assert devices.part_size(GPU, None, 73_728).tokens == tokens
    assert devices.part_size(GPU, 1_000, 73_728).tokens == 1_000


def test_a_cpu_computes_as_much_as_its_caches_bear():
    assert devices.part_size(CPU, None, 73_728).tokens == 4_096
    assert devices.part_size(CPU, 512, 73_728).tokens == 512


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (4, 3), (16, 4)])
def test_a_gpu_has_processes_beside_it_and_a_cpu_none(monkeypatch, cores, workers):
    monkeypatch.setattr(devices, "available_cpus", lambda: cores)
    assert devices.num_workers(GPU, None) == workers
    assert devices.num_workers(CPU, None) == 0
    assert devices.num_workers(CPU, 7) == devices.num_workers(GPU, 7) == 7


def test_sums_of_one_order_are_asked_of_a_gpu_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", asked.append)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    devices.use_deterministic_kernels(CPU)
    assert not asked
    devices.use_deterministic_kernels(GPU)
    assert asked == [True]
    assert devices.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert not torch.utils.deterministic.fill_uninitialized_memory


@pytest.mark.parametrize("refused", [False, True])
def test_memory_is_locked_for_a_gpu_and_unlocked_if_it_was(monkeypatch, refused):
    calls = []

    class Runtime:
        def cudaHostRegister(self, address, size, flags):
            calls.append(("lock", address, size, flags))
            return 1 if refused else 0

        def cudaHostUnregister(self, address):
            calls.append(("unlock", address))

    monkeypatch.setattr(torch.cuda, "cudart", Runtime)
    array = np.zeros(1_000, np.int32)
    devices.page_locker(GPU)(array)()
    address = array.ctypes.data
    unlocked = [] if refused else [("unlock", address)]
    assert calls == [("lock", address, 4_000, 0), *unlocked]
    calls.clear()
    devices.page_locker(CPU)(array)()
    assert not calls


def test_arrays_are_freed_by_the_next_copy():
    copies, freed = devices.Copies(CPU), []
    (tensor,) = copies.to_device([np.arange(5, dtype=np.int32)], lambda: freed.append(1))
    assert tensor.tolist() == [0, 1, 2, 3, 4]
    assert not freed
    copies.to_device([], lambda: freed.append(2))
    assert freed == [1]
