"""The PyTorch engine: NVIDIA GPUs where TensorRT is missing or refuses them. It runs on CPUs too.

Packed: a batch costs the tokens it has. PyTorch is not imported before an engine is asked for.
"""

import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from twopass._core import gather_packed, plan_packed
from twopass.engines.base.engine import EngineInfo, PackedLayout, Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import EngineUnavailableError, InputTooLongError
from twopass.engines.gpu.device_kind import require_driver
from twopass.engines.gpu.launch_paths import LaunchPath, paths_told
from twopass.engines.gpu.pytorch.device import device_errors, launching, turns
from twopass.engines.gpu.pytorch.forward.encoder import TorchEncoder
from twopass.engines.gpu.pytorch.forward.fused_rows import FusedRowOps, find_kernels
from twopass.engines.gpu.pytorch.graphs.cache import GraphSwitch
from twopass.engines.gpu.pytorch.graphs.capture import InGraphs, TorchGraphs
from twopass.engines.gpu.pytorch.graphs.keys import GraphSteps
from twopass.engines.gpu.pytorch.graphs.lanes import open_lanes
from twopass.engines.gpu.pytorch.graphs.slots import GraphSlot, OverlappedSlot
from twopass.engines.gpu.slots import Slot, SlotPipeline
from twopass.engines.installing import how_to_install
from twopass.engines.model.architecture import Architecture
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.pooling import EmbeddingHead
from twopass.engines.model.weights import ModelWeights
from twopass.engines.onnx.bucket_grid import Launch
from twopass.engines.shown import paths_on

_logger = logging.getLogger("twopass.engines")

# On a GPU, 128 passages of 128 tokens fill it; on a CPU a larger batch has left the cache.
_GPU_BATCH_TOKENS, _CPU_BATCH_TOKENS = 16_384, 1_024
# One batch is copied while another computes; a CPU has but one place to compute.
_GPU_SLOTS, _CPU_SLOTS = 2, 1


def find_torch() -> Any:
    """Imports PyTorch.

    Raises:
        EngineUnavailableError: It is not installed in working order.
    """
    if importlib.util.find_spec("torch") is None:
        raise EngineUnavailableError(f"PyTorch is not installed: {how_to_install('torch')}")
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError) as error:  # a wheel for another CUDA lacks libraries
        raise EngineUnavailableError(f"PyTorch does not load ({error})") from error


def find_torch_with_cuda() -> Any:
    """Imports PyTorch where it can use an NVIDIA GPU; without a driver it is not even imported.

    Raises:
        EngineUnavailableError: The driver, PyTorch or a GPU is missing; says which.
    """
    require_driver()
    torch = find_torch()
    if not torch.cuda.is_available():
        raise EngineUnavailableError(
            f"PyTorch {torch.__version__} sees no NVIDIA GPU: it is a build without CUDA, "
            "or older than the driver"
        )
    return torch


