"""What a graph computes once for all layers: masks, rotations and biases of where tokens stand."""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from twopass.engines.model.architecture import Architecture, Disentangled
from twopass.engines.onnx.graph_writer import GraphWriter

# Added to the scores of what a token does not see: exp of it is 0 in float32.
_UNSEEN = np.float32(-1e9)


class Places:
    """Values of a graph that follow from the lengths alone, by name.

    Attributes:
        seq_len: Tokens of each padded row, int64 `[1]`.
        positions: 0, 1, …, int32 `[seq_len]`.
        lengths: Real tokens, int32 `[batch_size, 1]`.
        is_real: Whether a token is no padding, bool `[batch_size, seq_len]`.
        is_query: Whether a token is of type 0, bool `[batch_size, seq_len]`.
        masks: By window, what is added to scores, float32 `[batch_size, 1, 1 or seq_len, seq_len]`.
        rotations: By inverse frequencies, cosines and sines float32 `[seq_len, head_dim / 2]`.
        relative_bias: What is added to the scores of all layers, float32
            `[num_heads, seq_len, seq_len]`; None where there is none.
        columns: Of disentangled attention, the positions of queries' and of keys' products with
            them, int64 `[2 * seq_len]`; None where there is none.
    """

    def __init__(self, writer: GraphWriter, architecture: Architecture) -> None:
        self._writer = writer
        self.seq_len = writer.op("Gather", writer.op("Shape", "input_ids"), writer.ints(1))
        zero, one = writer.constant(np.int64(0)), writer.constant(np.int64(1))
        positions = writer.op("Range", zero, writer.op("Squeeze", self.seq_len), one)
        self.positions = writer.op("Cast", positions, to=TensorProto.INT32)
        query_lengths = writer.op("Unsqueeze", "query_lengths", writer.ints(1))
        self.lengths = writer.op("Unsqueeze", "lengths", writer.ints(1))
        if not architecture.type_vocab_size:
            # Changes nothing, since no query is longer than its sequence; but an input that nothing
            # reads would be lost in TensorRT.
            shorter = writer.op("Min", self.lengths, query_lengths)
            self.lengths = writer.op("Max", self.lengths, shorter)
        self.is_real = writer.op("Less", self.positions, self.lengths)
        self.is_query = writer.op("Less", self.positions, query_lengths)
        windows = {layer.window for layer in architecture.layers}
        # In an order that does not change from run to run.
        self.masks = {w: self._mask(w) for w in sorted(windows, key=lambda w: w or 0)}
        rotaries = dict.fromkeys(layer.rotary for layer in architecture.layers)
        most = architecture.max_seq_len
        self.rotations = {r: self._rotation(r, most) for r in rotaries if r is not None}
        distance = architecture.relative_distance
        self.relative_bias = None if distance is None else self._relative_bias(distance)
        disentangled = architecture.disentangled
        self.columns = None if disentangled is None else self._columns(disentangled)

    def sliced(self, table: NDArray[np.generic]) -> str:
        """The rows of a constant that the positions of a batch have."""
        writer = self._writer
        return writer.op(
            "Slice", writer.constant(table), writer.ints(0), self.seq_len, writer.ints(0)
        )

    def _mask(self, window: int | None) -> str:
        writer = self._writer
        seen = writer.op("Unsqueeze", self.is_real, writer.ints(1, 2))
        if window is not None:
            far = writer.op("Abs", self._differences())
            near = writer.op("LessOrEqual", far, writer.constant(np.int32(window)))
            seen = writer.op("And", seen, near)
        return writer.op("Where", seen, writer.constant(np.float32(0)), writer.constant(_UNSEEN))

    def _differences(self) -> str:
        """A key's position less a query's, int32 `[seq_len, seq_len]`."""
        writer = self._writer
        of_queries = writer.op("Unsqueeze", self.positions, writer.ints(1))
        return writer.op("Sub", self.positions, of_queries)

    def _rotation(self, frequencies: tuple[float, ...], max_seq_len: int) -> tuple[str, str]:
        angles = np.outer(np.arange(max_seq_len), np.array(frequencies))
        cosines, sines = np.cos(angles), np.sin(angles)
        return self.sliced(cosines.astype(np.float32)), self.sliced(sines.astype(np.float32))

    def _relative_bias(self, distance: int) -> str:
        writer = self._writer
        most = writer.constant(np.int32(distance))
        least = writer.constant(np.int32(-distance))
        clipped = writer.op("Clip", self._differences(), least, most)
        table = writer.constant(writer.weights.float32("relative_bias"))
        return writer.op("Gather", table, writer.op("Add", clipped, most), axis=1)

    def _columns(self, disentangled: Disentangled) -> tuple[str, str]:
        """Positions by distance: for queries from that of seq_len - 1 down, for keys up to it."""
        writer = self._writer
        rows = np.array(disentangled.rows, np.int64)
        middle = writer.ints(len(rows) // 2 + 1)
        bounds = writer.op("Sub", middle, self.seq_len), writer.op("Add", middle, self.seq_len)
        down, up = (
            writer.op("Slice", writer.constant(table), *bounds, writer.ints(0))
            for table in (rows[::-1], rows)
        )
        return down, up
