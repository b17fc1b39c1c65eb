"""The engine of the C++ core: its numbers, and the promise that they depend on nothing else."""

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twopass.engines.base.engine import PackedLayout, Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.model.folder import open_model
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.engines.onnx.engine import OnnxRuntimeEngine

from .. import bert_reference
from ..small_models import batch_of, core_config, core_tensors, random_rows, write_model

# How far a logit may be from torch's, beside logits of -8 to 9, and the root mean square of that.
# f32: the core's GELU errs by 2e-6 of each of 9,216 inner activations.
# bf16: 8 bits, so 2e-3 of each number of 24 products one after the other.
# int8: half a step of 1/127 of the largest number in a row, likewise.
LOGITS = {Precision.F32: 2e-4, Precision.BF16: 0.15, Precision.INT8: 0.5}
ROOT_MEAN_SQUARES = {Precision.F32: 1e-4, Precision.BF16: 0.07, Precision.INT8: 0.25}
# How far an embedding may be turned from torch's, as 1 - cosine: at most, and at the median. The
# most is of the shortest text, four tokens, over which errors average least.
TURNS = {Precision.F32: 1e-6, Precision.BF16: 2e-4, Precision.INT8: 3e-2}
MEDIAN_TURNS = {Precision.F32: 1e-6, Precision.BF16: 4e-5, Precision.INT8: 4e-3}
# Two layers in float32 beside the same in float32 in another order, with the core's GELU.
FLOAT32 = {"rtol": 1e-4, "atol": 2e-5}

# Around the blocks of 32 and 64 tokens, and the group of 512; one is longer than any group.
LENGTHS = (1, 2, 3, 31, 32, 33, 63, 64, 65, 130, 257, 512, 600)
MAX_SEQ_LEN = 600
NUM_THREADS = (1, 2, 3)


@pytest.mark.parametrize("precision", Precision)
def test_logits_are_those_that_torch_computed(golden, precision):
    folder = open_model("twopass-minilm-l6")
    separator = HuggingFaceTokenizer(folder.tokenizer).template.separator[0]
    engine = CpuEngine(folder, precision=precision)
    query_lengths = [ids.index(separator) + 1 for ids in golden.pair_ids]
    logits = engine.submit(batch_of(golden.pair_ids, query_lengths)).result()
    engine.close()
    errors = logits - golden.logits
    assert logits.dtype == np.float32
    assert np.abs(errors).max() < LOGITS[precision]
    assert np.sqrt(np.mean(errors**2)) < ROOT_MEAN_SQUARES[precision]


@pytest.mark.parametrize("precision", Precision)
def test_embeddings_are_those_that_torch_computed(golden, precision):
    folder = open_model("all-MiniLM-L6-v2")
    tokenizer = HuggingFaceTokenizer(folder.tokenizer)
    template = tokenizer.single
    texts = tokenizer.encode(golden.texts, 256 - template.num_tokens)
    rows = [[*template.prefix, *texts[i], *template.suffix] for i in range(len(texts))]
    engine = CpuEngine(folder, precision=precision)
    embeddings = engine.submit(batch_of(rows, [len(row) for row in rows])).result()
    engine.close()
    assert embeddings.shape == (len(rows), engine.output_width)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-6)
    turns = 1 - np.sum(embeddings * golden.embeddings, axis=1)
    assert turns.max() < TURNS[precision]
    assert np.median(turns) < MEDIAN_TURNS[precision]


# --- the promise ----------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=ModelKind)
def kind(request):
    return request.param


@pytest.fixture(scope="module", params=Precision)
def engines(request, kind, tmp_path_factory):
    """The same small model on one, two and three threads."""
    config = core_config(max_position_embeddings=MAX_SEQ_LEN)
    path = tmp_path_factory.mktemp("model")
    settings = {"kind": kind}
    folder = open_model(str(write_model(path, config, core_tensors(config), settings=settings)))
    built = {n: CpuEngine(folder, num_threads=n, precision=request.param) for n in NUM_THREADS}
    yield built
    for engine in built.values():
        engine.close()


