"""Prefixes, lengths and the tokenizer's settings: which file counts, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

from twopass.engines.errors import ModelError
from twopass.engines.model.folder import open_model

from ...small_models import MAX_SEQ_LEN, random_tensors, small_config, write_json, write_model
from .sentence_folders import MEAN, write_sentence_encoder

_SENTENCE = "config_sentence_transformers.json"


def _source(folder: Path, setting: str) -> str:
    (found,) = [r for r in open_model(str(folder)).readings if r.setting == setting]
    return found.source


@pytest.mark.parametrize(
    ("prompts", "query", "passage"),
    [
        ({}, "", ""),
        ({"query": "q: "}, "q: ", ""),
        ({"query": "q: ", "document": "d: "}, "q: ", "d: "),
        ({"query": "q: ", "passage": "p: "}, "q: ", "p: "),
        ({"corpus": "c: "}, "", "c: "),
        ({"query": None, "document": "d: ", "passage": "p: "}, "", "d: "),
    ],
    ids=str,
)
def test_prompts_are_the_prefixes(tmp_path: Path, prompts, query, passage) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / _SENTENCE, {"prompts": prompts})
    spec = open_model(str(tmp_path)).spec
    assert (spec.query_prefix, spec.passage_prefix) == (query, passage)


def test_the_default_prompt_stands_before_neither_and_a_warning_says_so(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    prompts = {"s2p": "Find: ", "query": ""}
    write_json(tmp_path / _SENTENCE, {"prompts": prompts, "default_prompt_name": "s2p"})
    model = open_model(str(tmp_path))
    assert (model.spec.query_prefix, model.spec.passage_prefix) == ("", "")
    assert "s2p stand before neither queries nor passages" in model.warnings[0]


def test_twopass_json_overrides_prompts(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / _SENTENCE, {"prompts": {"query": "q: ", "document": "d: "}})
    write_json(tmp_path / "twopass.json", {"query_prefix": ""})
    spec = open_model(str(tmp_path)).spec
    assert (spec.query_prefix, spec.passage_prefix) == ("", "d: ")


def test_prompts_may_be_asked_for_by_their_names_and_prefixes_by_what_they_are_for(
    tmp_path: Path,
) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / _SENTENCE, {"prompts": {"s2p": "Find: ", "document": "d: "}})
    write_json(tmp_path / "twopass.json", {"query_prefix": "q: "})
    spec = open_model(str(tmp_path)).spec
    assert spec.prompts == {"s2p": "Find: ", "document": "d: ", "query": "q: ", "passage": "d: "}


def test_prefixes_that_are_not_pooled_are_refused(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"include_prompt": False})
    open_model(str(tmp_path))  # without a prefix there is nothing to leave out
    write_json(tmp_path / _SENTENCE, {"prompts": {"s2p": "Find: "}})
    assert open_model(str(tmp_path)).spec.prompts == {}
    write_json(tmp_path / _SENTENCE, {"prompts": {"query": "q: "}})
    with pytest.raises(ModelError, match=r"1_Pooling/config\.json: include_prompt is false"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"prompts": ["q: "]}, "prompts is .* texts by name"),
        ({"prompts": {"query": 1}}, "prompts is .* texts by name"),
        ({"prompts": {"query": ""}, "default_prompt_name": "x"}, "default_prompt_name is 'x', pro"),
    ],
    ids=str,
)
def test_prompts_that_are_none_are_refused(tmp_path: Path, content: Any, named: str) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / _SENTENCE, content)
    with pytest.raises(ModelError, match=rf"config_sentence_transformers\.json: {named}"):
        open_model(str(tmp_path))


def test_a_reranker_that_reads_a_prompt_is_refused(tmp_path: Path) -> None:
    config = small_config()
    write_model(tmp_path, config, random_tensors(config))
    prompts = {"prompts": {"web": "Is it relevant? "}, "default_prompt_name": "web"}
    write_json(tmp_path / _SENTENCE, prompts)
    with pytest.raises(ModelError, match="a reranker with a head reads pairs without"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("similarity", "warns"), [("cosine", False), ("dot", True), ("euclidean", False)]
)
def test_a_model_for_dot_products_without_a_norm_is_warned_of(
    tmp_path: Path, similarity: str, warns: bool
) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / _SENTENCE, {"similarity_fn_name": similarity})
    assert open_model(str(tmp_path)).warnings == ()  # with a Normalize all of them are one order
    (tmp_path / "modules.json").unlink()
    warnings = open_model(str(tmp_path)).warnings
    assert any("similarity_fn_name is 'dot'" in warning for warning in warnings) is warns


@pytest.mark.parametrize(
    ("own", "sentence", "tokenizer", "expected", "source"),
    [
        (None, None, None, MAX_SEQ_LEN, "config.json (positions)"),
        (None, None, 10**30, MAX_SEQ_LEN, "config.json (positions)"),
        (None, None, 16, 16, "the tokenizer's length"),
        (None, 12, 16, 12, "the tokenizer's length"),
        (None, 20, 16, 20, "the tokenizer's length"),
        (8, 12, 16, 8, "twopass.json"),
        (None, 99, 16, MAX_SEQ_LEN, "config.json (positions), less than the tokenizer's length of"),
        (None, None, 512, MAX_SEQ_LEN, "config.json (positions), less than the tokenizer's length"),
    ],
)
def test_the_longest_sequence_is_what_is_asked_for_but_no_more_than_positions(
    tmp_path: Path, own, sentence, tokenizer, expected, source
) -> None:
    write_sentence_encoder(tmp_path)
    for name, key, value in (
        ("twopass.json", "max_seq_len", own),
        ("sentence_bert_config.json", "max_seq_length", sentence),
        ("tokenizer_config.json", "model_max_length", tokenizer),
    ):
        if value is not None:
            write_json(tmp_path / name, {key: value})
    assert open_model(str(tmp_path)).spec.max_seq_len == expected
    assert _source(tmp_path, "max_seq_len").startswith(source)


def test_more_than_the_positions_in_twopass_json_is_refused(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / "twopass.json", {"max_seq_len": MAX_SEQ_LEN + 1})
    with pytest.raises(ModelError, match="max_seq_len is 25, the model has 24 positions at most"):
        open_model(str(tmp_path))


@pytest.mark.parametrize("name", ["sentence_bert_config.json", "sentence_roberta_config.json"])
def test_lower_case_before_the_tokenizer_is_read(tmp_path: Path, name: str) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / name, {"max_seq_length": 12, "do_lower_case": True})
    model = open_model(str(tmp_path))
    assert model.tokenizer_settings.lowercase
    assert model.spec.max_seq_len == 12


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("BertTokenizer", (("lowercase", True), ("handle_chinese_chars", False))),
        ("ElectraTokenizerFast", (("lowercase", True), ("handle_chinese_chars", False))),
        ("PreTrainedTokenizerFast", ()),
        (None, ()),
    ],
)
def test_berts_tokenizers_set_up_their_normalizer_by_their_configuration(
    tmp_path: Path, owner: str | None, expected: Any
) -> None:
    write_sentence_encoder(tmp_path)
    normalizer = {
        "type": "BertNormalizer",
        "lowercase": False,
        "strip_accents": None,
        "handle_chinese_chars": True,
    }
    write_json(tmp_path / "tokenizer.json", {"normalizer": normalizer})
    config = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": False}
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": owner} | config)
    assert open_model(str(tmp_path)).tokenizer_settings.normalizer == expected


def test_the_inputs_of_a_model_are_read(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    assert open_model(str(tmp_path)).tokenizer_settings.input_names is None
    names = ["input_ids", "attention_mask"]
    write_json(tmp_path / "tokenizer_config.json", {"model_input_names": names})
    assert open_model(str(tmp_path)).tokenizer_settings.input_names == tuple(names)


@pytest.mark.parametrize(
    ("file", "content", "named"),
    [
        ("tokenizer_config.json", {"truncation_side": "left"}, "truncation_side is 'left', but lo"),
        ("tokenizer_config.json", {"model_max_length": "long"}, "model_max_length is 'long'"),
        ("tokenizer_config.json", {"model_input_names": "ids"}, "model_input_names is 'ids'"),
        ("sentence_bert_config.json", {"max_seq_length": 0}, "max_seq_length is 0, a whole"),
        ("sentence_bert_config.json", {"query_length": 32}, "query_length is 32, which is not und"),
        ("sentence_bert_config.json", {"transformer_task": "fill-mask"}, "transformer_task is 'fi"),
        (
            "sentence_bert_config.json",
            {"modality_config": {"text": {"method_output_name": "pooler_output"}}},
            "method_output_name is 'pooler_output'",
        ),
    ],
    ids=str,
)
def test_settings_that_are_not_followed_are_refused(tmp_path: Path, file, content, named) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / file, content)
    with pytest.raises(ModelError, match=rf"{file}: {named}"):
        open_model(str(tmp_path))
