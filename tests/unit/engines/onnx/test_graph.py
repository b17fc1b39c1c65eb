import hashlib
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from safetensors.numpy import load_file, save_file

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import Activation
from twopass.engines.model.families import read_architecture
from twopass.engines.model.pooling import DenseLayer, EmbeddingHead, Pooling, embeddings_of
from twopass.engines.model.weights import ModelWeights
from twopass.engines.onnx.graph import GRAPH_VERSION, build_graph
from twopass.engines.onnx.graph_writer import ComputeType

from .. import encoder_reference
from ..random_encoders import ALL_CONFIGS, CONFIGS, float32s, write_encoder
from ..small_models import batch_of, random_rows

# A few layers in float32 beside the same in float64.
FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}
ROWS = random_rows([1, 2, 7, 15, 16, 17, 24])
QUERY_LENGTHS = [1, 1, 3, 15, 8, 2, 12]
MEAN = EmbeddingHead((Pooling.MEAN,))


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


def graph_and_weights(folder, name, kind, head=MEAN, compute=ComputeType.F32):
    weights = write_encoder(folder, name)
    architecture = read_architecture(ALL_CONFIGS[name])
    return build_graph(architecture, weights, kind, head, compute), architecture, weights


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_logits_are_those_of_the_reference(tmp_path, name):
    graph, architecture, weights = graph_and_weights(tmp_path, name, ModelKind.RERANKER)
    (logits,) = run(graph, batch_of(ROWS, QUERY_LENGTHS))
    tensors = float32s(weights)
    expected = [
        encoder_reference.logit(architecture, tensors, *pair)
        for pair in zip(ROWS, QUERY_LENGTHS, strict=True)
    ]
    np.testing.assert_allclose(logits, expected, **FLOAT32)


@pytest.mark.parametrize("pooling", Pooling)
@pytest.mark.parametrize("name", ["bert", "modernbert"])
def test_embeddings_are_those_of_the_reference(tmp_path, name, pooling):
    head = EmbeddingHead((pooling,))
    graph, architecture, weights = graph_and_weights(tmp_path, name, ModelKind.ENCODER, head)
    (embeddings,) = run(graph, batch_of(ROWS, [len(row) for row in ROWS]))
    expected = [embedding_of(architecture, weights, head, row) for row in ROWS]
    np.testing.assert_allclose(embeddings, expected, **FLOAT32)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)


def test_poolings_stand_side_by_side_and_dense_modules_follow(tmp_path):
    layers = (DenseLayer(128, 5, Activation.TANH), DenseLayer(5, 3, None))
    head = EmbeddingHead((Pooling.CLS, Pooling.MEAN), layers)
    draw = np.random.default_rng(3).normal
    files = []
    for number, layer in enumerate(layers):
        files.append(tmp_path / f"{number}.safetensors")
        weight = draw(size=(layer.output_width, layer.input_width)).astype(np.float32)
        bias = draw(size=layer.output_width).astype(np.float32)
        save_file({"linear.weight": weight, "linear.bias": bias}, files[-1])
    write_encoder(tmp_path, "bert")
    config = CONFIGS["bert"]
    weights = ModelWeights([tmp_path / "model.safetensors"], config, dense=files)
    architecture = read_architecture(config)
    graph = build_graph(architecture, weights, ModelKind.ENCODER, head)
    (embeddings,) = run(graph, batch_of(ROWS, [len(row) for row in ROWS]))
    expected = [embedding_of(architecture, weights, head, row) for row in ROWS]
    np.testing.assert_allclose(embeddings, expected, **FLOAT32)
    assert embeddings.shape == (len(ROWS), 3)


def embedding_of(architecture, weights, head, row):
    """What a text's embedding should be, by the plain references of encoder and head."""
    hidden = encoder_reference.hidden_states(architecture, float32s(weights), row, len(row))
    dense = [
        (
            weights.float32(f"embedding.dense.{number}.weight"),
            weights.float32(f"embedding.dense.{number}.bias"),
        )
        for number in range(len(head.dense))
    ]
    vectors = hidden[None].astype(np.float32)
    return embeddings_of(head, vectors, np.array([len(row)], np.int32), dense)[0]


