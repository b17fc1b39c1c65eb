from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from twopass.engines.base import EngineChoice, ModelKind, PaddedLayout
from twopass.engines.errors import InputTooLongError, ModelError
from twopass.engines.loading import load_model
from twopass.engines.model.folder import open_model
from twopass.engines.onnx.engine import OnnxRuntimeEngine

from .. import bert_reference
from ..small_models import (
    MAX_SEQ_LEN,
    VOCAB_SIZE,
    batch_of,
    random_rows,
    random_tensors,
    small_config,
    write_model,
)

# torch and ONNX Runtime add in different orders, six layers deep; golden logits have 6 decimals.
GOLDEN_LOGITS = {"atol": 1e-4}
# Likewise of embeddings, whose components are about 0.05, kept with 7 decimals.
GOLDEN_EMBEDDINGS = {"atol": 1e-5}
# Padding changes the shapes of products, and so the order in which they add up.
BATCH_MATES = {"atol": 2e-5}


@pytest.fixture(scope="module")
def reranker():
    model = load_model("twopass-minilm-l6", num_threads=0, engine=EngineChoice.ONNXRUNTIME)
    yield model
    model.engine.close()


@pytest.fixture(scope="module")
def encoder():
    model = load_model("all-MiniLM-L6-v2", num_threads=0, engine=EngineChoice.ONNXRUNTIME)
    yield model
    model.engine.close()


@pytest.fixture(scope="module")
def pairs(golden, reranker):
    """The golden pairs, and their query lengths."""
    separator = reranker.tokenizer.template.separator[0]
    return golden.pair_ids, [ids.index(separator) + 1 for ids in golden.pair_ids]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small reranker's engine; its weights are random, so its scores move with every token."""
    config = small_config()
    folder = write_model(tmp_path_factory.mktemp("small"), config, random_tensors(config))
    engine = OnnxRuntimeEngine(open_model(str(folder)), num_threads=1)
    yield engine
    engine.close()


def test_logits_are_those_that_torch_computed(reranker, pairs, golden):
    logits = reranker.engine.submit(batch_of(*pairs)).result()
    np.testing.assert_allclose(logits, golden.logits, **GOLDEN_LOGITS)
    assert logits.dtype == np.float32


def test_embeddings_are_those_that_torch_computed(encoder, golden):
    template = encoder.tokenizer.template
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_single_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    embeddings = encoder.engine.submit(batch_of(rows, [len(row) for row in rows])).result()
    np.testing.assert_allclose(embeddings, golden.embeddings, **GOLDEN_EMBEDDINGS)
    assert embeddings.shape == (len(rows), encoder.engine.output_width)


def test_a_pair_scores_alike_alone_and_among_others(reranker, pairs):
    rows, query_lengths = (column[:6] for column in pairs)  # every passage, a long one among them
    together = reranker.engine.submit(batch_of(rows, query_lengths)).result()
    futures = [
        reranker.engine.submit(batch_of([row], [length]))
        for row, length in zip(rows, query_lengths, strict=True)
    ]
    alone = np.concatenate([future.result() for future in futures])
    np.testing.assert_allclose(together, alone, **BATCH_MATES)


