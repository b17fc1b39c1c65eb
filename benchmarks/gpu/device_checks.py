"""What the device and TensorRT say of themselves."""

import time
from pathlib import Path

from twopass.benchmarks.gpu.contestants import RERANKER, Field
from twopass.benchmarks.gpu.figures import figure_of
from twopass.benchmarks.gpu.nvml import watched
from twopass.benchmarks.gpu.outcome import Row
from twopass.benchmarks.gpu.scale import Scale
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import DeviceKind, device_kind
from twopass.engines.gpu.pytorch.engine import find_torch
from twopass.engines.gpu.tensorrt.api import TensorRT, find_tensorrt
from twopass.engines.gpu.tensorrt.engine import TensorRtEngine
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, default_plan_folder
from twopass.engines.gpu.tensorrt.support import ensure_runs
from twopass.engines.model.folder import open_model

# TensorRT-RTX 1.7 leaves it out. Asked of on a CPU, where no card is there to be refused.
_MADE_UP = DeviceKind("a made-up GPU", (9, 0))
_REFUSAL = "does not run on"
_PRODUCTS = 10


def tensorrts_word(scale: Scale, field: Field) -> list[Row]:
    """Whether TensorRT takes this GPU, in its own words, asked twice.

    The first time counts the import of TensorRT: it is what a user waits for.
    """
    del field
    began = time.perf_counter()
    tensorrt = find_tensorrt()
    folder = default_plan_folder()
    before = _num_plans(folder)
    words = _asked(tensorrt, scale)
    seconds = time.perf_counter() - began
    began = time.perf_counter()
    again = _asked(tensorrt, scale)
    gpu = device_kind() if scale.on_gpu else _MADE_UP
    return [
        {
            "tensorrt": f"{tensorrt.name} {tensorrt.version}",
            "GPU": str(gpu),
            "refused": _REFUSAL in words and words == again,
            "plans built": _num_plans(folder) - before,
            "seconds": seconds,
            "seconds when asked again": time.perf_counter() - began,
            "words": words or "it opens",
        }
    ]


def _asked(tensorrt: TensorRT, scale: Scale) -> str:
    """What an engine on this GPU says; "" where it opens."""
    try:
        if scale.on_gpu:
            TensorRtEngine(open_model(scale.model(RERANKER))).close()
        else:
            ensure_runs(tensorrt, _MADE_UP, PlanCache(default_plan_folder()))
    except EngineUnavailableError as error:
        return str(error)
    return ""


def _num_plans(folder: Path) -> int:
    return len(list(folder.glob("*.plan")))


def matmul_ceiling(scale: Scale, field: Field) -> list[Row]:
    """Products of large square matrices by PyTorch: what the device can do at most."""
    del field
    torch = find_torch()
    device, dtype = ("cuda", torch.float16) if scale.on_gpu else ("cpu", torch.float32)
    size = scale.matrix_size
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def wait() -> None:
        if scale.on_gpu:
            torch.cuda.synchronize()

    def speed() -> float:
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < scale.seconds:
            for _ in range(_PRODUCTS):
                torch.matmul(left, right)
            wait()
            done += _PRODUCTS
        return done * 2 * size**3 / (time.perf_counter() - began) / 1e12

    speed()  # clocks go up
    with watched() as seen:
        speeds = [speed() for _ in range(scale.turns)]
    row: Row = {"type": str(dtype), "size": size, "TFLOP/s": figure_of(speeds)}
    return [row | {"SM clock MHz": seen.clock_mhz, "busy": seen.mean_busy}]
