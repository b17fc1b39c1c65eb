"""Which GPUs a TensorRT runs on: asked before anything is built, and a refusal is remembered."""

import re
from collections.abc import Iterable
from threading import Lock

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import DeviceKind
from twopass.engines.gpu.tensorrt.api import TensorRT
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache

# Members of TensorRT-RTX's ComputeCapability, such as SM89 and SM120.
_CAPABILITY = re.compile(r"SM(\d+)(\d)")
# Only what a GPU is never changes: a driver or a library may be another one at the next start.
_OF_THE_GPU = re.compile("compute capability", re.IGNORECASE)

_refused: dict[tuple[str, str], str] = {}
_lock = Lock()


def supported_capabilities(tensorrt: TensorRT) -> tuple[tuple[int, int], ...]:
    """The compute capabilities that a TensorRT names, ascending; empty where it names none."""
    listed = getattr(tensorrt.module, "ComputeCapability", None)
    found = (_CAPABILITY.fullmatch(name) for name in dir(listed))
    return tuple(sorted((int(m[1]), int(m[2])) for m in found if m))


def ensure_runs(tensorrt: TensorRT, gpu: DeviceKind, cache: PlanCache) -> None:
    """Refuses a GPU that a TensorRT can't run on, as far as is known, in an instant.

    GPUs newer than all that are named are let through: TensorRT-RTX's plans are made for them too.

    Args:
        tensorrt: Which TensorRT.
        gpu: The GPU.
        cache: Holds what earlier processes were refused.

    Raises:
        EngineUnavailableError: It does not run there; says which GPUs it does run on.
    """
    named = supported_capabilities(tensorrt)
    capability = gpu.compute_capability
    if named and capability not in named and capability < named[-1]:
        raise EngineUnavailableError(
            f"{_label(tensorrt)} does not run on {gpu}: it names {_listed(named)}"
        )
    with _lock:
        known = _refused.get((_label(tensorrt), str(gpu)))
    if words := known or cache.refusal(_label(tensorrt), str(gpu)):
        raise EngineUnavailableError(words)


def refused(tensorrt: TensorRT, gpu: str, words: str, cache: PlanCache) -> EngineUnavailableError:
    """Remembers that a GPU was refused, and makes the error that says so.

    What is said of its compute capability is kept in the cache for later processes; anything else
    for as long as this one runs.
    """
    message = f"{_label(tensorrt)} does not run on {gpu}: {words}"
    with _lock:
        _refused[_label(tensorrt), gpu] = message
    if _OF_THE_GPU.search(words):
        cache.put_refusal(_label(tensorrt), gpu, message)
    return EngineUnavailableError(message)


def _label(tensorrt: TensorRT) -> str:
    return f"{tensorrt.name} {tensorrt.version}"


def _listed(capabilities: Iterable[tuple[int, int]]) -> str:
    return ", ".join(f"{major}.{minor}" for major, minor in capabilities)
