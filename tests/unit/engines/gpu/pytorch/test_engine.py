"""The engine on a CPU, where everything but PyTorch's packed attention is what a GPU computes."""

import sys

import numpy as np
import pytest

from twopass.engines.base.engine import PackedLayout, Precision
from twopass.engines.errors import (
    EngineUnavailableError,
    InputTooLongError,
    ModelError,
    UnsupportedModelError,
)
from twopass.engines.gpu.pytorch.engine import TorchEngine, find_torch
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import open_model

from ... import bert_reference, encoder_reference
from ...random_encoders import CONFIGS, DEBERTA_CONFIGS, float32s, write_encoder
from ...small_models import (
    MAX_SEQ_LEN,
    batch_of,
    random_rows,
    random_tensors,
    small_config,
    write_model,
)

ALL_CONFIGS = CONFIGS | DEBERTA_CONFIGS
LENGTHS = [1, 2, 7, 24, 16, 17, 3]
QUERY_LENGTHS = [1, 1, 3, 15, 8, 2, 2]


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed (extra torch)")


@pytest.fixture
def opened(torch):
    engines = []

    def open_engine(kind, name, **options):
        engines.append(kind(open_model(str(name)), device="cpu", **options))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.close()


@pytest.mark.parametrize("activation", ["gelu", "gelu_new"])
@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_logits_are_those_of_the_reference(opened, tmp_path, model_type, activation):
    config = small_config(model_type, hidden_act=activation)
    tensors = random_tensors(config)
    write_model(tmp_path, config, tensors, settings={"kind": "reranker"})
    rows = random_rows(LENGTHS)
    logits = opened(TorchEngine, tmp_path).submit(batch_of(rows, QUERY_LENGTHS)).result()
    pairs = zip(rows, QUERY_LENGTHS, strict=True)
    expected = [bert_reference.logit(tensors, config, *pair) for pair in pairs]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", ALL_CONFIGS)
def test_every_family_gives_the_logits_of_the_reference(opened, tmp_path, name):
    tensors = float32s(write_encoder(tmp_path, name))
    rows = random_rows(LENGTHS)
    logits = opened(TorchEngine, tmp_path).submit(batch_of(rows, QUERY_LENGTHS)).result()
    architecture = read_architecture(ALL_CONFIGS[name])
    pairs = zip(rows, QUERY_LENGTHS, strict=True)
    expected = [encoder_reference.logit(architecture, tensors, *pair) for pair in pairs]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta"])
def test_embeddings_are_those_of_the_reference(opened, tmp_path, model_type, pooling):
    config = small_config(model_type)
    tensors = random_tensors(config)
    write_model(tmp_path, config, tensors, settings={"kind": "encoder", "pooling": pooling})
    rows = random_rows(LENGTHS)
    engine = opened(TorchEngine, tmp_path)
    embeddings = engine.submit(batch_of(rows, LENGTHS)).result()
    expected = [bert_reference.embedding(tensors, config, row, pooling) for row in rows]
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5)
    assert engine.output_width == embeddings.shape[1]


@pytest.mark.parametrize(
    ("precision", "tolerance"),
    # torch and transformers add in another order; bfloat16 has 8 bits, 4e-3 relative a product.
    [(None, 1e-4), (Precision.BF16, 0.15)],
    ids=["f32", "bf16"],
)
def test_logits_are_the_golden_ones(opened, golden, reranker, precision, tolerance):
    separator = reranker.tokenizer.template.separator[0]
    batch = batch_of(golden.pair_ids, [ids.index(separator) + 1 for ids in golden.pair_ids])
    engine = opened(TorchEngine, "twopass-minilm-l6", precision=precision)
    np.testing.assert_allclose(engine.submit(batch).result(), golden.logits, atol=tolerance)
    assert engine.info.precision == (precision or "f32")


def test_embeddings_are_the_golden_ones(opened, golden, encoder):
    template = encoder.tokenizer.single
    texts = encoder.tokenizer.encode(golden.texts, 256 - template.num_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    engine = opened(TorchEngine, "all-MiniLM-L6-v2")
    embeddings = engine.submit(batch_of(rows, [len(row) for row in rows])).result()
    np.testing.assert_allclose(embeddings, golden.embeddings, atol=1e-5)


def test_a_batch_costs_its_tokens_and_a_large_one_is_split(opened, tmp_path):
    config = small_config()
    tensors = random_tensors(config)
    engine = opened(TorchEngine, write_model(tmp_path, config, tensors))
    assert isinstance(engine.info.layout, PackedLayout)
    rows = random_rows([MAX_SEQ_LEN] * 100)  # 2,400 tokens, 1,024 fit
    logits = engine.submit(batch_of(rows, [5] * 100)).result()
    expected = [bert_reference.logit(tensors, config, row, 5) for row in rows]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_a_sequence_that_is_too_long_is_refused_with_both_numbers(opened, tmp_path):
    config = small_config()
    engine = opened(TorchEngine, write_model(tmp_path, config, random_tensors(config)))
    future = engine.submit(batch_of(random_rows([3, MAX_SEQ_LEN + 1]), [1, 1]))
    with pytest.raises(InputTooLongError, match=f"{MAX_SEQ_LEN + 1} tokens, at most {MAX_SEQ_LEN}"):
        future.result()


def test_a_model_without_safetensors_is_refused(tmp_path):
    write_model(tmp_path, small_config())
    (tmp_path / "model.onnx").write_bytes(b"a graph")
    with pytest.raises(UnsupportedModelError, match=r"no model\.safetensors; .* onnxruntime"):
        TorchEngine(open_model(str(tmp_path)), device="cpu")


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_what_is_neither_on_nor_off_is_refused_before_anything_is_loaded(
    monkeypatch, tmp_path, device
):
    config = small_config()
    write_model(tmp_path, config, random_tensors(config))
    monkeypatch.setenv("TWOPASS_CUDA_GRAPHS", "maybe")
    with pytest.raises(ModelError, match="TWOPASS_CUDA_GRAPHS: maybe given; it is 0 or 1"):
        TorchEngine(open_model(str(tmp_path)), device=device)


def test_a_cpu_has_no_graphs_and_computes_the_tokens_that_it_is_given(opened, tmp_path):
    config = small_config()
    engine = opened(TorchEngine, write_model(tmp_path, config, random_tensors(config)))
    assert not engine.info.has_graphs
    assert engine.num_computed_tokens(batch_of(random_rows(LENGTHS), QUERY_LENGTHS)) == sum(LENGTHS)


def test_where_pytorch_is_missing_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EngineUnavailableError, match=r"not installed: .*'torch>="):
        find_torch()
