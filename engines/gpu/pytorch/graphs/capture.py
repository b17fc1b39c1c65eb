"""The PyTorch engine's CUDA graphs: one launch a forward, in place of one for each kernel.

A batch is filled up to a shape that is captured (`keys.py`), copied to the device as one
block (`inputs.py`), and the shape's graph replayed: no Python between its kernels. Who does
so is `slots.py`.

The graphs of a `TorchGraphs` are captured on one stream and replayed on it, in the order of
launches: so they share one pool of memory for activations, one work space for products and one
block of inputs, and one graph of a shape does for every slot that uses them. What the graphs
compute with is the engine's forward pass as it is launched, or one with fused kernels.
"""

import gc
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.device import capturing, launching
from twopass.engines.gpu.pytorch.forward.encoder import TorchEncoder
from twopass.engines.gpu.pytorch.graphs.cache import GraphCache, GraphSwitch
from twopass.engines.gpu.pytorch.graphs.inputs import InputBlock
from twopass.engines.gpu.pytorch.graphs.keys import GraphKey, GraphSteps

_logger = logging.getLogger("twopass.engines")

# Of the memory that is free when an engine is opened, graphs take an eighth, and no more than this.
_BUDGET_SHARE, _BUDGET_BYTES = 8, 4 << 30
# A shape that was filled up may be computed by other kernels, whose sums round elsewhere: this many
# units in the last place of the type, of an output of one or more.
_TOLERATED_UNITS, _LEAST_TOLERANCE = 32, 1e-3


@contextmanager
def _without_collections() -> Iterator[None]:
    """Keeps what others left on the device from being freed by the thread that captures."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@dataclass(slots=True)
class InGraphs:
    """What an engine's graphs compute with.

    Attributes:
        plain: The encoder as it is launched without graphs.
        fused: The same with fused kernels; None where there are none, or once they failed.
    """

    plain: TorchEncoder
    fused: TorchEncoder | None = None

    def drop_fused(self, error: Exception) -> None:
        """Goes on with PyTorch's kernels; one log line says why."""
        if self.fused is not None:
            self.fused = None
            _logger.warning(
                "fused kernels are off for this engine, its graphs go on without: %s: %s",
                type(error).__name__,
                error,
            )