class TorchEngine:
    """A model in PyTorch and the slots that feed it; an `Engine`."""

    def __init__(
        self,
        folder: ModelFolder,
        *,
        device: str = "cuda",
        precision: Precision | None = None,
        launch_paths: Set[LaunchPath] | None = None,
    ) -> None:
        """Copies the weights to the device.

        Args:
            folder: The model.
            device: "cuda", "cuda:1", …, or "cpu".
            precision: `Precision.BF16` or `Precision.F32`; None takes fp16 on a GPU, f32 on a CPU.
            launch_paths: How its kernels are launched on a GPU; with none of them, one by one. None
                asks the environment variables, and where these are unset the ledger
                (`engines/shown.py`). A CPU has none.

        Raises:
            EngineUnavailableError: PyTorch, the driver or the GPU is missing; says which.
            UnsupportedModelError: It has no safetensors, or is of no family that is described.
            ModelError: A tensor is missing, or a variable of a launch path is neither 0
                nor 1.
        """
        paths_told()  # refuses what is neither on nor off before anything is loaded
        weights = folder.open_weights()
        architecture = read_architecture(folder.config)
        is_gpu = device != "cpu"
        torch = find_torch_with_cuda() if is_gpu else find_torch()
        self._budget = max(
            _GPU_BATCH_TOKENS if is_gpu else _CPU_BATCH_TOKENS, folder.spec.max_seq_len
        )
        target = torch.device(device)
        label, dtype = _number_type(torch, precision, is_gpu=is_gpu)
        is_reranker = folder.spec.kind is ModelKind.RERANKER
        head = None if is_reranker else folder.head
        model = _on_device(torch, architecture, weights, head=head, device=target, dtype=dtype)
        _logger.debug(
            "attention is %s", "packed" if model.is_packed else "padded: no kernel for packed"
        )
        self.output_width = head.output_width(architecture.hidden_size) if head else 1
        max_seq_len = min(folder.spec.max_seq_len, architecture.max_seq_len)
        self._lanes: Sequence[TorchGraphs] = ()
        if is_gpu:
            paths = launch_paths
            if paths is None:
                paths = paths_on(tuple(torch.cuda.get_device_capability(target)))
            is_fused = {LaunchPath.CUDA_GRAPHS, LaunchPath.FUSED_KERNELS} <= paths
            make_lane = partial(
                TorchGraphs,
                torch,
                InGraphs(model, _fused(torch, model, dtype) if is_fused else None),
                GraphSteps.for_attention(self._budget, max_seq_len, is_packed=model.is_packed),
                device=target,
                dtype=dtype,
                row_shape=(self.output_width,) if head else (),
                switch=GraphSwitch(),
            )
            opened = partial(self._opened_gpu_slots, torch, model, target, make_lane, paths)
        else:
            opened = partial(_opened_host_slots, torch, model)
        self._pipeline = SlotPipeline(
            f"torch-{folder.spec.id}", opened, self._launches, idle=self._capture_missed
        )
        self._info = EngineInfo(
            engine="torch",
            precision=label,
            device=torch.cuda.get_device_name(target) if is_gpu else "CPU",
            max_seq_len=max_seq_len,
            layout=PackedLayout(),
            max_batch_tokens=self._budget,
            max_in_flight=self._pipeline.num_slots,
        )
        self._info_with_graphs = replace(self._info, has_graphs=True)

    @property
    def info(self) -> EngineInfo:
        """What it is; see `engines.base`."""
        return self._info_with_graphs if self._has_graphs else self._info

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        """Queues a batch for one forward pass; see `engines.base`."""
        longest = int(batch.lengths.max(initial=1))
        if longest > self.info.max_seq_len:
            refused: Future[Float32s] = Future()
            refused.set_exception(InputTooLongError(longest, self.info.max_seq_len))
            return refused
        return self._pipeline.submit(batch)

    def num_computed_tokens(self, batch: TokenBatch) -> int:
        """Tokens that a batch costs, those that fill the shapes of graphs up among them."""
        has_graphs, total = self._has_graphs, 0
        for launch in self._launches(batch):
            num_tokens = int(batch.lengths[launch.rows].sum())
            key = None
            if has_graphs:
                key = self._lanes[0].steps.key(num_tokens, len(launch.rows), launch.seq_len)
            total += num_tokens if key is None else key.tokens
        return total

    def close(self) -> None:
        """Finishes what was submitted and frees the device's memory."""
        self._pipeline.close()

    @contextmanager
    def _opened_gpu_slots(
        self,
        torch: Any,
        model: TorchEncoder,
        device: Any,
        make_lane: Callable[[], TorchGraphs],
        paths: Set[LaunchPath],
    ) -> Iterator[Sequence[Slot]]:
        with torch.cuda.device(device):
            slots: list[Slot] = [_GpuSlot(torch, model, device) for _ in range(_GPU_SLOTS)]
            if LaunchPath.CUDA_GRAPHS in paths:
                slots = self._with_graphs(torch, make_lane, paths, slots)
            yield slots
            with turns.launch():
                torch.cuda.synchronize()
            for lane in self._lanes:
                lane.close()

    def _with_graphs(
        self,
        torch: Any,
        make_lane: Callable[[], TorchGraphs],
        paths: Set[LaunchPath],
        slots: list[Slot],
    ) -> list[Slot]:
        """Slots that replay graphs; those given where graphs can not be had."""
        overlaps = LaunchPath.OVERLAPPED_COPIES in paths
        kind = OverlappedSlot if overlaps else GraphSlot
        try:
            lanes = open_lanes(make_lane, len(slots) if overlaps else 1)
            found: list[Slot] = [
                kind(torch, lanes[place % len(lanes)], slot) for place, slot in enumerate(slots)
            ]
        except Exception as error:  # whatever it is, the engine goes on; a failed device shows then
            _logger.warning(
                "CUDA graphs are off for this engine, it goes on without: %s: %s",
                type(error).__name__,
                error,
            )
            return slots
        self._lanes = lanes
        return found

    @property
    def _has_graphs(self) -> bool:
        return any(lane.is_on for lane in self._lanes)

    def _capture_missed(self) -> bool:
        return any(lane.cache.capture_missed() for lane in self._lanes)

    def _launches(self, batch: TokenBatch) -> list[Launch]:
        lengths = batch.lengths
        plan = plan_packed(lengths, self._budget)
        bounds = zip(plan.batch_offsets[:-1], plan.batch_offsets[1:], strict=True)
        chosen = [np.array(plan.order[begin:end]) for begin, end in bounds]
        return [Launch(rows, int(lengths[rows].max())) for rows in chosen]