@pytest.mark.parametrize("compute", ComputeType, ids=lambda compute: compute.name)
@pytest.mark.parametrize("kind", ModelKind)
@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_graph_keeps_to_the_onnx_standard(tmp_path, name, kind, compute):
    graph, _, _ = graph_and_weights(tmp_path, name, kind, compute=compute)
    onnx.checker.check_model(graph, full_check=True)
    assert [x.name for x in graph.graph.input] == ["input_ids", "lengths", "query_lengths"]
    assert all(x.type.tensor_type.elem_type == TensorProto.INT32 for x in graph.graph.input)
    (output,) = graph.graph.output
    assert output.name == ("logits" if kind is ModelKind.RERANKER else "embeddings")
    assert output.type.tensor_type.elem_type == TensorProto.FLOAT


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_every_input_is_read_since_tensorrt_drops_others(tmp_path, name):
    graph, _, _ = graph_and_weights(tmp_path, name, ModelKind.RERANKER)
    read = {name for node in graph.graph.node for name in node.input}
    assert {x.name for x in graph.graph.input} <= read


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_half_precision_holds_products_and_leaves_norms_and_head_in_float32(tmp_path, name):
    graph, _, _ = graph_and_weights(tmp_path, name, ModelKind.RERANKER, compute=ComputeType.F16)
    types = {x.name: numpy_helper.to_array(x).dtype for x in graph.graph.initializer}

    def weights_of(op: str) -> set[np.dtype]:
        nodes = [node for node in graph.graph.node if node.op_type == op]
        return {types[name] for node in nodes for name in node.input if name in types}

    assert weights_of("MatMul") == {np.dtype(np.float16)}
    assert weights_of("LayerNormalization") == {np.dtype(np.float32)}
    assert weights_of("Gemm") == {np.dtype(np.float32)}
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True).graph.value_info
    inputs = {
        name
        for node in graph.graph.node
        if node.op_type in ("Softmax", "Gelu", "Sigmoid", "LayerNormalization")
        for name in node.input
    }
    floats = {x.type.tensor_type.elem_type for x in inferred if x.name in inputs}
    assert floats == {TensorProto.FLOAT}


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_half_precision_is_close_to_single(tmp_path, name):
    batch = batch_of(ROWS, QUERY_LENGTHS)
    single, half = (
        run(graph_and_weights(tmp_path, name, ModelKind.RERANKER, compute=compute)[0], batch)[0]
        for compute in ComputeType
    )
    np.testing.assert_allclose(half, single, atol=5e-3)


def test_a_missing_tensor_is_named(tmp_path):
    write_encoder(tmp_path, "bert")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    del tensors["encoder.layer.1.output.dense.bias"]
    save_file(tensors, file)
    weights = ModelWeights([file], CONFIGS["bert"])
    architecture = read_architecture(CONFIGS["bert"])
    with pytest.raises(ModelError, match=r"layers\.1\.mlp\.down\.bias is missing"):
        build_graph(architecture, weights, ModelKind.RERANKER, MEAN)


def test_a_reranker_of_a_family_whose_head_is_not_known_is_refused(tmp_path):
    weights = write_encoder(tmp_path, "bert")
    architecture = replace(read_architecture(CONFIGS["bert"]), head=None)
    with pytest.raises(UnsupportedModelError, match=r"head of a reranker.*'bert'.*onnxruntime"):
        build_graph(architecture, weights, ModelKind.RERANKER, MEAN)


@pytest.mark.parametrize("name", ["bert", "modernbert", "deberta"])
def test_nodes_are_named_after_their_part_of_the_model(tmp_path, name):
    graph, architecture, _ = graph_and_weights(tmp_path, name, ModelKind.RERANKER)
    parts = [node.name.partition("/")[0] for node in graph.graph.node if "/" in node.name]
    layers = [f"layer.{number}" for number in range(architecture.num_layers)]
    assert list(dict.fromkeys(parts)) == ["embeddings", *layers, "head"]


def test_a_graph_that_computes_otherwise_has_another_version(tmp_path):
    """Plans are cached under the version: where this fails, raise it and renew the digest."""
    nodes = []
    for name in ALL_CONFIGS:
        for kind in ModelKind:
            graph, _, _ = graph_and_weights(tmp_path, name, kind, compute=ComputeType.F16)
            nodes += [
                (node.op_type, [*node.input], sorted(str(value) for value in node.attribute))
                for node in graph.graph.node
            ]
    digest = hashlib.sha256(repr(nodes).encode()).hexdigest()[:16]
    assert (GRAPH_VERSION, digest) == (2, "03fd1f0adc52399f")
