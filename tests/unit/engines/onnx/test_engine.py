import json
import tempfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from twopass.engines.base.engine import EngineChoice, PaddedLayout
from twopass.engines.errors import InputTooLongError, ModelError
from twopass.engines.loading import load_model
from twopass.engines.model.folder import open_model
from twopass.engines.onnx import engine as engine_module
from twopass.engines.onnx.engine import OnnxRuntimeEngine

from .. import bert_reference
from ..small_models import (
    MAX_SEQ_LEN,
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
    template = encoder.tokenizer.single
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_tokens)
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
    with pytest.raises(ModelError, match=f"{tmp_path}/model.onnx: not an ONNX file"):
        OnnxRuntimeEngine(open_model(str(tmp_path)))


def test_what_was_submitted_is_finished_before_the_engine_closes(tmp_path):
    config = small_config()
    write_model(tmp_path, config, random_tensors(config))
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    futures = [engine.submit(batch_of(random_rows([9]), [3])) for _ in range(20)]
    engine.close()
    engine.close()
    assert all(future.result().shape == (1,) for future in futures)


def test_a_graph_that_onnx_runtime_does_not_know_is_refused_with_its_folder(tmp_path):
    write_model(tmp_path, small_config("xlnet"), settings={"kind": "reranker"})
    value = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"])
    node = helper.make_node("NoSuchOperator", ["input_ids"], ["logits"])
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])
    graph = helper.make_graph([node], "exported", [value], [output])
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(ModelError, match=f"{tmp_path}: ONNX Runtime refuses the graph"):
        OnnxRuntimeEngine(open_model(str(tmp_path)))


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"], ids=str)
def test_weights_of_half_precision_are_read(tmp_path, dtype):
    config = small_config()
    tensors = {name: tensor.astype(np.float16) for name, tensor in random_tensors(config).items()}
    rounded = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    if dtype == "bfloat16":  # the upper halves of float32
        bits = {name: tensor.view(np.uint32) & 0xFFFF0000 for name, tensor in rounded.items()}
        rounded = {name: upper.view(np.float32) for name, upper in bits.items()}
        halves = {n: (upper >> 16).astype(np.uint16) for n, upper in bits.items()}
        write_model(tmp_path, config, None)
        save_bfloat16(halves, tmp_path / "model.safetensors")
    else:
        write_model(tmp_path, config, tensors)
    engine = OnnxRuntimeEngine(open_model(str(tmp_path)), num_threads=1)
    (row,) = random_rows([9])
    logits = engine.submit(batch_of([row], [3])).result()
    engine.close()
    expected = bert_reference.logit(rounded, config, row, 3)
    np.testing.assert_allclose(logits, [expected], rtol=1e-4, atol=1e-5)


def save_bfloat16(tensors, file):
    """Writes a safetensors file of bfloat16, which NumPy has no type for."""
    header, content = {}, b""
    for name, tensor in tensors.items():
        begin = len(content)
        content += tensor.tobytes()
        shape, offsets = list(tensor.shape), [begin, len(content)]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": offsets}
    encoded = json.dumps(header).encode()
    file.write_bytes(len(encoded).to_bytes(8, "little") + encoded + content)


def test_more_tokens_than_there_are_positions_are_refused_with_the_most_there_are(tmp_path):
    config = small_config(max_position_embeddings=20)
    folder = open_model(str(write_model(tmp_path, config, random_tensors(config))))
    folder = replace(folder, spec=replace(folder.spec, max_seq_len=24))
    with pytest.raises(ModelError, match=r"max_seq_len is 24, .* 20 tokens at most.*twopass\.json"):
        OnnxRuntimeEngine(folder, num_threads=1)


def test_a_graph_larger_than_a_message_may_be_goes_by_way_of_files(tmp_path, monkeypatch):
    config = small_config()
    folder = open_model(str(write_model(tmp_path / "model", config, random_tensors(config))))
    batch = batch_of(random_rows([9, 3]), [3, 1])
    logits = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    for most in (1_900_000_000, 100):
        monkeypatch.setattr(engine_module, "_MAX_MESSAGE_BYTES", most)
        engine = OnnxRuntimeEngine(folder, num_threads=1)
        logits.append(engine.submit(batch).result())
        engine.close()
    np.testing.assert_array_equal(*logits)
    assert not list(scratch.iterdir())


def test_lengths_whose_attention_does_not_fit_into_memory_are_refused_not_tried(tmp_path):
    config = small_config(max_position_embeddings=20)
    folder = open_model(str(write_model(tmp_path, config, random_tensors(config))))
    folder = replace(folder, spec=replace(folder.spec, max_seq_len=10_000_000))
    with pytest.raises(ModelError, match=r"max_seq_len is 10,000,000; .* GB, .* are free"):
        OnnxRuntimeEngine(folder, num_threads=1)
