"""The engine gives the logits of transformers' plain forward pass, and computes prefixes once."""

import json
import sys

import numpy as np
import pytest

from twopass.engines.base.engine import PackedLayout, Precision
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.errors import (
    EngineUnavailableError,
    InputTooLongError,
    ModelError,
    UnsupportedModelError,
)
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import open_model
from twopass.engines.transformers import decoding
from twopass.engines.transformers.engine import TransformersEngine

from ..small_decoders import save_model, save_prompt, save_qwen3_reranker, save_tokenizer

PASSAGES = ["Paris.", "", "It is quick, was it?\n", "no " * 40, "a", "The lazy dog. " * 9, "no"]
QUERIES = ["What is it?", "Is the fox quick?"]
# float32 sums in another order over 100 tokens and three layers.
TOLERANCE = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module", autouse=True)
def torch():
    pytest.importorskip("transformers", reason="transformers is not installed (its extra)")
    return pytest.importorskip("torch", reason="PyTorch is not installed (extra transformers)")


@pytest.fixture
def opened():
    engines = []

    def open_engine(path, **options):
        engines.append(TransformersEngine(open_model(str(path)), **options))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.close()


def pairs(path, queries=QUERIES, passages=PASSAGES, instruction=""):
    """Every query with every passage, and the batch of them."""
    folder = open_model(str(path))
    tokenizer = DecoderTokenizer(folder.tokenizer, folder.decoder.layout)
    template = tokenizer.pair_template(instruction)
    rows, query_lengths = [], []
    for query in queries:
        ids = tokenizer.encode_queries([query], 100)[0].tolist()
        begin = [*template.prefix, *ids, *template.separator]
        for passage in passages:
            own = tokenizer.encode([passage], 500)[0].tolist()
            rows.append([*begin, *own, *template.suffix])
            query_lengths.append(len(begin))
    joined = Ragged.from_rows(rows)
    return rows, TokenBatch(joined.token_ids, joined.offsets, np.array(query_lengths, np.int32))


def plain_logits(torch, model, rows, true, false=None):
    """One whole sequence at a time through the model as transformers has it."""
    logits = []
    for row in rows:
        with torch.no_grad():
            output = model(torch.tensor([row])).logits[0]
        logits.append(output[-1, true] - (0 if false is None else output[-1, false]))
    return np.array([float(logit) for logit in logits], np.float32)


def tokens_of(path):
    decoder = open_model(str(path)).decoder
    return decoder.true_token, decoder.false_token


