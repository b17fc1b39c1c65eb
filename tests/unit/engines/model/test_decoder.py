"""What is read of a decoder's folder, and from where."""

import json

import pytest

from twopass.engines.errors import ModelError
from twopass.engines.model.decoder import INSTRUCTION, PASSAGE, QUERY, read_decoder

from ..small_decoders import TEMPLATE, save_prompt

CAUSAL = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}
CLASSIFIER = {"model_type": "qwen3", "architectures": ["Qwen3ForSequenceClassification"]}


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("jinja2", reason="Jinja is not installed (extra transformers)")
    save_prompt(tmp_path / "model")
    return tmp_path / "model"


def test_tokens_are_those_of_the_module_and_the_prompt_that_of_the_chat_template(folder):
    decoder = read_decoder(folder, CAUSAL, {})
    module = json.loads((folder / "1_LogitScore/config.json").read_text())
    assert (decoder.true_token, decoder.false_token) == tuple(module.values())
    (prompt,) = decoder.layout.pieces
    assert prompt.startswith("<|im_start|>system\nJudge whether")
    assert f"passages that answer the query\n<Query>: {QUERY}\n<Document>: {PASSAGE}<|" in prompt
    assert prompt.endswith("<think>\n\n</think>\n\n")


def test_an_instruction_stands_where_the_template_puts_a_message_of_the_system(folder):
    (prompt,) = read_decoder(folder, CAUSAL, {}).layout.instructed
    assert f"<Instruct>: {INSTRUCTION}\n<Query>: {QUERY}" in prompt


def test_a_template_without_such_a_place_takes_no_instruction(folder):
    text = "{{ messages[0].content }} :: {{ messages[1].content }}"
    (folder / "chat_template.jinja").write_text(text)
    layout = read_decoder(folder, CAUSAL, {}).layout
    assert layout.pieces == (f"{QUERY} :: {PASSAGE}",)
    assert layout.instructed is None


def test_the_default_prompt_of_the_folder_is_the_instruction_of_requests_without_one(folder):
    prompts = {"prompts": {"web": "Find web pages"}, "default_prompt_name": "web"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    assert read_decoder(folder, CAUSAL, {}).layout.instruction == "Find web pages"


def test_a_template_that_reads_parts_of_content_is_understood(folder):
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m.role }}: {{ m.content[0].text }}\n{% endfor %}"
    )
    assert read_decoder(folder, CAUSAL, {}).layout.pieces == (
        f"query: {QUERY}\ndocument: {PASSAGE}\n",
    )


def test_texts_are_stripped_where_the_template_strips_them(folder):
    (folder / "chat_template.jinja").write_text(
        "{{ messages[0].content | trim }} :: {{ messages[1].content | trim }}"
    )
    assert read_decoder(folder, CAUSAL, {}).layout.strips


@pytest.mark.parametrize("filter_", ["upper", "truncate(200)", "replace('o', '0')"])
def test_a_template_that_changes_texts_is_refused(folder, filter_):
    (folder / "chat_template.jinja").write_text(
        "{{ messages[0].content | FILTER }} :: {{ messages[1].content }}".replace("FILTER", filter_)
    )
    with pytest.raises(ModelError, match="does more with texts"):
        read_decoder(folder, CAUSAL, {})


def test_the_chat_template_may_stand_in_the_tokenizers_configuration(folder):
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    assert read_decoder(folder, CAUSAL, {}).layout.instructed is not None


def test_a_head_for_classification_needs_no_tokens(folder):
    decoder = read_decoder(folder, CLASSIFIER, {})
    assert decoder.true_token is None
    assert decoder.layout is not None


def test_a_classifier_without_a_prompt_reads_the_tokenizers_pairs(tmp_path):
    decoder = read_decoder(tmp_path, CLASSIFIER, {})
    assert decoder.layout is None


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        ("Qwen3-Reranker-0.6B", ("yes", "no")),
        ("mxbai-rerank-base-v2", ("1", "0")),
        ("bge-reranker-v2-gemma", ("Yes", None)),
    ],
)
def test_a_published_layout_is_known_by_name_and_told(tmp_path, name, tokens, caplog):
    config = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}
    (tmp_path / name).mkdir()
    decoder = read_decoder(tmp_path / name, config, {})
    assert (decoder.true_token, decoder.false_token) == tokens
    assert "by its name" in caplog.text


def test_a_folder_of_any_name_may_say_its_layout(tmp_path):
    settings = {"prompt": {"layout": "qwen3-reranker", "instruction": "Find code"}}
    decoder = read_decoder(tmp_path, CAUSAL, settings)
    assert decoder.layout.instruction == "Find code"
    assert decoder.true_token == "yes"


def test_a_folder_may_say_pieces_and_tokens_of_its_own(tmp_path):
    prompt = {"pieces": ["Q: {query}", " D: {passage} relevant?"], "true_token": " true"}
    decoder = read_decoder(tmp_path, CAUSAL, {"prompt": prompt})
    assert decoder.layout.pieces == (f"Q: {QUERY}", f" D: {PASSAGE} relevant?")
    assert decoder.layout.instructed is None


@pytest.mark.parametrize(
    ("prompt", "problem"),
    [
        ({"pieces": ["{query}"], "true_token": "a"}, r"pieces: \{passage\} stands in it 0 times"),
        ({"pieces": ["{passage} {query}"], "true_token": "a"}, "before the query"),
        ({"instructed": ["{query} {passage}"]}, r"\{instruction\} stands in it 0 times"),
        ({"layout": "other"}, "known are qwen3-reranker"),
        ({"pieces": "{query}"}, "a list of texts is needed"),
        ({"pieces": ["{query} {passage}"]}, "the token it answers with"),
        ("qwen3", "an object is needed"),
    ],
    ids=["no passage", "wrong order", "no instruction", "layout", "a text", "no tokens", "type"],
)
def test_a_wrong_prompt_is_refused_with_its_place(tmp_path, prompt, problem):
    with pytest.raises(ModelError, match=problem):
        read_decoder(tmp_path, CAUSAL, {"prompt": prompt})


def test_a_language_model_called_a_reranker_needs_a_prompt(tmp_path):
    with pytest.raises(ModelError, match='write "prompt" into twopass'):
        read_decoder(tmp_path, CAUSAL, {"kind": "reranker"})


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
        {"model_type": "gemma3_text", "use_bidirectional_attention": True},
        CAUSAL,
    ],
    ids=["bert", "bidirectional", "no reranker"],
)
def test_other_models_are_none_of_it(tmp_path, config):
    assert read_decoder(tmp_path, config, {}) is None


def test_a_language_model_with_a_pooling_is_an_encoder(folder):
    modules = [{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    assert read_decoder(folder, CAUSAL, {}) is None


def test_the_name_tells_a_prompt_where_the_chat_template_is_one_for_chats(folder):
    (folder / "chat_template.jinja").write_text(
        "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    )
    named = folder.rename(folder.parent / "Qwen3-Reranker-4B")
    decoder = read_decoder(named, CAUSAL, {})
    assert decoder.source.startswith("modules.json")
    assert "<Instruct>: " in decoder.layout.instructed[0]
