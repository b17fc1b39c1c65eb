"""A model's plan: from the cache, or built and kept there."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from twopass.engines.gpu.tensorrt.api import Progress, TensorRT
from twopass.engines.gpu.tensorrt.build import Plan, build_plan, profiles_of
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, PlanKey
from twopass.engines.model.folder import ModelFolder
from twopass.engines.onnx.bucket_grid import BucketGrid
from twopass.engines.onnx.graph import GRAPH_VERSION
from twopass.engines.onnx.graph_writer import ComputeType
from twopass.engines.onnx.half_precision import graph_of

_logger = logging.getLogger("twopass.engines")

# Tokens of a forward pass, padding counted: 128 passages of 128 tokens.
MAX_BATCH_TOKENS = 16_384
ANY_GPU = "any"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What plan is wanted.

    Attributes:
        folder: The model.
        tensorrt: Which TensorRT is to run it.
        gpu: Name and compute capability of the GPU; `ANY_GPU` for a portable plan.
        max_batch_tokens: Most tokens of a forward pass, padding counted.
    """

    folder: ModelFolder
    tensorrt: TensorRT
    gpu: str = ANY_GPU
    max_batch_tokens: int = MAX_BATCH_TOKENS

    @property
    def grid(self) -> BucketGrid:
        """The shapes it covers."""
        return BucketGrid.within(self.folder.spec.max_seq_len, self.max_batch_tokens)

    @property
    def key(self) -> PlanKey:
        """What it is cached under."""
        return PlanKey(
            weights=self.folder.spec.revision,
            graph_version=GRAPH_VERSION,
            tensorrt=f"{self.tensorrt.name} {self.tensorrt.version}",
            gpu=ANY_GPU if self.tensorrt.is_portable else self.gpu,
            profiles=profiles_of(self.grid),
            precision="fp16",
        )


def cached_plan(
    cache: PlanCache, request: PlanRequest, *, progress: Progress | None = None
) -> bytes:
    """The plan from the cache, or else a new one.

    Raises:
        ModelError: TensorRT refuses the model.
        EngineError: The cache can't be written.
    """
    return cache.get(request.key) or build_into(cache, request, progress=progress)[0].data


def build_into(
    cache: PlanCache, request: PlanRequest, *, progress: Progress | None = None
) -> tuple[Plan, Path]:
    """Builds a plan and keeps it; returns where.

    Raises:
        ModelError: TensorRT refuses the model.
        EngineError: The cache can't be written.
    """
    key = request.key
    began = time.perf_counter()
    plan = build_plan(
        request.tensorrt,
        graph_of(request.folder, ComputeType.F16),
        key.profiles,
        timing_cache=cache.timing_cache(key.tensorrt, key.gpu),
        progress=progress,
    )
    file = cache.put(key, plan.data)
    if plan.timing_cache:
        cache.put_timing_cache(key.tensorrt, key.gpu, plan.timing_cache)
    _logger.info(
        "plan built",
        extra={
            "model": request.folder.spec.id,
            "tensorrt": key.tensorrt,
            "gpu": key.gpu,
            "profiles": len(key.profiles),
            "bytes": len(plan.data),
            "seconds": round(time.perf_counter() - began, 1),
        },
    )
    return plan, file