@pytest.fixture(scope="module")
def sequences():
    """Rows, and their query lengths."""
    rows = random_rows(LENGTHS)
    return rows, [max(1, len(row) // 3) for row in rows]


@pytest.fixture(scope="module")
def alone(engines, sequences):
    """What each sequence gets in a batch of its own on one thread."""
    pairs = zip(*sequences, strict=True)
    futures = [engines[1].submit(batch_of([row], [length])) for row, length in pairs]
    return np.concatenate([future.result() for future in futures])


@pytest.mark.parametrize("num_threads", NUM_THREADS)
def test_a_sequence_gets_the_same_bits_alone_on_any_number_of_threads(
    engines, sequences, alone, num_threads
):
    for row, length, expected in zip(*sequences, alone, strict=True):
        result = engines[num_threads].submit(batch_of([row], [length])).result()
        np.testing.assert_array_equal(result[0], expected)


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, max_size=24),
    st.sampled_from(NUM_THREADS),
)
def test_a_sequence_gets_the_same_bits_whatever_it_is_batched_with(
    engines, sequences, alone, chosen, num_threads
):
    rows, query_lengths = sequences
    batch = batch_of([rows[i] for i in chosen], [query_lengths[i] for i in chosen])
    # Bit for bit: the promise in ARCHITECTURE.md.
    np.testing.assert_array_equal(engines[num_threads].submit(batch).result(), alone[chosen])


def test_sequences_differ_by_their_tokens_order_and_types(engines, sequences, alone):
    assert len(np.unique(alone, axis=0)) == len(LENGTHS)
    row = sequences[0][3]
    length = len(row) // 3
    turned = batch_of([row, row[::-1], row], [length, length, length + 1])
    assert len(np.unique(engines[1].submit(turned).result(), axis=0)) == 3


def test_the_mean_of_the_tokens_vectors_is_what_an_encoder_makes_its_embedding_of():
    engine = CpuEngine(open_model("all-MiniLM-L6-v2"), precision=Precision.F32)
    rows = random_rows([3, 40, 200])
    batch = batch_of(rows, [len(row) for row in rows])
    tokens = engine.submit_tokens(batch).result()
    embeddings = engine.submit(batch).result()
    engine.close()
    assert tokens.shape == (batch.num_tokens, engine.token_width)
    means = np.stack([part.mean(axis=0) for part in np.split(tokens, batch.offsets[1:-1])])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(means, embeddings, atol=1e-5)


def test_no_sequences_give_no_results(engines):
    assert len(engines[2].submit(batch_of([], [])).result()) == 0


# --- shapes ---------------------------------------------------------------------------------------

SHAPES = {
    "heads of 32": {"num_attention_heads": 2},
    "heads of 64": {"num_attention_heads": 1},
    "four heads of 32": {"hidden_size": 128, "num_attention_heads": 4},
    "two heads of 64": {"hidden_size": 128, "num_attention_heads": 2},
    "one layer": {"num_hidden_layers": 1},
    "narrow middle": {"intermediate_size": 64},
    "tanh gelu": {"hidden_act": "gelu_new"},
    "no token types": {"type_vocab_size": 1},
    "wide epsilon": {"layer_norm_eps": 1e-3},
}
SHAPE_ROWS = random_rows([1, 2, 7, 31, 32, 33, 64, 65, 100])
SHAPE_QUERY_LENGTHS = [1, 1, 3, 15, 32, 2, 12, 65, 40]


@pytest.fixture(params=["bert", "roberta", "xlm-roberta"])
def model_type(request):
    return request.param


@pytest.fixture
def open_small(tmp_path):
    """A folder of this shape, and its tensors."""

    def open_small(model_type, settings, **changes):
        first = 0 if model_type == "bert" else 2
        config = core_config(model_type, **{"max_position_embeddings": 100 + first} | changes)
        tensors = core_tensors(config)
        folder = open_model(str(write_model(tmp_path, config, tensors, settings=settings)))
        return folder, config, tensors

    return open_small


