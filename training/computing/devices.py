"""What computes a training: how much at once, how many processes beside it, and copies to it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from twopass._core import available_cpus
from twopass.engines.base.sequences import Int32s
from twopass.training.examples.layout import PartSize

# About 1 GiB of activations for a hidden size of 384. A part's tokens are a multiple of 128, so
# that at most 32 sizes of products are ever compiled.
_CPU = PartSize(tokens=4_096, grain=128, per_rectangle=256)
# Products are fastest at multiples of eight rows in 16 bits. Beyond so many tokens none is faster.
_CUDA_GRAIN, _CUDA_MOST_TOKENS, _CUDA_FEWEST_TOKENS = 8, 262_144, 8_192
# Where attention is padded on a GPU, each rectangle takes launches, in whose time it reads many
# tokens, so that padding is cheaper than another rectangle unless it is a lot.
_CUDA_PER_RECTANGLE = 8_192
# Share of a GPU's memory that activations may take: the rest is for the allocator's gaps, and for
# what products and attention need meanwhile. Of all of it, not of what is free: how a step is
# divided decides how its sums are rounded, and another run is to give the same weights.
_SHARE_OF_MEMORY = 0.5
# One process prepares several times what a GPU reads; more than a few would only take cores from
# the launching one.
_MOST_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Computing:
    """How a training is computed; on which examples is no question of it.

    Attributes:
        workers: Processes that prepare examples; 0 for none but the one that trains, None for what
            suits the device: up to 4 beside a GPU, none beside a CPU, all of whose cores a step
            takes. The weights are the same, bit for bit, however many there are.
        deterministic: Whether a GPU uses only kernels whose sums have one order, so that the same
            seed gives the same weights; without, the backward pass of attention is faster.
        compiled: Whether what stands between two attentions is compiled (`torch.compile`), which
            takes a minute at the start and needs a C compiler: fewer passes over memory.
        packed: Whether sequences are computed end to end, where the model's family is known. Else
            they are padded to rectangles, as they are for other families.
    """

    workers: int | None = None
    deterministic: bool = True
    compiled: bool = False
    packed: bool = True


def num_workers(device: torch.device, wanted: int | None) -> int:
    """How many processes prepare examples."""
    if wanted is not None:
        return wanted
    return max(1, min(_MOST_WORKERS, available_cpus() - 1)) if device.type == "cuda" else 0


def part_size(device: torch.device, tokens: int | None, bytes_per_token: int) -> PartSize:
    """How much a device computes at once.

    Args:
        device: The device.
        tokens: Most tokens; None for what suits the device and its memory.
        bytes_per_token: What activations take until the backward pass.
    """
    if device.type != "cuda":
        return _CPU if tokens is None else PartSize(tokens, _CPU.grain, _CPU.per_rectangle)
    if tokens is None:
        memory = torch.cuda.get_device_properties(device).total_memory
        fitting = int(memory * _SHARE_OF_MEMORY / bytes_per_token)
        tokens = min(max(fitting, _CUDA_FEWEST_TOKENS), _CUDA_MOST_TOKENS)
    return PartSize(tokens, _CUDA_GRAIN, _CUDA_PER_RECTANGLE)


def use_deterministic_kernels(device: torch.device) -> None:
    """Makes a GPU's sums have one order in all of this process; on a CPU they have.

    The backward pass of attention then adds the shares of its blocks in turn instead of as they
    come (`deterministic` of FlashAttention 2).
    """
    if device.type != "cuda":
        return
    # Asked for by PyTorch before the first product: cuBLAS then has a workspace for each stream.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # By default it also fills every new tensor, which is for finding faults.
    torch.utils.deterministic.fill_uninitialized_memory = False


class Copies:
    """Copies arrays to a device; to a GPU in a stream of their own, beside what it computes."""

    def __init__(self, device: torch.device) -> None:
        """Prepares a stream where the device has streams."""
        self._device = device
        self._stream: Any = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._free_last: Callable[[], None] = lambda: None

    def to_device(self, arrays: list[Int32s], free: Callable[[], None]) -> list[torch.Tensor]:
        """Copies arrays, and frees those of the call before.

        Args:
            arrays: What to copy; on a CPU it is used in place.
            free: Called by the next call, when nothing reads the arrays any more.
        """
        self._free_last()
        tensors = [torch.from_numpy(array) for array in arrays]
        self._free_last = free
        if self._stream is None:
            return tensors
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            there = [
                (tensor if tensor.is_pinned() else tensor.pin_memory()).to(
                    self._device, non_blocking=True
                )
                for tensor in tensors
            ]
            copied = self._stream.record_event()
        computing.wait_event(copied)
        for tensor in there:
            tensor.record_stream(computing)  # its memory is the copying stream's

        def copied_and_free() -> None:
            copied.synchronize()  # for a copy, not for what is computed: long done by the next call
            free()

        self._free_last = copied_and_free
        return there


def page_locker(device: torch.device) -> Callable[[Int32s], Callable[[], None]]:
    """What locks memory in place, so that a GPU copies from it while the host goes on.

    Where the driver refuses, memory stays as it is: it is then copied once more.
    """
    if device.type != "cuda":
        return lambda _: lambda: None

    def lock(array: Int32s) -> Callable[[], None]:
        runtime: Any = torch.cuda.cudart()
        locked = int(runtime.cudaHostRegister(array.ctypes.data, array.nbytes, 0)) == 0
        return lambda: runtime.cudaHostUnregister(array.ctypes.data) if locked else None

    return lock
