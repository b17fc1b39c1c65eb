"""Graphs that others exported: which input gets what, which output counts, what is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import ModelError
from twopass.engines.model.folder import open_model
from twopass.engines.model.graph_outputs import GraphValue, choose_output
from twopass.engines.onnx.engine import OnnxRuntimeEngine
from twopass.engines.onnx.exported_graph import precision_of

from ..small_models import VOCAB_SIZE, batch_of, random_rows, small_config, write_json, write_model

# Inputs as Hugging Face's exporters name them.
IDS, MASK, TYPES, POSITIONS = "input_ids", "attention_mask", "token_type_ids", "position_ids"
WIDTH = 8
TABLE = np.random.default_rng(0).normal(size=(VOCAB_SIZE, WIDTH)).astype(np.float32)
LENGTHS = [4, 9, 1]


class Exported:
    """A graph of few nodes, and the folder it is in."""

    def __init__(self, inputs: Sequence[str] = (IDS, MASK), number_type: int = TensorProto.INT64):
        self.nodes: list[onnx.NodeProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.constants = {
            "table": TABLE,
            "axis": np.array([1], np.int64),
            "last": np.array([2], np.int64),
            "zero": np.array(0, np.int64),
            "thousand": np.array([1000], np.int64),
        }
        self.inputs = [
            helper.make_tensor_value_info(x, number_type, ["batch", "tokens"]) for x in inputs
        ]

    def node(self, kind: str, *names: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes))
        return names[-1]

    def output(self, name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def token_vectors(self, name: str) -> None:
        """Each token's row of the table; a thousand in all components of padding."""
        self.node("Gather", "table", IDS, f"{name}.rows")
        self.node("Unsqueeze", MASK, "last", f"{name}.wide")
        self.node("Cast", f"{name}.wide", f"{name}.is_real", to=TensorProto.BOOL)
        self.node("Cast", "thousand", f"{name}.padding", to=TensorProto.FLOAT)
        self.node("Where", f"{name}.is_real", f"{name}.rows", f"{name}.padding", name)
        self.output(name, ["batch", "tokens", WIDTH])

    def pooled(self, name: str, factor: float) -> None:
        """The first token's row, `factor` times."""
        self.constants[f"{name}.factor"] = np.array(factor, np.float32)
        self.node("Gather", IDS, "zero", f"{name}.first", axis=1)
        self.node("Gather", "table", f"{name}.first", f"{name}.rows")
        self.node("Mul", f"{name}.rows", f"{name}.factor", name)
        self.output(name, ["batch", WIDTH])

    def logits(self, name: str, *columns: str) -> None:
        """For each column the sum over the tokens of an input, of real tokens alone."""
        parts = []
        for number, column in enumerate(columns):
            self.node("Mul", column, MASK, f"{name}.real{number}")
            self.node("ReduceSum", f"{name}.real{number}", "axis", f"{name}.sum{number}")
            parts.append(f"{name}.sum{number}")
        self.node("Concat", *parts, f"{name}.all", axis=1)
        self.node("Cast", f"{name}.all", name, to=TensorProto.FLOAT)
        self.output(name, ["batch", len(columns)])

    def save(
        self,
        folder: Path,
        kind: ModelKind,
        *,
        file: str = "model.onnx",
        settings: dict[str, Any] | None = None,
        external: bool = False,
        **config: Any,
    ) -> Path:
        constants = [numpy_helper.from_array(value, x) for x, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, "exported", self.inputs, self.outputs, constants)
        opset = helper.make_opsetid("", 20)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
        described = small_config("longformer", type_vocab_size=2) | config
        described = {key: value for key, value in described.items() if value is not None}
        own = {"kind": kind.value, "max_seq_len": 24} | (settings or {})
        write_model(folder, described, settings=own)
        (folder / file).parent.mkdir(exist_ok=True)
        location = f"{Path(file).name}_data"
        onnx.save(
            model,
            folder / file,
            save_as_external_data=external,
            location=location,
            size_threshold=1_000,
        )
        return folder


