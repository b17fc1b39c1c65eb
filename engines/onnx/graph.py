"""Writes the ONNX graph of an encoder straight from its description and weights, without torch.

Inputs, the same for both kinds of model:

    input_ids      int32 [batch_size, seq_len]   padded at the end with any valid id
    lengths        int32 [batch_size]            real tokens of each sequence, at least 1
    query_lengths  int32 [batch_size]            leading tokens of type 0

The masks and the token types follow from the lengths inside the graph, so nothing else crosses to a
device. Output: `logits` float32 `[batch_size]`, or `embeddings` float32
`[batch_size, output_width]`.

Weights and products are of the compute type; LayerNorm, softmax, rotations, the residual sums that
feed them and the head are float32, since float16 overflows there (65,504) and rounds there most.
"""

import numpy as np
import onnx

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.architecture import Architecture, Convolution
from twopass.engines.model.pooling import EmbeddingHead
from twopass.engines.model.weights import ModelWeights
from twopass.engines.onnx import graph_heads
from twopass.engines.onnx.graph_attention import attention
from twopass.engines.onnx.graph_places import Places
from twopass.engines.onnx.graph_writer import ComputeType, GraphWriter

# Part of the key that plans are cached under: raised with every change to what a graph computes.
GRAPH_VERSION = 2


def build_graph(
    architecture: Architecture,
    weights: ModelWeights,
    kind: ModelKind,
    head: EmbeddingHead,
    compute: ComputeType = ComputeType.F32,
) -> onnx.ModelProto:
    """Writes the whole graph of an encoder or a reranker.

    Names of nodes begin with the part of the model they belong to: `embeddings/`, `layer.0/`, …,
    `head/`; those of lengths and masks with none.

    Raises:
        ModelError: A tensor is missing.
        UnsupportedModelError: It is to be a reranker, and the family's head is not known.
    """
    writer = GraphWriter(compute, weights)
    places = Places(writer, architecture)
    with writer.part("embeddings"):
        hidden = _embeddings(writer, architecture, places)
    embedded = hidden
    for layer in range(architecture.num_layers):
        with writer.part(f"layer.{layer}"):
            hidden = _layer(writer, architecture, places, layer, hidden)
            if layer == 0 and architecture.convolution is not None:
                convolved = _convolved(writer, architecture.convolution, places, embedded)
                hidden = writer.op("Add", hidden, convolved)
                hidden = writer.layer_norm(hidden, "convolution_norm", architecture.norm_eps)
    with writer.part("head"):
        if architecture.norm_first:
            hidden = writer.layer_norm(hidden, "final_norm", architecture.norm_eps)
        if kind is ModelKind.ENCODER:
            embeddings = graph_heads.embeddings(writer, head, places, hidden)
            width = head.output_width(architecture.hidden_size)
            return writer.close(embeddings, "embeddings", ["batch_size", width])
        if architecture.head is None:
            raise UnsupportedModelError(
                f"config.json: the head of a reranker of the family {architecture.family!r} is not "
                "known; its model.onnx runs on the engine onnxruntime"
            )
        logits = graph_heads.logits(writer, architecture, architecture.head, places, hidden)
    return writer.close(logits, "logits", ["batch_size"])


def _embeddings(writer: GraphWriter, architecture: Architecture, places: Places) -> str:
    """Word, position and type embeddings, summed in float32, normalised and projected."""
    weights = writer.weights
    words = writer.computed(weights.float32("embeddings.words.weight"))
    hidden = writer.float_cast(writer.op("Gather", words, "input_ids"))
    if architecture.num_positions:
        table = weights.float32("embeddings.positions.weight")[architecture.position_offset :]
        hidden = writer.op("Add", hidden, places.sliced(table))
    if architecture.type_vocab_size:
        types = weights.float32("embeddings.types.weight")
        first, second = types[0], types[min(1, len(types) - 1)]
        is_query = writer.op("Unsqueeze", places.is_query, writer.ints(2))
        kind = writer.op("Where", is_query, writer.constant(first), writer.constant(second))
        hidden = writer.op("Add", hidden, kind)
    hidden = writer.layer_norm(hidden, "embeddings.norm", architecture.norm_eps)
    if architecture.embedding_size == architecture.hidden_size:
        return hidden
    projected = writer.dense(writer.compute_cast(hidden), "embeddings.projection")
    return writer.float_cast(projected)


def _layer(
    writer: GraphWriter, architecture: Architecture, places: Places, layer: int, hidden: str
) -> str:
    """One transformer layer, float32 in and out."""
    module = f"layers.{layer}"

    def norm(x: str, name: str) -> str:
        return writer.layer_norm(x, f"{module}.{name}", architecture.norm_eps)

    def attended(x: str) -> str:
        context = attention(writer, architecture, places, layer, writer.compute_cast(x))
        return writer.float_cast(writer.dense(context, f"{module}.attention.output"))

    if not architecture.norm_first:
        hidden = norm(writer.op("Add", hidden, attended(hidden)), "attention_norm")
        inner = _mlp(writer, architecture, module, hidden)
        return norm(writer.op("Add", hidden, inner), "mlp_norm")
    has_norm = layer > 0 or architecture.first_attention_norm
    x = norm(hidden, "attention_norm") if has_norm else hidden
    hidden = writer.op("Add", hidden, attended(x))
    inner = _mlp(writer, architecture, module, norm(hidden, "mlp_norm"))
    return writer.op("Add", hidden, inner)


def _convolved(writer: GraphWriter, convolution: Convolution, places: Places, x: str) -> str:
    """A convolution over the real tokens, and its activation; float32 in and out."""
    is_real = writer.op("Unsqueeze", places.is_real, writer.ints(2))
    x = writer.op("Where", is_real, x, writer.constant(np.float32(0)))
    x = writer.op("Transpose", writer.compute_cast(x), perm=[0, 2, 1])
    kernels, bias = (
        writer.computed(writer.weights.float32(f"convolution.{part}"))
        for part in ("weight", "bias")
    )
    reach = convolution.kernel_size // 2
    x = writer.op("Conv", x, kernels, bias, group=convolution.groups, pads=[reach, reach])
    x = writer.op("Transpose", x, perm=[0, 2, 1])
    return writer.activation(writer.float_cast(x), convolution.activation)


def _mlp(writer: GraphWriter, architecture: Architecture, module: str, x: str) -> str:
    """`down(activation(up(x)))`, or gated; float32 in and out."""
    x = writer.compute_cast(x)
    inner = writer.float_cast(writer.dense(x, f"{module}.mlp.up"))
    if architecture.gated:
        gate = writer.float_cast(writer.dense(x, f"{module}.mlp.gate"))
        inner = writer.op("Mul", writer.activation(gate, architecture.activation), inner)
    else:
        inner = writer.activation(inner, architecture.activation)
    return writer.float_cast(writer.dense(writer.compute_cast(inner), f"{module}.mlp.down"))