def computed(engine, query_lengths):
    results = engine.submit(batch_of(SHAPE_ROWS, query_lengths)).result()
    engine.close()
    return results


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_logits_are_those_of_onnxruntime(open_small, model_type, changes):
    folder, config, tensors = open_small(model_type, {"kind": "reranker"}, **changes)
    engine = CpuEngine(folder, num_threads=2, precision=Precision.F32)
    logits = computed(engine, SHAPE_QUERY_LENGTHS)
    theirs = computed(OnnxRuntimeEngine(folder, num_threads=1), SHAPE_QUERY_LENGTHS)
    np.testing.assert_allclose(logits, theirs, **FLOAT32)
    exact = bert_reference.logit(tensors, config, SHAPE_ROWS[-1], SHAPE_QUERY_LENGTHS[-1])
    np.testing.assert_allclose(logits[-1], exact, **FLOAT32)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_embeddings_are_those_of_onnxruntime(open_small, model_type, changes, pooling):
    settings = {"kind": "encoder", "pooling": pooling}
    folder, _, _ = open_small(model_type, settings, **changes)
    lengths = [len(row) for row in SHAPE_ROWS]
    embeddings = computed(CpuEngine(folder, num_threads=2, precision=Precision.F32), lengths)
    theirs = computed(OnnxRuntimeEngine(folder, num_threads=1), lengths)
    np.testing.assert_allclose(embeddings, theirs, **FLOAT32)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("prefix", ["", "bert.", "roberta.", "model."])
def test_weights_are_read_in_half_precision_and_under_any_exports_prefix(tmp_path, prefix, dtype):
    config = core_config()
    tensors = {k: v.astype(np.float16) for k, v in core_tensors(config).items()}
    stored = {k: v.astype(dtype) for k, v in tensors.items()}
    folder = open_model(str(write_model(tmp_path, config, stored, prefix=prefix)))
    engine = CpuEngine(folder, num_threads=1, precision=Precision.F32)
    (row,) = random_rows([17])
    logits = engine.submit(batch_of([row], [5])).result()
    engine.close()
    exact = {k: v.astype(np.float64) for k, v in tensors.items()}
    np.testing.assert_allclose(logits, [bert_reference.logit(exact, config, row, 5)], **FLOAT32)


# --- what an engine says of itself ----------------------------------------------------------------


@pytest.mark.parametrize("model_type", ["bert", "roberta"])
def test_an_engine_says_what_a_batch_costs_and_how_long_a_sequence_may_be(open_small, model_type):
    folder, _, _ = open_small(model_type, {"kind": "reranker"})
    engine = CpuEngine(folder, num_threads=1)
    info = engine.info
    assert (info.engine, info.precision, info.layout) == ("cpu", "int8", PackedLayout())
    assert info.max_seq_len == 100
    assert info.max_batch_tokens >= 512
    (row,) = random_rows([100])
    assert engine.submit(batch_of([row], [1])).result().shape == (1,)
    engine.close()


def test_a_model_made_for_less_than_it_has_positions_for_keeps_to_that(open_small):
    folder, _, _ = open_small("bert", {"max_seq_len": 64})
    engine = CpuEngine(folder, num_threads=1)
    engine.close()
    assert engine.info.max_seq_len == 64


def test_scratch_memory_is_reported_and_grows_with_the_threads(open_small, caplog):
    folder, config, _ = open_small("bert", {})
    caplog.set_level(logging.DEBUG, "twopass.engines")
    for num_threads in (1, 2):
        CpuEngine(folder, num_threads=num_threads).close()
    one, two = (r.bytes for r in caplog.records if r.message == "scratch memory allocated")
    # At least the residual stream of a group: 512 tokens of hidden_size float32 numbers.
    assert one > 512 * config["hidden_size"] * 4
    assert two == 2 * one