@settings(max_examples=30)
@given(st.permutations(range(9)), st.integers(1, 9))
def test_neither_order_nor_batch_mates_change_a_score(small, order, size):
    rows = random_rows([1, 2, 3, 8, 15, 16, 17, 23, 24])
    query_lengths = [max(1, len(row) // 3) for row in rows]
    alone = [
        small.submit(batch_of([row], [length])).result()[0]
        for row, length in zip(rows, query_lengths, strict=True)
    ]
    chosen = order[:size]
    batch = batch_of([rows[i] for i in chosen], [query_lengths[i] for i in chosen])
    expected = [alone[i] for i in chosen]
    np.testing.assert_allclose(small.submit(batch).result(), expected, **BATCH_MATES)


@pytest.mark.parametrize("length", [MAX_SEQ_LEN + 1, 10 * MAX_SEQ_LEN], ids="length={}".format)
def test_a_sequence_that_is_too_long_is_refused_with_both_numbers(small, length):
    future = small.submit(batch_of(random_rows([3, length]), [1, 1]))
    with pytest.raises(InputTooLongError, match=f"{length} tokens, at most {MAX_SEQ_LEN}"):
        future.result()
    assert small.submit(batch_of(random_rows([MAX_SEQ_LEN]), [1])).result().shape == (1,)


@pytest.mark.parametrize("max_seq_len", [15, 16, 17, MAX_SEQ_LEN], ids="max_seq_len={}".format)
def test_buckets_rise_to_the_longest_sequence(tmp_path, max_seq_len):
    config = small_config()
    settings = {"max_seq_len": max_seq_len}
    write_model(tmp_path, config, random_tensors(config), settings=settings)
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    layout = engine.info.layout
    engine.close()
    assert isinstance(layout, PaddedLayout)
    assert layout.buckets[-1] == engine.info.max_seq_len == max_seq_len
    assert list(layout.buckets) == sorted(set(layout.buckets))


@pytest.mark.parametrize("model_type", ["bert", "roberta", "xlm-roberta"])
def test_every_position_there_is_can_be_used(tmp_path, model_type):
    config = small_config(model_type)
    tensors = random_tensors(config)
    folder = open_model(str(write_model(tmp_path, config, tensors, settings={"kind": "reranker"})))
    engine = OnnxRuntimeEngine(folder, num_threads=1)
    (row,) = random_rows([engine.info.max_seq_len])
    logits = engine.submit(batch_of([row], [7])).result()
    engine.close()
    assert engine.info.max_seq_len == MAX_SEQ_LEN
    expected = bert_reference.logit(tensors, config, row, 7)
    np.testing.assert_allclose(logits, [expected], rtol=1e-4, atol=1e-5)


def test_an_unknown_architecture_without_a_graph_is_refused(tmp_path):
    config = small_config(model_type="xlnet")
    write_model(tmp_path, config, random_tensors(config | {"model_type": "bert"}))
    with pytest.raises(ModelError, match="model_type is 'xlnet'"):
        OnnxRuntimeEngine(open_model(str(tmp_path)))


def test_a_graph_that_is_none_is_refused_with_its_folder(tmp_path):
    write_model(tmp_path, small_config())
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match=f"{tmp_path}: ONNX Runtime refuses the graph"):
        OnnxRuntimeEngine(open_model(str(tmp_path)))


def test_what_was_submitted_is_finished_before_the_engine_closes(tmp_path):
    config = small_config()
    write_model(tmp_path, config, random_tensors(config))
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    futures = [engine.submit(batch_of(random_rows([9]), [3])) for _ in range(20)]
    engine.close()
    engine.close()
    assert all(future.result().shape == (1,) for future in futures)


# An exported graph's inputs, as Hugging Face's exporters name them.
IDS, MASK, TYPES = "input_ids", "attention_mask", "token_type_ids"


def write_exported(folder: Path, kind: ModelKind, inputs: list[str], changes: dict) -> None:
    """Writes `model.onnx`: a table of vectors looked up by id, and little more.

    An encoder's output is each token's vector, its padding's a thousand; a reranker's
    `[batch_size, 1]`, the sum of the ids that the mask leaves, plus 1,000 for each of type 1.
    """
    table = np.random.default_rng(0).normal(size=(VOCAB_SIZE, 8)).astype(np.float32)
    constants = {
        "table": table,
        "thousand": np.array([1000], np.int64),
        "axis": np.array([1], np.int64),
        "last": np.array([2], np.int64),
    }

    def node(kind: str, *names: str, **attributes: object) -> onnx.NodeProto:
        return helper.make_node(kind, list(names[:-1]), [names[-1]], **attributes)

    if kind is ModelKind.RERANKER:
        nodes = [node("Mul", IDS, MASK, "real")]
        if TYPES in inputs:
            nodes += [
                node("Mul", TYPES, "thousand", "typed"),
                node("Add", "real", "typed", "ids"),
            ]
        else:
            nodes += [node("Identity", "real", "ids")]
        nodes += [
            node("ReduceSum", "ids", "axis", "sum", keepdims=1),
            node("Cast", "sum", "output", to=TensorProto.FLOAT),
        ]
        shape: list = ["batch", 1]
    else:
        nodes = [
            node("Gather", "table", IDS, "vectors"),
            node("Unsqueeze", MASK, "last", "wide"),
            node("Cast", "wide", "is_real", to=TensorProto.BOOL),
            node("Cast", "thousand", "padding", to=TensorProto.FLOAT),
            node("Where", "is_real", "vectors", "padding", "output"),
        ]
        shape = ["batch", "seq", 8]
    graph = helper.make_graph(
        nodes,
        "exported",
        [helper.make_tensor_value_info(x, TensorProto.INT64, ["batch", "seq"]) for x in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = helper.make_opsetid("", 20)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    config = small_config(model_type="modernbert")
    write_model(folder, config, settings={"kind": kind.value, "max_seq_len": 24} | changes)
    onnx.save(model, folder / "model.onnx")


@pytest.mark.parametrize("inputs", [[IDS, MASK], [IDS, MASK, TYPES]], ids=["two", "three"])
def test_an_exported_reranker_gets_the_inputs_it_has(tmp_path, inputs):
    write_exported(tmp_path, ModelKind.RERANKER, inputs, {})
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    rows, query_lengths = random_rows([4, 9, 1]), [2, 3, 1]
    logits = engine.submit(batch_of(rows, query_lengths)).result()
    engine.close()
    in_type_1 = [len(row) - query for row, query in zip(rows, query_lengths, strict=True)]
    weight = 1000 if TYPES in inputs else 0
    expected = [sum(row) + weight * n for row, n in zip(rows, in_type_1, strict=True)]
    assert logits.tolist() == expected


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_an_exported_encoder_is_pooled_without_its_padding(tmp_path, pooling):
    write_exported(tmp_path, ModelKind.ENCODER, [IDS, MASK], {"pooling": pooling})
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    rows = random_rows([4, 9, 1])
    embeddings = engine.submit(batch_of(rows, [len(row) for row in rows])).result()
    engine.close()
    table = np.random.default_rng(0).normal(size=(VOCAB_SIZE, 8)).astype(np.float32)
    for row, embedding in zip(rows, embeddings, strict=True):
        pooled = table[row[0]] if pooling == "cls" else table[row].mean(axis=0)
        np.testing.assert_allclose(embedding, pooled / np.linalg.norm(pooled), rtol=1e-5)
