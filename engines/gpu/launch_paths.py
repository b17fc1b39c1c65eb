"""Which ways to launch a forward pass are on, beside launching PyTorch's kernels one by one.

Each has an environment variable: `TWOPASS_CUDA_GRAPHS=1` has it on, 0 off. Unset it is off, until
a run on a GPU has shown it there.
"""

import os
from enum import StrEnum

from twopass.engines.errors import ModelError


class LaunchPath(StrEnum):
    """What the engine torch can do on a GPU beside launching PyTorch's kernels one by one.

    In the order in which one is added to those before it: without `CUDA_GRAPHS`, the others are
    nothing. What can't be had is left out with one line in the log.
    """

    CUDA_GRAPHS = "cuda_graphs"
    """Usual shapes are launched whole."""
    FUSED_KERNELS = "fused_kernels"
    """What graphs compute between products is fused, by kernels of our own in Triton."""
    OVERLAPPED_COPIES = "overlapped_copies"
    """Copies have streams of their own; two graphs compute at once where memory has room."""


def variable_of(path: LaunchPath) -> str:
    """The environment variable that decides on a path, such as TWOPASS_CUDA_GRAPHS."""
    return f"TWOPASS_{path.value.upper()}"


def told(path: LaunchPath) -> bool | None:
    """What the path's environment variable says; None where it is unset or empty.

    Raises:
        ModelError: It is neither 0 nor 1.
    """
    variable = variable_of(path)
    given = os.environ.get(variable, "")
    if given not in {"", "0", "1"}:
        raise ModelError(f"{variable}: {given} given; it is 0 or 1")
    return given == "1" if given else None


def paths_told() -> frozenset[LaunchPath]:
    """Those whose variables have them on.

    Raises:
        ModelError: A variable is neither 0 nor 1.
    """
    return frozenset(path for path in LaunchPath if told(path))