def test_logits_are_those_of_a_plain_forward_pass(tmp_path, torch, opened):
    model = save_qwen3_reranker(tmp_path / "m")
    rows, batch = pairs(tmp_path / "m", instruction="Find animals")
    logits = opened(tmp_path / "m").submit(batch).result()
    expected = plain_logits(torch, model, rows, *tokens_of(tmp_path / "m"))
    np.testing.assert_allclose(logits, expected, **TOLERANCE)
    assert np.ptp(expected) > 0.1  # else equality would say nothing


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        ("Qwen2", {}),
        ("Llama", {}),
        ("Gemma", {}),
        ("Gemma2", {"sliding_window": 16, "final_logit_softcapping": 5.0}),
        (
            "Gemma3",
            {
                "sliding_window": 16,
                "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
            },
        ),
        ("Mistral", {"sliding_window": 24}),
        ("GPTNeoX", {"rotary_pct": 0.5}),
        ("Granite", {"logits_scaling": 3.0}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_so_are_those_of_other_families(tmp_path, torch, opened, family, shape):
    save_prompt(tmp_path / "m")
    model = save_model(tmp_path / "m", family, **shape)
    rows, batch = pairs(tmp_path / "m")
    logits = opened(tmp_path / "m").submit(batch).result()
    expected = plain_logits(torch, model, rows, *tokens_of(tmp_path / "m"))
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


def test_a_head_for_classification_is_read_at_the_last_token(tmp_path, torch, opened):
    save_prompt(tmp_path / "m")
    model = save_model(tmp_path / "m", task="ForSequenceClassification")
    rows, batch = pairs(tmp_path / "m")
    logits = opened(tmp_path / "m").submit(batch).result()
    with torch.no_grad():
        expected = [float(model(torch.tensor([row])).logits[0, 0]) for row in rows]
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


@pytest.mark.parametrize("relevant", [0, 1])
def test_of_two_labels_the_relevant_ones_logit_counts_less_the_others(
    tmp_path, torch, opened, relevant
):
    save_prompt(tmp_path / "m")
    model = save_model(tmp_path / "m", task="ForSequenceClassification", num_labels=2)
    config = json.loads((tmp_path / "m/config.json").read_text())
    config["id2label"] = {"0": "no", "1": "yes"}
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    choice = json.dumps({"relevant_label": ("no", "yes")[relevant]})
    (tmp_path / "m/twopass.json").write_text(choice)
    rows, batch = pairs(tmp_path / "m")
    logits = opened(tmp_path / "m").submit(batch).result()
    with torch.no_grad():
        labels = [model(torch.tensor([row])).logits[0] for row in rows]
    expected = [float(each[relevant] - each[1 - relevant]) for each in labels]
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


def test_two_labels_that_nothing_tells_apart_are_refused(tmp_path, opened):
    """transformers leaves `id2label` out where there are two of its own names."""
    save_prompt(tmp_path / "m")
    save_model(tmp_path / "m", task="ForSequenceClassification", num_labels=2)
    with pytest.raises(ModelError, match=r'the head has 2 labels, 1 expected.*"relevant_label"'):
        opened(tmp_path / "m")


def test_one_token_alone_may_be_the_score(tmp_path, torch, opened):
    save_tokenizer(tmp_path / "m")
    model = save_model(tmp_path / "m", "Gemma")
    settings = {"kind": "reranker", "prompt": {"layout": "bge-reranker-gemma"}}
    (tmp_path / "m" / "twopass.json").write_text(json.dumps(settings))
    rows, batch = pairs(tmp_path / "m")
    logits = opened(tmp_path / "m").submit(batch).result()
    folder = open_model(str(tmp_path / "m"))
    yes = DecoderTokenizer(folder.tokenizer, folder.decoder.layout).token_id("Yes")
    np.testing.assert_allclose(logits, plain_logits(torch, model, rows, yes), **TOLERANCE)


def test_what_a_set_begins_with_is_computed_once(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    engine = opened(tmp_path / "m")
    rows, batch = pairs(tmp_path / "m", queries=QUERIES[:1])
    engine.submit(batch).result()
    begins = int(batch.query_lengths[0])
    own = sum(len(row) - begins for row in rows)
    assert engine.computed.num_computed == begins + own
    assert engine.num_shared_tokens == begins * (len(rows) - 1)


def test_later_batches_of_the_set_find_it_and_other_queries_what_they_share(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    engine = opened(tmp_path / "m")
    rows, first = pairs(tmp_path / "m", queries=["What is it?"])
    engine.submit(first).result()
    before = engine.computed.num_computed
    engine.submit(first).result()
    again = engine.computed.num_computed - before
    assert again == sum(len(row) for row in rows) - len(rows) * int(first.query_lengths[0])
    others, second = pairs(tmp_path / "m", queries=["Fox"])
    before = engine.computed.num_computed
    engine.submit(second).result()
    template_length = int(second.query_lengths[0])
    own = sum(len(row) for row in others) - len(others) * template_length
    # The query and what follows it, but not the system prompt and the instruction again.
    assert engine.computed.num_computed - before - own < template_length // 4


def test_no_set_at_all_is_no_error(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    empty = TokenBatch(np.zeros(0, np.int32), np.zeros(1, np.int32), np.zeros(0, np.int32))
    assert opened(tmp_path / "m").submit(empty).result().shape == (0,)


def test_a_sequence_of_one_token_has_a_logit(tmp_path, torch, opened):
    model = save_qwen3_reranker(tmp_path / "m")
    joined = Ragged.from_rows([[5], [5, 6], [7, 8, 9]])
    batch = TokenBatch(joined.token_ids, joined.offsets, joined.lengths)
    logits = opened(tmp_path / "m").submit(batch).result()
    expected = plain_logits(torch, model, [[5], [5, 6], [7, 8, 9]], *tokens_of(tmp_path / "m"))
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


def test_launches_stay_within_their_bounds(tmp_path, torch, opened, monkeypatch):
    model = save_qwen3_reranker(tmp_path / "m")
    rows, batch = pairs(tmp_path / "m")
    engine = opened(tmp_path / "m")
    engine._decoding._bounds = decoding.Bounds(64, 256, 0)
    sizes = []
    run = engine._decoding._run

    def running(token_ids, start, cache, last):
        sizes.append((token_ids.size, token_ids.shape[0] * (start + token_ids.shape[1])))
        return run(token_ids, start, cache, last)

    monkeypatch.setattr(engine._decoding, "_run", running)
    logits = engine.submit(batch).result()
    longest = max(map(len, rows))
    assert all(size <= max(64, longest) and joined <= max(256, longest) for size, joined in sizes)
    expected = plain_logits(torch, model, rows, *tokens_of(tmp_path / "m"))
    np.testing.assert_allclose(logits, expected, **TOLERANCE)


def test_precision_is_f32_on_a_cpu_and_bf16_by_choice(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    assert opened(tmp_path / "m", device="cpu").info.precision == "f32"
    assert opened(tmp_path / "m", precision=Precision.INT8, device="cpu").info.precision == "f32"
    engine = opened(tmp_path / "m", precision=Precision.BF16, device="cpu")
    _, batch = pairs(tmp_path / "m")
    assert np.isfinite(engine.submit(batch).result()).all()
    assert engine.info.precision == "bf16"
    assert isinstance(engine.info.layout, PackedLayout)


def test_too_long_sequences_are_refused(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    engine = opened(tmp_path / "m")
    joined = Ragged.from_rows([[1] * (engine.info.max_seq_len + 1)])
    with pytest.raises(InputTooLongError, match="at most 1024"):
        engine.submit(TokenBatch(joined.token_ids, joined.offsets, joined.lengths)).result()


def test_missing_weights_are_refused_rather_than_invented(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    config["architectures"] = ["Qwen3ForSequenceClassification"]
    config["num_labels"] = 1
    (tmp_path / "m/config.json").write_text(json.dumps(config | {"id2label": {"0": "LABEL_0"}}))
    with pytest.raises(ModelError, match=r"lack score\.weight"):
        opened(tmp_path / "m")


def test_code_of_the_folder_is_never_run(tmp_path, opened):
    save_qwen3_reranker(tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    config |= {"model_type": "minicpm", "auto_map": {"AutoConfig": "code.MiniCPMConfig"}}
    (tmp_path / "m/config.json").write_text(json.dumps(config))
    settings = {"kind": "encoder"}
    (tmp_path / "m/twopass.json").write_text(json.dumps(settings))
    with pytest.raises(UnsupportedModelError, match="does not run it"):
        opened(tmp_path / "m")


def test_without_the_library_the_engine_says_what_to_install(tmp_path, monkeypatch):
    save_qwen3_reranker(tmp_path / "m")
    folder = open_model(str(tmp_path / "m"))
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(EngineUnavailableError, match=r"is not installed: .*transformers"):
        TransformersEngine(folder)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_encoders_of_any_family_are_pooled_as_their_folder_says(tmp_path, torch, opened, pooling):
    save_tokenizer(tmp_path / "m")
    model = save_model(tmp_path / "m", "Qwen3", "Model")
    settings = {"kind": "encoder", "pooling": pooling}
    (tmp_path / "m/twopass.json").write_text(json.dumps(settings))
    rows = [[5, 6, 7], [8, 9], [3] * 20]
    joined = Ragged.from_rows(rows)
    batch = TokenBatch(joined.token_ids, joined.offsets, joined.lengths)
    embeddings = opened(tmp_path / "m").submit(batch).result()
    for row, embedding in zip(rows, embeddings, strict=True):
        with torch.no_grad():
            vectors = model(torch.tensor([row])).last_hidden_state[0].numpy()
        pooled = vectors[0] if pooling == "cls" else vectors.mean(axis=0)
        np.testing.assert_allclose(embedding, pooled / np.linalg.norm(pooled), **TOLERANCE)
