"""Writes the ONNX graph of a BERT-family model straight from its weights, without torch.

Inputs, the same for both kinds of model:

    input_ids      int32 [batch_size, seq_len]   padded at the end with any valid id
    lengths        int32 [batch_size]            real tokens of each sequence, at least 1
    query_lengths  int32 [batch_size]            leading tokens of type 0

The mask and the token types follow from the lengths inside the graph, so nothing else crosses to a
device. Output: `logits` float32 `[batch_size]`, or `embeddings` float32
`[batch_size, hidden_size]`.

Weights and products are of the compute type; LayerNorm, softmax, the residual sums that feed them
and the head are float32, since float16 overflows there (65,504) and rounds there most.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from twopass.engines.base import ModelKind
from twopass.engines.model.architecture import BertArchitecture
from twopass.engines.model.folder import Pooling
from twopass.engines.model.weights import BertWeights

# Part of the key that plans are cached under: raised with every change to what a graph computes.
GRAPH_VERSION = 1
# 20 brought Gelu; 17 LayerNormalization.
_OPSET = 20
# Added to the logits of padding before the softmax: exp of it is 0 in float32.
_MASKED = np.float32(-1e9)


class ComputeType(Enum):
    """Type of weights and products."""

    F32 = np.float32
    F16 = np.float16


class _GraphWriter:
    """Collects nodes and initialisers under fresh names; a node's begins with its part's."""

    def __init__(self, compute: ComputeType) -> None:
        self.compute = compute
        self._part = ""
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Names what is written inside after a part of the model."""
        self._part = f"{name}/"
        yield
        self._part = ""

    def constant(self, value: NDArray[np.generic] | np.generic, name: str = "constant") -> str:
        name = f"{name}_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, np.int64))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        output = f"{self._part}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], output, **attributes))
        return output

    def compute_cast(self, x: str) -> str:
        if self.compute is ComputeType.F32:
            return x
        return self.op("Cast", x, to=TensorProto.FLOAT16)

    def float_cast(self, x: str) -> str:
        if self.compute is ComputeType.F32:
            return x
        return self.op("Cast", x, to=TensorProto.FLOAT)

    def dense(self, x: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """`x @ weight.T + bias`, weight `[out, in]` as checkpoints store it."""
        product = self.op("MatMul", x, self.constant(weight.T.astype(self.compute.value), "weight"))
        return self.op("Add", product, self.constant(bias.astype(self.compute.value), "bias"))


def build_graph(
    architecture: BertArchitecture,
    weights: BertWeights,
    kind: ModelKind,
    pooling: Pooling,
    compute: ComputeType = ComputeType.F32,
) -> onnx.ModelProto:
    """Writes the whole graph of an encoder or a reranker.

    Names of nodes begin with the part of the model they belong to: `embeddings/`, `layer.0/`, …,
    `head/`; those of lengths and mask with none.

    Raises:
        ModelError: A tensor is missing.
    """
    writer = _GraphWriter(compute)
    seq_len = writer.op("Gather", writer.op("Shape", "input_ids"), writer.ints(1))
    positions = _positions(writer, seq_len)
    lengths = writer.op("Unsqueeze", "lengths", writer.ints(1))
    is_real = writer.op("Less", positions, lengths)  # [batch_size, seq_len]
    with writer.part("embeddings"):
        hidden = _embeddings(writer, architecture, weights, positions, seq_len)
    mask = writer.op(
        "Unsqueeze",
        writer.op("Where", is_real, writer.constant(np.float32(0)), writer.constant(_MASKED)),
        writer.ints(1, 2),
    )  # [batch_size, 1, 1, seq_len]
    for layer in range(architecture.num_layers):
        with writer.part(f"layer.{layer}"):
            hidden = _layer(writer, architecture, weights, f"encoder.layer.{layer}.", hidden, mask)
    if kind is ModelKind.RERANKER:
        with writer.part("head"):
            logits = _classifier(writer, weights, hidden)
        return _model(writer, logits, "logits", ["batch_size"])
    with writer.part("head"):
        embeddings = _pooled(writer, pooling, hidden, is_real)
    return _model(writer, embeddings, "embeddings", ["batch_size", architecture.hidden_size])


def _positions(writer: _GraphWriter, seq_len: str) -> str:
    scalar = writer.op("Squeeze", seq_len)
    zero, one = writer.constant(np.int64(0)), writer.constant(np.int64(1))
    positions = writer.op("Range", zero, scalar, one)
    return writer.op("Cast", positions, to=TensorProto.INT32)


def _embeddings(
    writer: _GraphWriter,
    architecture: BertArchitecture,
    weights: BertWeights,
    positions: str,
    seq_len: str,
) -> str:
    """Word, position and type embeddings, summed in float32 and normalised."""
    words = writer.constant(
        weights["embeddings.word_embeddings.weight"].astype(writer.compute.value)
    )
    table = weights["embeddings.position_embeddings.weight"][architecture.position_offset :]
    starts, axes = writer.ints(0), writer.ints(0)
    position = writer.op("Slice", writer.constant(table), starts, seq_len, axes)
    hidden = writer.op("Add", writer.float_cast(writer.op("Gather", words, "input_ids")), position)
    types = weights["embeddings.token_type_embeddings.weight"]
    first, second = types[0], types[min(1, len(types) - 1)]
    query_lengths = writer.op("Unsqueeze", "query_lengths", writer.ints(1))
    is_query = writer.op("Unsqueeze", writer.op("Less", positions, query_lengths), writer.ints(2))
    kind = writer.op("Where", is_query, writer.constant(first), writer.constant(second))
    return _layer_norm(
        writer, architecture, weights, "embeddings.LayerNorm", writer.op("Add", hidden, kind)
    )


def _layer_norm(
    writer: _GraphWriter, architecture: BertArchitecture, weights: BertWeights, name: str, x: str
) -> str:
    return writer.op(
        "LayerNormalization",
        x,
        writer.constant(weights[name + ".weight"]),
        writer.constant(weights[name + ".bias"]),
        axis=-1,
        epsilon=architecture.layer_norm_eps,
    )


def _layer(
    writer: _GraphWriter,
    architecture: BertArchitecture,
    weights: BertWeights,
    prefix: str,
    hidden: str,
    mask: str,
) -> str:
    """One transformer layer after Vaswani et al. 2017, post-norm as in BERT; float32 in and out."""

    def dense(x: str, name: str) -> str:
        return writer.dense(x, weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"])

    context = _attention(writer, architecture, weights, prefix, writer.compute_cast(hidden), mask)
    attended = writer.float_cast(dense(context, "attention.output.dense"))
    hidden = _layer_norm(
        writer,
        architecture,
        weights,
        f"{prefix}attention.output.LayerNorm",
        writer.op("Add", hidden, attended),
    )
    inner = dense(writer.compute_cast(hidden), "intermediate.dense")
    approximate = "none" if architecture.gelu == "erf" else "tanh"
    inner = writer.op("Gelu", writer.float_cast(inner), approximate=approximate)
    outer = writer.float_cast(dense(writer.compute_cast(inner), "output.dense"))
    return _layer_norm(
        writer, architecture, weights, f"{prefix}output.LayerNorm", writer.op("Add", hidden, outer)
    )


def _attention(
    writer: _GraphWriter,
    architecture: BertArchitecture,
    weights: BertWeights,
    prefix: str,
    x: str,
    mask: str,
) -> str:
    """Heads' outputs side by side, `[batch_size, seq_len, hidden_size]`, of the compute type."""
    heads = writer.ints(0, 0, architecture.num_heads, architecture.head_dim)

    def project(name: str, order: list[int]) -> str:
        full = f"{prefix}attention.self.{name}"
        product = writer.dense(x, weights[full + ".weight"], weights[full + ".bias"])
        return writer.op("Transpose", writer.op("Reshape", product, heads), perm=order)

    query, key, value = (
        project("query", [0, 2, 1, 3]),
        project("key", [0, 2, 3, 1]),
        project("value", [0, 2, 1, 3]),
    )
    # Scaled before the product, so that float16 sums stay small.
    scale = writer.constant(np.array(architecture.head_dim**-0.5, writer.compute.value))
    scores = writer.op("MatMul", writer.op("Mul", query, scale), key)
    scores = writer.op("Add", writer.float_cast(scores), mask)
    shares = writer.compute_cast(writer.op("Softmax", scores, axis=-1))
    context = writer.op("Transpose", writer.op("MatMul", shares, value), perm=[0, 2, 1, 3])
    return writer.op("Reshape", context, writer.ints(0, 0, architecture.hidden_size))


def _classifier(writer: _GraphWriter, weights: BertWeights, hidden: str) -> str:
    """Pooler and classifier of BertForSequenceClassification over the first token, in float32."""
    first = writer.op("Gather", hidden, writer.constant(np.int64(0)), axis=1)

    def dense(x: str, name: str) -> str:
        weight, bias = weights[name + ".weight"], weights[name + ".bias"]
        return writer.op("Gemm", x, writer.constant(weight), writer.constant(bias), transB=1)

    if "classifier.out_proj.weight" in weights:  # RobertaForSequenceClassification
        logits = dense(writer.op("Tanh", dense(first, "classifier.dense")), "classifier.out_proj")
    else:
        logits = dense(writer.op("Tanh", dense(first, "pooler.dense")), "classifier")
    return writer.op("Squeeze", logits, writer.ints(1))


def _pooled(writer: _GraphWriter, pooling: Pooling, hidden: str, is_real: str) -> str:
    """Token vectors pooled to one and L2-normalised, in float32."""
    if pooling is Pooling.CLS:
        pooled = writer.op("Gather", hidden, writer.constant(np.int64(0)), axis=1)
    else:
        share = writer.op("Cast", is_real, to=TensorProto.FLOAT)
        masked = writer.op("Mul", hidden, writer.op("Unsqueeze", share, writer.ints(2)))
        # The sum points where the mean does; normalising makes them one.
        pooled = writer.op("ReduceSum", masked, writer.ints(1), keepdims=0)
    norm = writer.op("ReduceL2", pooled, writer.ints(1), keepdims=1)
    return writer.op("Div", pooled, writer.op("Max", norm, writer.constant(np.float32(1e-12))))


def _model(
    writer: _GraphWriter, result: str, output: str, shape: list[str | int]
) -> onnx.ModelProto:
    """Closes the graph: its inputs, and `result` under the name `output`."""
    writer.nodes.append(helper.make_node("Identity", [result], [output]))

    def ints(name: str, *dims: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.INT32, list(dims))

    graph = helper.make_graph(
        writer.nodes,
        "twopass",
        [
            ints("input_ids", "batch_size", "seq_len"),
            ints("lengths", "batch_size"),
            ints("query_lengths", "batch_size"),
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        writer.initializers,
    )
    opset = helper.make_opsetid("", _OPSET)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10, producer_name="twopass")
