"""Runs a TensorRT plan in slots: buffers on both sides, streams, a CUDA graph for each shape.

Copies of one batch overlap with the computation of another: each slot copies on a stream of its
own, all compute on one. So the activations of all shapes share one piece of memory, and a CUDA
graph for each (slot, bucket, batch step) is captured at start and replayed.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import DeviceError
from twopass.engines.gpu.tensorrt.api import TensorRT
from twopass.engines.gpu.tensorrt.cuda_device import CudaDevice, CudaGraph
from twopass.engines.onnx.bucket_grid import BucketGrid, Launch
from twopass.engines.onnx.padded_inputs import PaddedInputs

# Any valid id does: the graph masks padding by length.
_PAD_ID = 0


@dataclass(frozen=True, slots=True)
class Output:
    """The graph's output: its name, and the shape of one sequence's part."""

    name: str
    row_shape: tuple[int, ...]

    @property
    def width(self) -> int:
        """Numbers of one sequence."""
        return int(np.prod(self.row_shape))


class PlanRunner:
    """What all slots share: the plan, the stream that computes, memory for activations."""

    def __init__(
        self, device: CudaDevice, tensorrt: TensorRT, engine: Any, grid: BucketGrid
    ) -> None:
        self.device = device
        self.grid = grid
        self.stream = device.stream()
        self._tensorrt = tensorrt
        self._engine = engine
        self._scratch_bytes = int(engine.device_memory_size_v2)
        self._scratch = device.allocate(self._scratch_bytes)

    def context(self, seq_len: int) -> Any:
        """A fresh execution context on a bucket's profile; all of them share the memory."""
        context = self._engine.create_execution_context(self._strategy())
        context.set_device_memory(int(self._scratch), self._scratch_bytes)
        profile = self.grid.buckets.index(seq_len)
        if not context.set_optimization_profile_async(profile, self.stream.handle):
            raise DeviceError(f"TensorRT refuses profile {profile} ({seq_len} tokens)")
        return context

    def _strategy(self) -> Any:
        trt = self._tensorrt.module
        user_managed = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if not self._tensorrt.is_portable:
            return user_managed
        config = self._engine.create_runtime_config()
        config.set_execution_context_allocation_strategy(user_managed)
        # Lazily specialised kernels arrive after a graph has captured the general ones. Lengths are
        # fixed in each profile already, so that only the batch size is left to specialise.
        strategy = trt.DynamicShapesKernelSpecializationStrategy
        config.dynamic_shapes_kernel_specialization_strategy = strategy.NONE
        return config


@dataclass(slots=True)
class _Shape:
    """One (bucket, batch step) of a slot: a context with its shapes set, perhaps captured."""

    context: Any
    stream: Any
    graph: CudaGraph | None = None

    def enqueue(self) -> None:
        if self.graph is not None:
            self.graph.launch(self.stream)
        elif not self.context.execute_async_v3(self.stream.handle):
            raise DeviceError("TensorRT could not queue a forward pass")


class TensorRtSlot:
    """Buffers of a launch on both sides, and the shapes it can compute; implements `Slot`."""

    def __init__(self, runner: PlanRunner, output: Output) -> None:
        device, grid = runner.device, runner.grid
        most = grid.max_batch(grid.buckets[0])
        self._runner = runner
        self._output = output
        self._copies = device.stream()
        self._inputs = PaddedInputs(grid, _PAD_ID, device.pinned)
        self._results = device.pinned(most * output.width, np.float32)
        self._buffers = {
            "input_ids": device.allocate(self._inputs.input_ids.nbytes),
            "lengths": device.allocate(self._inputs.lengths.nbytes),
            "query_lengths": device.allocate(self._inputs.query_lengths.nbytes),
            output.name: device.allocate(self._results.nbytes),
        }
        self._uploaded, self._computed, self._downloaded = (device.event() for _ in range(3))
        self._shapes: dict[tuple[int, int], _Shape] = {}
        self._num_rows = 0

    def prepare(self, *, use_graphs: bool) -> None:
        """Runs every shape once and captures it; later launches replay what was captured."""
        runner = self._runner
        with runner.device.errors():
            self._upload(runner.grid.max_batch_tokens, len(self._inputs.lengths))
            self._copies.synchronize()
            for seq_len in runner.grid.buckets:
                for step in runner.grid.steps(seq_len):
                    shape = self._shape(seq_len, step)
                    shape.enqueue()  # the first run allocates and compiles, which no graph may
                    runner.stream.synchronize()
                    if use_graphs:
                        shape.graph = runner.device.capture(runner.stream, shape.enqueue)
                    self._shapes[seq_len, step] = shape

    def start(self, batch: TokenBatch, launch: Launch) -> None:
        """Packs, copies and computes; see `Slot`."""
        runner = self._runner
        step = runner.grid.step(launch.seq_len, len(launch.rows))
        self._inputs.pack(batch, launch)
        self._num_rows = len(launch.rows)
        with runner.device.errors():
            self._upload(step * launch.seq_len, step)
            self._uploaded.record(self._copies)
            runner.stream.wait_for_event(self._uploaded)
            self._shapes[launch.seq_len, step].enqueue()
            self._computed.record(runner.stream)
            self._copies.wait_for_event(self._computed)
            results = self._results[: self._num_rows * self._output.width]
            runner.device.download(results, self._buffers[self._output.name], self._copies)
            self._downloaded.record(self._copies)

    def finish(self) -> Float32s:
        """Waits for the copy back; see `Slot`."""
        with self._runner.device.errors():
            self._downloaded.synchronize()
        results = self._results[: self._num_rows * self._output.width]
        return results.reshape(self._num_rows, *self._output.row_shape)

    def close(self) -> None:
        """Frees what was captured."""
        for shape in self._shapes.values():
            if shape.graph is not None:
                shape.graph.close()
        self._shapes.clear()

    def _upload(self, num_tokens: int, num_rows: int) -> None:
        device, inputs = self._runner.device, self._inputs
        for name, source in (
            ("input_ids", inputs.input_ids[:num_tokens]),
            ("lengths", inputs.lengths[:num_rows]),
            ("query_lengths", inputs.query_lengths[:num_rows]),
        ):
            device.upload(self._buffers[name], source, self._copies)

    def _shape(self, seq_len: int, step: int) -> _Shape:
        context = self._runner.context(seq_len)
        context.set_input_shape("input_ids", (step, seq_len))
        context.set_input_shape("lengths", (step,))
        context.set_input_shape("query_lengths", (step,))
        for name, buffer in self._buffers.items():
            context.set_tensor_address(name, int(buffer))
        if missing := context.infer_shapes():
            raise DeviceError(f"TensorRT does not infer shapes: {', '.join(missing)} missing")
        return _Shape(context, self._runner.stream)