class TorchGraphs:
    """Graphs that share a stream. Made and used by the thread that owns the device.

    Attributes:
        device: The torch device.
        steps: The shapes.
        cache: Which graphs there are.
        stream: On which all are replayed.
        inputs: The block of inputs that they read, int32, on the device.
        outputs: What they write, float32 `[max_sequences, …]`, on the device.
    """

    def __init__(
        self,
        torch: Any,
        inside: InGraphs,
        steps: GraphSteps,
        *,
        device: Any,
        dtype: Any,
        row_shape: tuple[int, ...],
        switch: GraphSwitch | None = None,
    ) -> None:
        """Allocates what all graphs share; captures nothing yet.

        Args:
            torch: The package.
            inside: The model on the device; shared by the graphs of an engine.
            steps: The shapes.
            device: A torch device.
            dtype: Of the encoder's products.
            row_shape: Of one sequence's output: none of a logit, the width of an embedding.
            switch: Shared by the graphs of an engine; None for one of their own.
        """
        self._torch = torch
        self._inside = inside
        self.device = device
        self._tolerance = max(_LEAST_TOLERANCE, _TOLERATED_UNITS * torch.finfo(dtype).eps)
        self.steps = steps
        self._row_shape = row_shape
        self.block_size = InputBlock.largest(steps.max_tokens, steps.max_sequences)
        self.stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        with launching(torch), torch.cuda.stream(self.stream):
            self.inputs = torch.zeros(self.block_size, dtype=torch.int32, device=device)
            self.outputs = torch.zeros(
                (steps.max_sequences, *row_shape), dtype=torch.float32, device=device
            )
        self._trial = self.host_inputs()
        budget = min(self.free_bytes() // _BUDGET_SHARE, _BUDGET_BYTES)
        self.cache = GraphCache(self._captured, self.free_bytes, budget, switch=switch)

    @property
    def is_on(self) -> bool:
        """Whether launches are graphs where there is one."""
        return self.cache.is_on and len(self.cache) > 0

    def warm_up(self) -> None:
        """Captures the usual shapes; raises nothing but what no engine survives."""
        began = time.perf_counter()
        self._compile()
        compiled = time.perf_counter()
        self.cache.warm_up(self.steps.usual())
        _logger.info(
            "CUDA graphs captured",
            extra={
                "graphs": len(self.cache),
                "seconds": round(time.perf_counter() - compiled, 1),
                "compiled_seconds": round(compiled - began, 1),
                "fused": self._inside.fused is not None,
            },
        )

    def _compile(self) -> None:
        """Has fused kernels compiled, which may take longer than all graphs, before any is timed.

        Modules are loaded here too, which no thread may do while it captures.
        """
        fused = self._inside.fused
        if fused is None:
            return
        torch, batch = self._torch, made_up(GraphKey(8, 3, 4), fused.vocabulary_size)
        try:
            with launching(torch), torch.cuda.stream(self.stream):
                self._launched(fused, batch)
                self.stream.synchronize()
        except (DeviceError, OutOfDeviceMemoryError):
            raise
        except Exception as error:  # a compiler that is missing, or whatever it meets
            self._inside.drop_fused(error)

    def _launched(self, encoder: TorchEncoder, batch: TokenBatch) -> Any:
        """A batch's outputs without a graph, on the current stream."""
        ids, offsets, query_lengths = (
            self._torch.from_numpy(part).to(self.device)
            for part in (batch.token_ids, batch.offsets, batch.query_lengths)
        )
        return encoder.forward(ids, offsets, query_lengths, int(batch.lengths.max()))

    def host_inputs(self) -> Any:
        """A block of inputs on the host, page-locked."""
        with launching(self._torch):
            return self._torch.empty(self.block_size, dtype=self._torch.int32, pin_memory=True)

    def host_outputs(self) -> Any:
        """Room for results on the host, page-locked."""
        shape = (self.steps.max_sequences, *self._row_shape)
        with launching(self._torch):
            return self._torch.empty(shape, dtype=self._torch.float32, pin_memory=True)

    def turn_off(self, reason: str) -> None:
        """Gives up all graphs of the engine, each once it is not under way."""
        self.cache.switch.turn_off(reason)

    def close(self) -> None:
        """Frees all graphs, each once it is not under way."""
        self.cache.close()

    def free_bytes(self) -> int:
        """Of the device, what PyTorch keeps for later not counted as taken."""
        with launching(self._torch):
            self._torch.cuda.empty_cache()
            free: int = self._torch.cuda.mem_get_info(self.device)[0]
        return free

    def _captured(self, key: GraphKey) -> "_TorchGraph":
        """Captures a key, with fused kernels unless they fail.

        Raises:
            OutOfDeviceMemoryError: It does not fit.
            ValueError: It computes something else.
        """
        fused = self._inside.fused
        if fused is not None:
            try:
                return self._captured_with(fused, key)
            except OutOfDeviceMemoryError:
                raise
            except Exception as error:  # what is not of the kernels, the capture without meets too
                self._inside.drop_fused(error)
        return self._captured_with(self._inside.plain, key)

    def _captured_with(self, encoder: TorchEncoder, key: GraphKey) -> "_TorchGraph":
        """Captures a key, and compares what its graph computes with what a launch without does."""
        torch, block = self._torch, InputBlock(key)
        batch = made_up(key, encoder.vocabulary_size)
        block.fill(self._trial.numpy(), batch, np.arange(len(batch), dtype=np.int32))
        # The block of inputs is used on one stream in order, also by launches under way.
        with launching(torch), torch.cuda.stream(self.stream):
            self.inputs[: block.size].copy_(self._trial[: block.size], non_blocking=True)
            expected = self._launched(self._inside.plain, batch)
            ids, offsets, query_lengths = (
                self.inputs[part] for part in (block.token_ids, block.offsets, block.query_lengths)
            )
            filled = partial(
                encoder.forward, ids, offsets, query_lengths, key.longest, has_empty=True
            )
            # Kernels are loaded and work spaces allocated by the first run, which no graph may.
            filled()
            self.stream.synchronize()
        graph = torch.cuda.CUDAGraph()
        with (
            capturing(torch),
            torch.cuda.stream(self.stream),  # also where the end of a capture fails
            _without_collections(),
            torch.cuda.graph(
                graph, pool=self._pool, stream=self.stream, capture_error_mode="thread_local"
            ),
        ):
            outputs = filled()
            self.outputs[: key.sequences].copy_(outputs)
        del outputs  # its memory is the next graph's
        captured = _TorchGraph(torch, graph, self.stream)
        try:
            with launching(torch), torch.cuda.stream(self.stream):
                captured.replay()
                found = self.outputs[: len(batch)].cpu().numpy()
                wanted = expected.cpu().numpy()
            ensure_alike(found, wanted, self._tolerance)
        except BaseException:
            captured.close()
            raise
        return captured


class _TorchGraph:
    """One captured forward; implements `Graph`."""

    def __init__(self, torch: Any, graph: Any, stream: Any) -> None:
        self._torch = torch
        self._graph = graph
        self._stream = stream

    def replay(self) -> None:
        """Queues it on the current stream, which has to be the one that it was captured on."""
        self._graph.replay()

    def close(self) -> None:
        """Waits for the last replay and frees it."""
        with launching(self._torch):
            self._stream.synchronize()
            self._graph.reset()


def made_up(key: GraphKey, vocabulary_size: int) -> TokenBatch:
    """A batch of a key, with padding where the key has room: sequences of unequal lengths."""
    key_room = (key.sequences - 1) * key.longest
    num_padding = 0
    if key.sequences > 1:
        least = max(0, key.tokens - key_room)
        num_padding = max(least, min(key.tokens // 8, key.longest, key.tokens - 1))
    num_tokens = key.tokens - num_padding
    count = min(max(1, key.sequences - 1), num_tokens)
    lengths = np.full(count, num_tokens // count)
    lengths[: num_tokens % count] += 1
    longer, shorter = lengths[0 : count - 1 : 2], lengths[1::2]  # views
    moved = np.minimum(key.longest - longer, shorter - 1) // 2
    longer += moved
    shorter -= moved
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    ids = np.random.default_rng(0).integers(0, vocabulary_size, num_tokens)
    query_lengths = np.maximum(1, lengths // 3)
    return TokenBatch(ids.astype(np.int32), offsets, query_lengths.astype(np.int32))


def ensure_alike(found: Float32s, expected: Float32s, tolerance: float) -> None:
    """Compares outputs row by row.

    Args:
        found: float32 `[n, …]`.
        expected: The same.
        tolerance: Of a row's difference, relative to its length where that is above 1.

    Raises:
        ValueError: They differ; says by how much.
    """
    rows = (len(expected), -1)
    apart = np.linalg.norm(found.reshape(rows) - expected.reshape(rows), axis=1)
    bound = tolerance * np.maximum(1, np.linalg.norm(expected.reshape(rows), axis=1))
    if not np.all(apart <= bound):  # not a number is apart, too
        raise ValueError(
            f"the graph's results are {np.max(apart):.2g} away from those without, "
            f"{tolerance:.2g} is allowed"
        )