def _number_type(torch: Any, precision: Precision | None, *, is_gpu: bool) -> tuple[str, Any]:
    """What `EngineInfo.precision` says, and PyTorch's type."""
    if precision is Precision.BF16:
        return "bf16", torch.bfloat16
    if precision is Precision.F32 or not is_gpu:
        return "f32", torch.float32
    return "fp16", torch.float16


def _on_device(
    torch: Any,
    architecture: Architecture,
    weights: ModelWeights,
    *,
    head: EmbeddingHead | None,
    device: Any,
    dtype: Any,
) -> TorchEncoder:
    """The model once all of its weights are on the device; arguments as of `TorchEncoder`."""
    if device.type == "cpu":
        return TorchEncoder(torch, architecture, weights, head=head, device=device, dtype=dtype)
    with launching(torch):
        model = TorchEncoder(torch, architecture, weights, head=head, device=device, dtype=dtype)
        # They are joined on this thread's stream, and read on streams of slots.
        torch.cuda.current_stream(device).synchronize()
    return model


def _fused(torch: Any, model: TorchEncoder, dtype: Any) -> TorchEncoder | None:
    """The model with fused kernels; None where they can not be had, which the log says."""
    try:
        ops = FusedRowOps(torch, find_kernels(), model.architecture, dtype)
    except EngineUnavailableError as error:
        _logger.warning(
            "fused kernels are off for this engine, its graphs go on without: %s", error
        )
        return None
    return model.with_ops(ops)


@contextmanager
def _opened_host_slots(torch: Any, model: TorchEncoder) -> Iterator[Sequence[Slot]]:
    yield [_HostSlot(torch, model) for _ in range(_CPU_SLOTS)]


def _gathered(torch: Any, batch: TokenBatch, launch: Launch) -> tuple[Any, Any, Any]:
    """Token ids, offsets and query lengths of a launch as tensors."""
    arrays = gather_packed(batch.token_ids, batch.offsets, batch.query_lengths, launch.rows)
    token_ids, offsets, query_lengths = map(torch.from_numpy, arrays)
    return token_ids, offsets, query_lengths


class _HostSlot:
    """Computes where it is; implements `Slot`."""

    def __init__(self, torch: Any, model: TorchEncoder) -> None:
        self._torch = torch
        self._model = model
        self._inputs: tuple[Any, Any, Any] | None = None
        self._max_len = 0

    def start(self, batch: TokenBatch, launch: Launch) -> None:
        """Gathers the launch's sequences; see `Slot`."""
        self._max_len = launch.seq_len
        self._inputs = _gathered(self._torch, batch, launch)

    def finish(self) -> Float32s:
        """Computes; see `Slot`."""
        assert self._inputs is not None
        with self._torch.inference_mode():
            result: Float32s = self._model.forward(*self._inputs, self._max_len).numpy()
        return result


class _GpuSlot:
    """A stream, and a page-locked buffer for each copy; implements `Slot`."""

    def __init__(self, torch: Any, model: TorchEncoder, device: Any) -> None:
        self._torch = torch
        self._model = model
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._done = torch.cuda.Event()
        self._sources: tuple[Any, ...] = ()
        self._results: Any = None

    def start(self, batch: TokenBatch, launch: Launch) -> None:
        """Copies there, computes, copies back; see `Slot`."""
        torch = self._torch
        gathered = _gathered(torch, batch, launch)
        with launching(torch), torch.cuda.stream(self._stream):
            # Kept until the copies are done; PyTorch uses page-locked blocks again.
            self._sources = tuple(tensor.pin_memory() for tensor in gathered)
            token_ids, offsets, query_lengths = (
                source.to(self._device, non_blocking=True) for source in self._sources
            )
            outputs = self._model.forward(token_ids, offsets, query_lengths, launch.seq_len)
            self._results = torch.empty(outputs.shape, dtype=outputs.dtype, pin_memory=True)
            self._results.copy_(outputs, non_blocking=True)
            self._done.record(self._stream)

    def finish(self) -> Float32s:
        """Waits for the copy back; see `Slot`."""
        with device_errors(self._torch):
            self._done.synchronize()
        results: Float32s = self._results.numpy()
        return results