def computed(folder: Path, lengths: Sequence[int] = LENGTHS, queries: Sequence[int] = (2, 3, 1)):
    """What the engine says of random rows, and the rows."""
    engine = OnnxRuntimeEngine(open_model(str(folder)), num_threads=1)
    rows = random_rows(lengths)
    values = engine.submit(batch_of(rows, queries)).result()
    width = engine.output_width
    engine.close()
    assert values.shape == ((len(rows),) if values.ndim == 1 else (len(rows), width))
    return values, rows


def refused(folder: Path, match: str) -> None:
    with pytest.raises(ModelError, match=match):
        OnnxRuntimeEngine(open_model(str(folder)), num_threads=1)


def unit(vector):
    return vector / np.linalg.norm(vector)


# --- inputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number_type", [TensorProto.INT64, TensorProto.INT32], ids=str)
@pytest.mark.parametrize("inputs", [[IDS, MASK], [IDS, MASK, TYPES]], ids=["two", "three"])
def test_a_graph_gets_the_inputs_it_has_in_their_types(tmp_path, inputs, number_type):
    exported = Exported(inputs, number_type)
    exported.logits("logits", inputs[-1] if TYPES in inputs else IDS)
    logits, rows = computed(exported.save(tmp_path, ModelKind.RERANKER))
    second = [len(row) - query for row, query in zip(rows, (2, 3, 1), strict=True)]
    assert logits.tolist() == (second if TYPES in inputs else [sum(row) for row in rows])


@pytest.mark.parametrize("num_types", [0, 1])
def test_a_model_without_a_second_type_gets_none(tmp_path, num_types):
    exported = Exported([IDS, MASK, TYPES])
    exported.logits("logits", TYPES)
    folder = exported.save(tmp_path, ModelKind.RERANKER, type_vocab_size=num_types)
    assert computed(folder)[0].tolist() == [0, 0, 0]


def test_positions_begin_where_the_family_begins_them(tmp_path):
    exported = Exported([IDS, MASK, POSITIONS])
    exported.logits("logits", POSITIONS)
    config = small_config("roberta")
    logits, rows = computed(exported.save(tmp_path, ModelKind.RERANKER, **config))
    first = config["pad_token_id"] + 1
    assert logits.tolist() == [sum(range(first, first + len(row))) for row in rows]


def test_positions_of_a_family_that_is_not_known_are_refused(tmp_path):
    exported = Exported([IDS, MASK, POSITIONS])
    exported.logits("logits", POSITIONS)
    refused(exported.save(tmp_path, ModelKind.RERANKER), "position_ids can't be filled.*longformer")


def test_an_input_that_cannot_be_filled_is_named(tmp_path):
    exported = Exported([IDS, MASK, "past_key_values.0.key"])
    exported.logits("logits", IDS)
    refused(exported.save(tmp_path, ModelKind.RERANKER), r"past_key_values\.0\.key .*can't be fill")


def test_a_graph_of_one_size_alone_is_refused(tmp_path):
    exported = Exported()
    exported.logits("logits", IDS)
    for value in exported.inputs:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    refused(exported.save(tmp_path, ModelKind.RERANKER), r"input_ids \[1, tokens\].*dynamic axes")


# --- outputs of encoders --------------------------------------------------------------------------


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "last"])
def test_token_vectors_are_pooled_as_the_folder_says_and_without_padding(tmp_path, pooling):
    exported = Exported()
    exported.token_vectors("last_hidden_state")
    settings = {"pooling": pooling}
    values, rows = computed(exported.save(tmp_path, ModelKind.ENCODER, settings=settings))
    for row, value in zip(rows, values, strict=True):
        vectors = TABLE[row]
        pooled = {
            "mean": vectors.mean(axis=0),
            "cls": vectors[0],
            "max": vectors.max(axis=0),
            "last": vectors[-1],
        }
        np.testing.assert_allclose(value, unit(pooled[pooling]), rtol=1e-5)


