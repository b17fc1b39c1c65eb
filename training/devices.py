"""Arrays on their way to the device that trains."""

from typing import Any

import torch
from numpy.typing import NDArray

from twopass.training.padding import PartSize

# About 1 GiB of activations for a hidden size of 384.
_CPU = PartSize(tokens=4_096, per_rectangle=256)
# Some 10 GiB. Each rectangle takes thousands of launches, in whose time a GPU reads many tokens, so
# that padding is cheaper than another rectangle unless it is a lot.
_CUDA = PartSize(tokens=65_536, per_rectangle=8_192)


def part_size(device: torch.device, tokens: int | None) -> PartSize:
    """How much a device computes at once.

    Args:
        device: The device.
        tokens: Most tokens; None for what suits the kind of device.
    """
    usual = _CUDA if device.type == "cuda" else _CPU
    return usual if tokens is None else PartSize(tokens, usual.per_rectangle)


def on_device(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """Copies an array to the device; to a GPU without waiting for it."""
    tensor = torch.from_numpy(array)
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
