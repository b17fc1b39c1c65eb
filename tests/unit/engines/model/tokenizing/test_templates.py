"""What stands around texts and which token types it has, read off any post-processor."""

import json

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer

from twopass.engines.base.sequences import PairTemplate, Ragged, SingleTemplate
from twopass.engines.errors import ModelError
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.engines.model.tokenizing.settings import TokenizerSettings

from ...trained_tokenizers import KINDS, write

WITHOUT_TYPES = TokenizerSettings(input_names=("input_ids", "attention_mask"))


def special(name: str, type_id: int) -> dict:
    return {"SpecialToken": {"id": name, "type_id": type_id}}


def text(name: str, type_id: int) -> dict:
    return {"Sequence": {"id": name, "type_id": type_id}}


@pytest.fixture
def with_template(tmp_path):
    """Writes a tokenizer with a template of its own, and loads it."""

    def made(single=None, pair=None, settings=None, kind="gpt2"):
        file = write(kind, tmp_path / "tokenizer.json")
        content = json.loads(file.read_text(encoding="utf-8"))
        ids = {token["content"]: token["id"] for token in content["added_tokens"]}
        template = {
            "type": "TemplateProcessing",
            "single": single or [special("<s>", 0), text("A", 0)],
            "pair": pair or [text("A", 0), special("</s>", 0), text("B", 1)],
            "special_tokens": {
                name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in ("<s>", "</s>")
            },
        }
        content["post_processor"] = None if single == "none" else template
        file.write_text(json.dumps(content), encoding="utf-8")
        return HuggingFaceTokenizer(file, settings or TokenizerSettings())

    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_has_the_ids_and_types_of_the_librarys(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    tokenizer, library = HuggingFaceTokenizer(file), RustTokenizer.from_file(str(file))
    library.no_truncation()
    library.no_padding()
    query, passage = "How does it read?", "The second pass reads both."
    expected = library.encode(query, passage)
    ids = tokenizer.encode([query], 99)[0]
    pairs, _ = tokenizer.template.assemble(ids, tokenizer.encode([passage], 99), 512)
    assert pairs.token_ids.tolist() == expected.ids
    types = np.arange(pairs.num_tokens) >= pairs.query_lengths[0]
    assert types.astype(int).tolist() == expected.type_ids


@pytest.mark.parametrize("kind", KINDS)
def test_a_single_text_has_the_ids_and_types_of_the_librarys(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    tokenizer, library = HuggingFaceTokenizer(file), RustTokenizer.from_file(str(file))
    library.no_truncation()
    library.no_padding()
    expected = library.encode("The second pass reads both.")
    single, truncated = tokenizer.single.assemble(
        tokenizer.encode(["The second pass reads both."], 99), 512
    )
    assert single.token_ids.tolist() == expected.ids
    assert not any(expected.type_ids)
    assert single.query_lengths.tolist() == [single.num_tokens]
    assert not truncated.any()


@pytest.mark.parametrize("kind", ["bert", "qwen"])
def test_a_model_without_token_types_is_told_none(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    with_types = HuggingFaceTokenizer(file)
    assert with_types.template.passage_type == 1
    without = HuggingFaceTokenizer(file, WITHOUT_TYPES)
    assert without.template.passage_type == 0
    pairs, _ = without.template.assemble(
        np.array([5, 6], np.int32), Ragged.from_rows([[7], [8, 9]]), 99
    )
    assert pairs.query_lengths.tolist() == pairs.lengths.tolist()


def test_an_engine_that_shares_queries_is_told_where_passages_begin(tmp_path):
    file = write("gpt2", tmp_path / "tokenizer.json")
    tokenizer = HuggingFaceTokenizer(file, WITHOUT_TYPES, shares_queries=True)
    pairs, _ = tokenizer.template.assemble(
        np.array([5, 6], np.int32), Ragged.from_rows([[7], [8, 9]]), 99
    )
    assert pairs.query_lengths.tolist() == [5, 5]  # <s> 5 6 </s></s>


@pytest.mark.parametrize(("second", "expected"), [(0, 2), (1, 1)])
def test_of_two_separators_each_has_the_type_that_the_template_gives(
    with_template, second, expected
):
    pair = [
        special("<s>", 0),
        text("A", 0),
        special("</s>", 0),
        special("</s>", second),
        text("B", 1),
        special("</s>", 1),
    ]
    template = with_template(pair=pair).template
    assert template == PairTemplate((0,), (2, 2), (2,), 1, num_query_separators=expected)
    pairs, _ = template.assemble(np.array([5], np.int32), Ragged.from_rows([[7]]), 99)
    assert pairs.query_lengths.tolist() == [2 + expected]


def test_a_single_text_of_type_one_keeps_it(with_template):
    single = [special("<s>", 0), text("A", 1), special("</s>", 1)]
    template = with_template(single=single).single
    assert template == SingleTemplate((0,), (2,), num_zero_types=1)
    batch, _ = template.assemble(Ragged.from_rows([[7, 8], []]), 99)
    assert batch.query_lengths.tolist() == [1, 1]


def test_token_types_beyond_two_are_refused(with_template):
    pair = [text("A", 0), special("</s>", 0), text("B", 2)]
    with pytest.raises(ModelError, match=r"types \[0, 0, 2\]; 0 and 1 are supported"):
        _ = with_template(pair=pair).template
    pair = [text("A", 1), special("</s>", 0), text("B", 1)]
    with pytest.raises(ModelError, match=r"types \[1, 0, 1\]; 0 up to the first"):
        _ = with_template(pair=pair).template


def test_a_passage_before_its_query_is_refused(with_template):
    pair = [text("B", 0), special("</s>", 0), text("A", 1)]
    with pytest.raises(ModelError, match="puts the second text of a pair before the first"):
        _ = with_template(pair=pair).template


def test_texts_that_nothing_stands_around_are_read_bare(with_template):
    tokenizer = with_template(single="none")
    assert tokenizer.single == SingleTemplate((), ())
    assert tokenizer.template.separator == ()


def test_an_end_that_the_settings_ask_for_is_added_once(with_template):
    asked = TokenizerSettings(bos_token="<s>", eos_token="</s>")
    added = with_template(settings=asked)
    assert added.single == SingleTemplate((0,), (2,))
    again = with_template(single=[special("<s>", 0), text("A", 0), special("</s>", 0)])
    assert again.single == added.single
