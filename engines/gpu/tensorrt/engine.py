"""The engine of NVIDIA GPUs: a TensorRT plan in half precision, padded to length buckets."""

import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from typing import Any

from twopass.engines.base.engine import EngineInfo, PaddedLayout
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import InputTooLongError, UnsupportedModelError
from twopass.engines.gpu.device_kind import device_kind, require_driver
from twopass.engines.gpu.slots import Slot, SlotPipeline
from twopass.engines.gpu.tensorrt.api import BuildLog, TensorRT, find_tensorrt
from twopass.engines.gpu.tensorrt.cuda_device import opened_device
from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, default_plan_folder
from twopass.engines.gpu.tensorrt.plan_slots import Output, PlanRunner, TensorRtSlot
from twopass.engines.gpu.tensorrt.plans import MAX_BATCH_TOKENS, PlanRequest, build_into
from twopass.engines.gpu.tensorrt.support import ensure_runs, refused
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder

_logger = logging.getLogger("twopass.engines")

NUM_SLOTS = 2


class TensorRtEngine:
    """A plan on a GPU and the slots that feed it; an `Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        max_batch_tokens: int = MAX_BATCH_TOKENS,
        use_graphs: bool = True,
        gpu_index: int = 0,
    ) -> None:
        """Opens the model's plan, which is built first where the cache has none.

        Args:
            folder: The model.
            max_batch_tokens: Most tokens of a forward pass, padding counted.
            use_graphs: Whether to replay CUDA graphs; without, each kernel is launched anew.
            gpu_index: Which GPU of the machine it is on, from 0.

        Raises:
            EngineUnavailableError: TensorRT, pycuda, the driver or a GPU that TensorRT accepts is
                missing; says which.
            ModelError: TensorRT refuses the model.
        """
        if not folder.weight_files:
            raise UnsupportedModelError(
                f"{folder.path}: no model.safetensors, which the engine tensorrt reads; "
                "its model.onnx runs on the engine onnxruntime"
            )
        require_driver()  # before anything is imported: most machines have none
        tensorrt = find_tensorrt()
        # By the driver alone: a GPU that is refused needs no pycuda to hear so.
        gpu = device_kind(gpu_index)
        ensure_runs(tensorrt, gpu, PlanCache(default_plan_folder()))
        request = PlanRequest(folder, tensorrt, str(gpu), max_batch_tokens)
        grid = request.grid
        output = _output_of(folder)
        self.output_width = output.width
        self._pipeline = SlotPipeline(
            f"tensorrt-{folder.spec.id}",
            partial(_opened_slots, request, output, use_graphs, gpu_index),
            grid.plan,
        )
        self.info = EngineInfo(
            engine="tensorrt",
            precision="fp16",
            device=gpu.name,
            max_seq_len=folder.spec.max_seq_len,
            layout=PaddedLayout(grid.buckets),
            max_batch_tokens=grid.max_batch_tokens,
            max_in_flight=self._pipeline.num_slots,
        )

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        longest = int(batch.lengths.max(initial=1))
        if longest > self.info.max_seq_len:
            refused: Future[Float32s] = Future()
            refused.set_exception(InputTooLongError(longest, self.info.max_seq_len))
            return refused
        return self._pipeline.submit(batch)

    def close(self) -> None:
        """Finishes what was submitted and frees the GPU's memory."""
        self._pipeline.close()


def _output_of(folder: ModelFolder) -> Output:
    if folder.spec.kind is ModelKind.RERANKER:
        return Output("logits", ())
    width = folder.head.output_width(read_architecture(folder.config).hidden_size)
    return Output("embeddings", (width,))


@contextmanager
def _opened_slots(
    request: PlanRequest, output: Output, use_graphs: bool, gpu_index: int
) -> Iterator[Sequence[Slot]]:
    """The GPU, the plan on it, and the slots, captured and warm."""
    with opened_device(gpu_index) as device:
        runner = PlanRunner(device, request.tensorrt, _opened_plan(request), request.grid)
        slots = [TensorRtSlot(runner, output) for _ in range(NUM_SLOTS)]
        began = time.perf_counter()
        for slot in slots:
            slot.prepare(use_graphs=use_graphs)
        _logger.info(
            "shapes prepared",
            extra={
                "model": request.folder.spec.id,
                "shapes": sum(len(request.grid.steps(b)) for b in request.grid.buckets),
                "slots": len(slots),
                "seconds": round(time.perf_counter() - began, 1),
            },
        )
        try:
            yield slots
        finally:  # everything on the GPU goes before its context does
            for slot in slots:
                slot.close()
            slots.clear()
            del runner


def _opened_plan(request: PlanRequest) -> Any:
    """The model's plan, deserialised on this thread's GPU."""
    cache = PlanCache(default_plan_folder())
    plan = cache.get(request.key)
    if plan is not None:
        engine, log = _deserialised(request.tensorrt, plan)
        if engine is not None:
            return engine
        _logger.warning("cached plan does not open, building it anew: %s", _words(log))
    built, _ = build_into(cache, request)
    engine, log = _deserialised(request.tensorrt, built.data)
    if engine is None:
        raise refused(request.tensorrt, request.gpu, _words(log), cache)
    return engine


def _deserialised(tensorrt: TensorRT, plan: bytes) -> tuple[Any, BuildLog]:
    log = BuildLog()
    runtime = tensorrt.module.Runtime(log.logger(tensorrt))
    return runtime.deserialize_cuda_engine(plan), log


def _words(log: BuildLog) -> str:
    return "; ".join(log.errors) or "it gave no reason"
