"""What stands beside `tokenizer.json` and changes token ids: applied, and in the fingerprint."""

import json

import pytest
from tokenizers import normalizers

from twopass.engines.errors import ModelError
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.engines.model.tokenizing.settings import (
    TokenizerSettings,
    default_input_names,
    special_tokens_of,
    token_of,
)
from twopass.engines.model.tokenizing.tokenizer_file import require_tokenizer

from ...trained_tokenizers import KINDS, write


def rows(tokenizer, *texts):
    ragged = tokenizer.encode(list(texts), 99)
    return [ragged[i].tolist() for i in range(len(ragged))]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_lowercased_before_all_else_where_that_is_asked(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    lowering = HuggingFaceTokenizer(file, TokenizerSettings(lowercase=True))
    upper, lower = "How DOES the PASS read \u00dcber?", "how does the pass read \u00fcber?"
    assert rows(lowering, upper) == rows(lowering, lower)
    plain = HuggingFaceTokenizer(file)
    assert rows(lowering, upper) == rows(plain, lower)
    # What lowercases already is the same tokenizer, whose stored ids stay.
    is_same = kind in ("bert", "mpnet", "word_level")
    assert (lowering.fingerprint == plain.fingerprint) is is_same
    assert (rows(plain, upper) == rows(plain, lower)) is is_same


def test_lower_case_after_several_steps_is_what_sentence_transformers_makes_of_them(tmp_path):
    file = write("llama", tmp_path / "tokenizer.json")
    lowering = HuggingFaceTokenizer(file, TokenizerSettings(lowercase=True))
    steps = json.loads(lowering._json)["normalizer"]["normalizers"]
    assert [step["type"] for step in steps] == ["Lowercase", "Prepend", "Replace"]
    whole = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    assert whole.normalize_str("How DOES it") == "▁how▁does▁it"


@pytest.mark.parametrize(
    ("field", "value", "text", "alike"),
    [
        ("lowercase", False, "HOW", "how"),
        ("strip_accents", False, "caf\u00e9", "cafe"),
        ("handle_chinese_chars", False, "\u4eac\u90fd", "\u4eac \u90fd"),
    ],
)
def test_berts_normalizer_is_set_up_as_the_configuration_says(tmp_path, field, value, text, alike):
    file = write("bert", tmp_path / "tokenizer.json")
    plain = HuggingFaceTokenizer(file)
    other = HuggingFaceTokenizer(file, TokenizerSettings(normalizer=((field, value),)))
    assert rows(plain, text) == rows(plain, alike)
    assert rows(other, text) != rows(other, alike)
    assert other.fingerprint != plain.fingerprint


def test_a_space_before_a_text_is_read_where_that_is_asked(tmp_path):
    file = write("gpt2", tmp_path / "tokenizer.json")
    plain = HuggingFaceTokenizer(file)
    spaced = HuggingFaceTokenizer(file, TokenizerSettings(add_prefix_space=True))
    assert rows(spaced, "How") == rows(plain, " How") != rows(plain, "How")
    assert spaced.fingerprint != plain.fingerprint
    same = HuggingFaceTokenizer(file, TokenizerSettings(add_prefix_space=False))
    assert same.fingerprint == plain.fingerprint


def test_what_changes_no_id_changes_no_fingerprint(tmp_path):
    file = write("gpt2", tmp_path / "tokenizer.json")
    settings = TokenizerSettings(
        max_length=99,
        input_names=("input_ids",),
        special_tokens=("<s>", "</s>", "<pad>", "no such token"),
    )
    assert (
        HuggingFaceTokenizer(file, settings).fingerprint == HuggingFaceTokenizer(file).fingerprint
    )


def test_special_tokens_are_found_however_the_files_spell_them():
    config = {
        "bos_token": {"content": "<s>", "lstrip": False},
        "eos_token": "</s>",
        "pad_token": None,
        "additional_special_tokens": ["<a>", {"content": "<b>"}],
        "extra_special_tokens": {"image_token": "<image>"},
        "chat_template": "<|user|>",
    }
    assert special_tokens_of(config, {"mask_token": "<mask>"}) == (
        *("</s>", "<a>", "<b>", "<image>", "<mask>", "<s>"),
    )
    assert special_tokens_of({"pad_token": "!", "unk_token": "a"}) == ()  # texts keep theirs
    assert token_of("bos_token", {}, config) == "<s>"
    assert token_of("pad_token", config) == ""


@pytest.mark.parametrize(
    ("owner", "has_types"),
    [
        ("RobertaTokenizerFast", False),
        ("DistilBertTokenizer", False),
        ("MPNetTokenizer", False),
        ("XLMRobertaTokenizer", False),
        ("TokenizersBackend", False),
        ("BertTokenizer", True),
        ("ElectraTokenizerFast", True),
        (None, True),
    ],
)
def test_the_class_of_a_tokenizer_tells_whether_it_has_types(owner, has_types):
    settings = TokenizerSettings(input_names=default_input_names(owner))
    assert settings.has_types is has_types


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["vocab.txt"], "WordPiece"),
        (["vocab.json", "merges.txt"], "byte-level BPE"),
        (["sentencepiece.bpe.model"], "SentencePiece"),
    ],
)
def test_a_folder_with_another_tokenizer_is_refused_with_the_way_out(tmp_path, names, kind):
    for name in names:
        (tmp_path / name).write_text("", encoding="utf-8")
    with pytest.raises(ModelError, match=rf"there is {' and '.join(names)} \({kind}\)") as refused:
        require_tokenizer(tmp_path / "tokenizer.json")
    assert f"T.from_pretrained('{tmp_path}').save_pretrained('{tmp_path}')" in str(refused.value)


def test_a_tokenizer_that_fails_at_unknown_characters_is_refused(tmp_path):
    file = write("t5", tmp_path / "tokenizer.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["model"]["unk_id"] = None
    content["post_processor"] = None
    file.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ModelError, match="fails at characters that its vocabulary lacks"):
        HuggingFaceTokenizer(file)