@pytest.mark.parametrize("name", ["pooler_output", "sentence_embedding"])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "second"])
def test_token_vectors_count_wherever_a_pooled_output_stands(tmp_path, name, is_first):
    exported = Exported()
    if is_first:
        exported.pooled(name, 7.0)
    exported.token_vectors("last_hidden_state")
    if not is_first:
        exported.pooled(name, 7.0)
    values, rows = computed(exported.save(tmp_path, ModelKind.ENCODER))
    for row, value in zip(rows, values, strict=True):
        np.testing.assert_allclose(value, unit(TABLE[row].mean(axis=0)), rtol=1e-5)


def test_an_embedding_that_the_graph_pooled_is_normalised(tmp_path):
    exported = Exported()
    exported.pooled("pooler_output", -1.0)
    exported.pooled("sentence_embedding", 7.0)
    values, rows = computed(exported.save(tmp_path, ModelKind.ENCODER))
    for row, value in zip(rows, values, strict=True):
        np.testing.assert_allclose(value, unit(TABLE[row[0]]), rtol=1e-5)


def test_a_pooler_s_output_alone_is_no_embedding(tmp_path):
    exported = Exported()
    exported.pooled("pooler_output", 1.0)
    refused(exported.save(tmp_path, ModelKind.ENCODER), "pooler_output.*last_hidden_state.*export")


def test_a_folder_whose_config_has_no_hidden_size_is_read(tmp_path):
    exported = Exported()
    exported.token_vectors("last_hidden_state")
    exported.outputs[0].type.tensor_type.shape.dim[2].dim_param = "width"
    values, _ = computed(exported.save(tmp_path, ModelKind.ENCODER, hidden_size=None))
    assert values.shape[1] == WIDTH


def test_dense_modules_follow_the_token_vectors(tmp_path):
    exported = Exported()
    exported.token_vectors("last_hidden_state")
    exported.save(tmp_path, ModelKind.ENCODER)
    weight = np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)
    for name in ("1_Pooling", "2_Dense"):
        (tmp_path / name).mkdir()
    save_file({"linear.weight": weight}, tmp_path / "2_Dense" / "model.safetensors")
    dense = {"in_features": WIDTH, "out_features": 3, "bias": False}
    dense["activation_function"] = "torch.nn.modules.linear.Identity"
    write_json(tmp_path / "2_Dense" / "config.json", dense)
    pooling = {"word_embedding_dimension": WIDTH, "pooling_mode_mean_tokens": True}
    write_json(tmp_path / "1_Pooling" / "config.json", pooling)
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Dense": "Dense"}
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate(kinds.items())
    ]
    write_json(tmp_path / "modules.json", modules)
    values, rows = computed(tmp_path)
    for row, value in zip(rows, values, strict=True):
        np.testing.assert_allclose(value, unit(weight @ TABLE[row].mean(axis=0)), rtol=1e-4)


def value_of(name: str, *shape: Any) -> GraphValue:
    return GraphValue(name, "tensor(float)", shape)


@pytest.mark.parametrize(
    ("outputs", "chosen", "is_pooled"),
    [
        ([value_of("output_0", "b", "s", 8)], "output_0", False),
        ([value_of("embeddings", "b", 8)], "embeddings", True),
        ([value_of("pooler_output", "b", 8), value_of("1", "b", "s", 8)], "1", False),
        (
            [value_of("token_embeddings", "b", "s", 8), value_of("sentence_embedding", "b", 8)],
            "token_embeddings",
            False,
        ),
        ([value_of("last_hidden_state")], "last_hidden_state", False),  # of unknown rank
    ],
    ids=lambda value: str(value)[:20],
)
def test_an_encoder_s_output_is_known_by_its_name_and_rank(outputs, chosen, is_pooled):
    found = choose_output(ModelKind.ENCODER, outputs, "model.onnx")
    assert (found.name, found.is_pooled) == (chosen, is_pooled)


