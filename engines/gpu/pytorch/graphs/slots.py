"""Slots that replay graphs: all on one stream, or with copies on a stream of each slot's own.

A launch without a graph goes to the slot that it would have gone to without any of this.
"""

from typing import Any

from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.device import device_errors, launching
from twopass.engines.gpu.pytorch.graphs.cache import Graph
from twopass.engines.gpu.pytorch.graphs.capture import TorchGraphs
from twopass.engines.gpu.pytorch.graphs.inputs import InputBlock
from twopass.engines.gpu.slots import Slot
from twopass.engines.onnx.bucket_grid import Launch


class GraphSlot:
    """Page-locked buffers of a launch in flight, and a slot without graphs; implements `Slot`."""

    def __init__(self, torch: Any, graphs: TorchGraphs, without: Slot) -> None:
        """Allocates the buffers.

        Args:
            torch: The package.
            graphs: That it replays.
            without: Computes what has no graph.
        """
        self._torch = torch
        self._graphs = graphs
        self._without = without
        self._inputs, self._results = graphs.host_inputs(), graphs.host_outputs()
        self._block: Int32s = self._inputs.numpy()
        self._values: Float32s = self._results.numpy()
        self._done = torch.cuda.Event()
        self._num_rows: int | None = None  # None where the other slot computes

    def start(self, batch: TokenBatch, launch: Launch) -> None:
        """Fills the block, copies it, replays, copies back; see `Slot`."""
        self._num_rows = None
        if not self._replayed(batch, launch):
            self._start_without(batch, launch)

    def finish(self) -> Float32s:
        """Waits for the copy back; see `Slot`."""
        if self._num_rows is None:
            return self._without.finish()
        with device_errors(self._torch):
            self._done.synchronize()
        return self._values[: self._num_rows]

    def _replayed(self, batch: TokenBatch, launch: Launch) -> bool:
        torch, graphs, count = self._torch, self._graphs, len(launch.rows)
        num_tokens = int(batch.lengths[launch.rows].sum())
        key = graphs.steps.key(num_tokens, count, launch.seq_len)
        graph = None if key is None else graphs.cache.find(key)
        if key is None or graph is None:
            return False
        block = InputBlock(key)
        block.fill(self._block, batch, launch.rows)
        try:
            with launching(torch):
                self._queue(graph, block.size, count)
        except DeviceError:
            raise
        except Exception as error:  # not the device's: whatever it is, it is of the graph
            graphs.turn_off(f"{key}: {type(error).__name__}: {error}")
            return False
        self._num_rows = count
        return True

    def _queue(self, graph: Graph, size: int, count: int) -> None:
        """Queues copies and graph, all on the graphs' stream.

        Args:
            graph: Of the block's key.
            size: int32s of the block.
            count: Rows that are wanted.
        """
        graphs = self._graphs
        with self._torch.cuda.stream(graphs.stream):
            graphs.inputs[:size].copy_(self._inputs[:size], non_blocking=True)
            graph.replay()
            self._results[:count].copy_(graphs.outputs[:count], non_blocking=True)
            self._done.record(graphs.stream)

    def _start_without(self, batch: TokenBatch, launch: Launch) -> None:
        try:
            self._without.start(batch, launch)
        except OutOfDeviceMemoryError:
            # What graphs hold may be all that is missing to the halves, which come next.
            if self._graphs.cache.switch.num_graphs:
                self._graphs.turn_off("their memory is needed for batches")
            raise


class OverlappedSlot(GraphSlot):
    """Copies on a stream of its own, while the graphs of other slots compute; a `Slot`.

    The graphs' stream waits for no copy between host and device but the one that brings its very
    inputs:

        the slot's stream    copy in ┐                                  ┌ copy back, done
        the graphs' stream           └ inputs, graph, results kept ─────┘
                                       (copies within the device)

    What is kept in between is the slot's own, so that the next launch on the graphs' stream
    overwrites nothing that is still to be read. The host waits once, for `done`.
    """

    def __init__(self, torch: Any, graphs: TorchGraphs, without: Slot) -> None:
        """Allocates buffers on both sides; arguments as for `GraphSlot`."""
        super().__init__(torch, graphs, without)
        self._copies = torch.cuda.Stream(graphs.device)
        self._arrived, self._computed = torch.cuda.Event(), torch.cuda.Event()
        with launching(torch), torch.cuda.stream(self._copies):
            self._staged = torch.zeros(graphs.block_size, dtype=torch.int32, device=graphs.device)
            self._kept = torch.zeros(
                graphs.outputs.shape, dtype=torch.float32, device=graphs.device
            )

    def _queue(self, graph: Graph, size: int, count: int) -> None:
        torch, graphs, copies = self._torch, self._graphs, self._copies
        with torch.cuda.stream(copies):
            self._staged[:size].copy_(self._inputs[:size], non_blocking=True)
            self._arrived.record(copies)
        with torch.cuda.stream(graphs.stream):
            graphs.stream.wait_event(self._arrived)
            graphs.inputs[:size].copy_(self._staged[:size])
            graph.replay()
            self._kept[:count].copy_(graphs.outputs[:count])
            self._computed.record(graphs.stream)
        with torch.cuda.stream(copies):
            copies.wait_event(self._computed)
            self._results[:count].copy_(self._kept[:count], non_blocking=True)
            self._done.record(copies)
