import hashlib

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper

from twopass.engines.base import ModelKind, TokenBatch
from twopass.engines.errors import ModelError
from twopass.engines.model.architecture import read_architecture
from twopass.engines.model.folder import Pooling
from twopass.engines.model.weights import BertWeights
from twopass.engines.onnx.graph import GRAPH_VERSION, ComputeType, build_graph

from .. import bert_reference
from ..small_models import batch_of, random_rows, random_tensors, small_config, write_model

# Two layers in float32 beside the same in float64.
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}
ROWS = random_rows([1, 2, 7, 15, 16, 17, 24])
QUERY_LENGTHS = [1, 1, 3, 15, 8, 2, 12]


def run(graph: onnx.ModelProto, batch: TokenBatch, outputs: list[str] | None = None):
    """Runs a graph on a batch padded with an id that would be noticed."""
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    longest = int(batch.lengths.max())
    input_ids = np.full((len(batch), longest), 5, np.int32)
    for row, length in enumerate(batch.lengths):
        start = batch.offsets[row]
        input_ids[row, :length] = batch.token_ids[start : start + length]
    feeds = {
        "input_ids": input_ids,
        "lengths": batch.lengths,
        "query_lengths": batch.query_lengths,
    }
    return session.run(outputs, feeds)


def small_graph(folder, config, kind, pooling=Pooling.MEAN, compute=ComputeType.F32):
    tensors = random_tensors(config)
    write_model(folder, config, tensors)
    weights = BertWeights(folder / "model.safetensors")
    return tensors, build_graph(read_architecture(config), weights, kind, pooling, compute)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_logits_are_those_of_the_reference(tmp_path, model_type, activation):
    config = small_config(model_type, hidden_act=activation)
    tensors, graph = small_graph(tmp_path, config, ModelKind.RERANKER)
    (logits,) = run(graph, batch_of(ROWS, QUERY_LENGTHS))
    pairs = zip(ROWS, QUERY_LENGTHS, strict=True)
    expected = [bert_reference.logit(tensors, config, *pair) for pair in pairs]
    np.testing.assert_allclose(logits, expected, **FLOAT32)


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_embeddings_are_those_of_the_reference(tmp_path, model_type, pooling):
    config = small_config(model_type)
    tensors, graph = small_graph(tmp_path, config, ModelKind.ENCODER, pooling)
    (embeddings,) = run(graph, batch_of(ROWS, [len(row) for row in ROWS]))
    expected = [bert_reference.embedding(tensors, config, row, pooling.value) for row in ROWS]
    np.testing.assert_allclose(embeddings, expected, **FLOAT32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("compute", ComputeType, ids=lambda compute: compute.name)
@pytest.mark.parametrize("kind", ModelKind)
def test_graph_keeps_to_the_onnx_standard(tmp_path, kind, compute):
    _, graph = small_graph(tmp_path, small_config(), kind, compute=compute)
    onnx.checker.check_model(graph, full_check=True)
    assert [x.name for x in graph.graph.input] == ["input_ids", "lengths", "query_lengths"]
    assert all(x.type.tensor_type.elem_type == TensorProto.INT32 for x in graph.graph.input)
    (output,) = graph.graph.output
    assert output.name == ("logits" if kind is ModelKind.RERANKER else "embeddings")
    assert output.type.tensor_type.elem_type == TensorProto.FLOAT


def test_half_precision_holds_products_and_leaves_norms_and_head_in_float32(tmp_path):
    _, graph = small_graph(tmp_path, small_config(), ModelKind.RERANKER, compute=ComputeType.F16)
    types = {x.name: numpy_helper.to_array(x).dtype for x in graph.graph.initializer}

    def weights_of(op: str) -> set[np.dtype]:
        nodes = [node for node in graph.graph.node if node.op_type == op]
        return {types[name] for node in nodes for name in node.input if name in types}

    assert weights_of("MatMul") == {np.dtype(np.float16)}
    assert weights_of("LayerNormalization") == {np.dtype(np.float32)}
    assert weights_of("Gemm") == {np.dtype(np.float32)}


def test_a_missing_tensor_is_named(tmp_path):
    config = small_config()
    tensors = random_tensors(config)
    del tensors["encoder.layer.1.output.dense.bias"]
    write_model(tmp_path, config, tensors)
    weights = BertWeights(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.output\.dense\.bias is missing"):
        build_graph(read_architecture(config), weights, ModelKind.RERANKER, Pooling.MEAN)


def test_nodes_are_named_after_their_part_of_the_model(tmp_path):
    _, graph = small_graph(tmp_path, small_config(), ModelKind.RERANKER)
    parts = [node.name.partition("/")[0] for node in graph.graph.node if "/" in node.name]
    assert list(dict.fromkeys(parts)) == ["embeddings", "layer.0", "layer.1", "head"]


@pytest.mark.parametrize(
    ("kind", "digest"),
    [(ModelKind.ENCODER, "2c15f5d4ef74dc79"), (ModelKind.RERANKER, "934604522c91409f")],
    ids=lambda value: str(value)[:8],
)
def test_a_graph_that_computes_otherwise_has_another_version(tmp_path, kind, digest):
    """Plans are cached under the version: where this fails, raise it and renew the digests."""
    _, graph = small_graph(tmp_path, small_config(), kind, compute=ComputeType.F16)
    nodes = [
        (node.op_type, [*node.input], sorted(str(attribute) for attribute in node.attribute))
        for node in graph.graph.node
    ]
    assert (GRAPH_VERSION, hashlib.sha256(repr(nodes).encode()).hexdigest()[:16]) == (1, digest)