@pytest.mark.parametrize(
    "outputs",
    [
        [value_of("a", "b", "s", 8), value_of("b", "b", "s", 8)],
        [value_of("a", "b", 8), value_of("b", "b", 8)],
        [value_of("logits", "b", "s", 99)],
        [value_of("last_hidden_state", "b", 8), value_of("pooler_output", "b", 8)],
    ],
    ids=str,
)
def test_outputs_that_leave_it_open_which_one_counts_are_refused_by_name(outputs):
    with pytest.raises(ModelError, match=f"outputs are {outputs[0].name} "):
        choose_output(ModelKind.ENCODER, outputs, "model.onnx")


# --- outputs of rerankers -------------------------------------------------------------------------


def test_two_labels_are_one_logit_by_the_label_that_the_folder_names(tmp_path):
    exported = Exported([IDS, MASK, TYPES])
    exported.logits("logits", IDS, TYPES)
    labels = {"0": "irrelevant", "1": "relevant"}
    settings = {"relevant_label": 1}
    folder = exported.save(tmp_path, ModelKind.RERANKER, id2label=labels, settings=settings)
    logits, rows = computed(folder)
    second = [len(row) - query for row, query in zip(rows, (2, 3, 1), strict=True)]
    assert logits.tolist() == [n - sum(row) for n, row in zip(second, rows, strict=True)]


def test_two_labels_of_a_graph_whose_config_has_one_are_refused(tmp_path):
    exported = Exported()
    exported.logits("logits", IDS, IDS)
    refused(exported.save(tmp_path, ModelKind.RERANKER), r"logits is of shape \[2, 2\].*relevant_l")


def test_a_language_model_s_logits_are_no_reranker_s(tmp_path):
    exported = Exported()
    exported.token_vectors("logits")
    refused(exported.save(tmp_path, ModelKind.RERANKER), r"outputs are logits \[.*text-classific")


# --- files ----------------------------------------------------------------------------------------


def test_a_graph_whose_tensors_lie_beside_it_is_read(tmp_path):
    exported = Exported()
    exported.token_vectors("last_hidden_state")
    folder = exported.save(tmp_path, ModelKind.ENCODER, file="onnx/model.onnx", external=True)
    assert (tmp_path / "onnx" / "model.onnx_data").exists()
    values, rows = computed(folder)
    np.testing.assert_allclose(values[0], unit(TABLE[rows[0]].mean(axis=0)), rtol=1e-5)
    (tmp_path / "onnx" / "model.onnx_data").unlink()
    refused(tmp_path, r"model\.onnx_data")


def test_of_several_graphs_model_onnx_is_taken_or_the_one_that_is_named(tmp_path):
    for name, factor in (("model", 1.0), ("model_quantized", -1.0)):
        exported = Exported()
        exported.pooled("sentence_embedding", factor)
        exported.save(tmp_path, ModelKind.ENCODER, file=f"onnx/{name}.onnx")
    values, rows = computed(tmp_path)
    np.testing.assert_allclose(values[0], unit(TABLE[rows[0][0]]), rtol=1e-5)
    named = {"kind": "encoder", "max_seq_len": 24, "onnx": "onnx/model_quantized.onnx"}
    write_json(tmp_path / "twopass.json", named)
    np.testing.assert_allclose(computed(tmp_path)[0][0], -values[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "weights", "precision"),
    [
        ("MatMul", np.float32, "f32"),
        ("MatMul", np.float16, "fp16"),
        ("DynamicQuantizeLinear", np.float32, "int8"),
    ],
)
def test_a_graph_s_precision_is_that_of_its_products(tmp_path, kind, weights, precision):
    constant = numpy_helper.from_array(np.zeros((2, 2), weights), "constant")
    node = helper.make_node(kind, ["x", "constant"], ["y"])
    graph = helper.make_graph([node], "exported", [], [], [constant])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    assert precision_of(tmp_path / "model.onnx") == precision
