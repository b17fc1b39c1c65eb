"""What half precision costs a model: the largest activations of each part, and the outputs' error.

ONNX Runtime may compute float16 nodes of a CPU in float32, so that outputs alone would prove the
graph and not the arithmetic: an activation beyond 65,504 is infinite on a GPU and fine here.
"""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from twopass._core import pack_padded
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder
from twopass.engines.onnx.graph import build_graph
from twopass.engines.onnx.graph_writer import ComputeType

HALF_MAX = float(np.finfo(np.float16).max)
_PAD_ID = 0


@dataclass(frozen=True, slots=True)
class Activations:
    """The largest magnitude among one part's values that a device computes in float16.

    Attributes:
        part: "embeddings", "layer.0", …, "head".
        largest: Of all real and padded tokens; at most `HALF_MAX` or float16 overflows.
    """

    part: str
    largest: float

    @property
    def share_of_range(self) -> float:
        """Share of float16's range that is used, 1 at its limit."""
        return self.largest / HALF_MAX


def graph_of(folder: ModelFolder, compute: ComputeType) -> onnx.ModelProto:
    """The model as our own graph.

    Raises:
        UnsupportedModelError: It has no safetensors, or its family is none of ours.
        ModelError: A tensor is missing.
    """
    weights = folder.open_weights()
    architecture = read_architecture(folder.config)
    return build_graph(architecture, weights, folder.spec.kind, folder.head, compute)


def outputs(graph: onnx.ModelProto, batch: TokenBatch) -> Float32s:
    """Logits `[num_sequences]` or embeddings `[num_sequences, hidden_size]` on the CPU."""
    (result,) = _run(graph, batch, [graph.graph.output[0].name])
    return result


def largest_activations(single: onnx.ModelProto, batch: TokenBatch) -> list[Activations]:
    """The largest value of each part that float16 would have to hold, computed in float32.

    Args:
        single: The graph in float32.
        batch: Real text: random tokens excite a model less.

    Returns:
        One entry for each part with products, in the order of computation.
    """
    graph = onnx.ModelProto()
    graph.CopyFrom(single)
    half = _values_in_half(graph.graph)
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in half)
    largest: dict[str, float] = {}
    for name, value in zip(half, _run(graph, batch, half), strict=True):
        part = name.partition("/")[0]
        largest[part] = max(largest.get(part, 0.0), float(np.abs(value).max()))
    return [Activations(part, value) for part, value in largest.items()]


def _values_in_half(graph: onnx.GraphProto) -> list[str]:
    """Everything that goes into products and comes out of them, and their sums with a bias."""
    constants = {x.name for x in graph.initializer}
    half: dict[str, None] = {}
    for node in graph.node:
        is_biased = node.op_type == "Add" and node.input[1] in constants and node.input[0] in half
        if node.op_type in ("MatMul", "Conv") or is_biased:
            half |= dict.fromkeys(x for x in (*node.input, *node.output) if x not in constants)
    return list(half)


def _run(graph: onnx.ModelProto, batch: TokenBatch, names: list[str]) -> list[Float32s]:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    longest = int(batch.lengths.max())
    input_ids = np.empty(len(batch) * longest, np.int32)
    lengths = np.empty(len(batch), np.int32)
    rows = np.arange(len(batch), dtype=np.int32)
    pack_padded(batch.token_ids, batch.offsets, rows, longest, _PAD_ID, input_ids, lengths)
    feeds = {
        "input_ids": input_ids.reshape(len(batch), longest),
        "lengths": lengths,
        "query_lengths": batch.query_lengths,
    }
    results: list[Float32s] = session.run(names, feeds)
    return results
