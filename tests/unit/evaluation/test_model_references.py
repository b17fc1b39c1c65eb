"""transformers alone, without sentence-transformers, tells whether a folder's outputs are right."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from twopass.engines.model.folder import open_model
from twopass.evaluation import model_check
from twopass.evaluation.model_references import PASSAGES, Reference, reference

from ..engines.small_decoders import save_qwen3_reranker
from ..engines.small_models import write_json
from ..engines.trained_tokenizers import write


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is not installed (extra transformers)")
    pytest.importorskip("transformers", reason="transformers is not installed (its extra)")
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)


def write_bert(path: Path, settings: dict[str, Any], *, num_labels: int = 0) -> str:
    """A small BERT of random weights; an encoder where there are no labels."""
    import torch
    import transformers

    torch.manual_seed(3)
    path.mkdir()
    file = write("bert", path / "tokenizer.json")
    config = transformers.BertConfig(
        vocab_size=Tokenizer.from_file(str(file)).get_vocab_size(),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        initializer_range=0.3,
        num_labels=num_labels or 1,
    )
    kind = transformers.BertForSequenceClassification if num_labels else transformers.BertModel
    kind(config).save_pretrained(path)
    write_json(path / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    write_json(path / "twopass.json", settings)
    return str(path)


FOLDERS: dict[str, tuple[dict[str, Any], int]] = {
    "a reranker": ({}, 1),
    "the second of two labels": ({"relevant_label": 1}, 2),
    "the first of two labels": ({"relevant_label": 0}, 2),
    "mean": ({"kind": "encoder", "pooling": "mean", "query_prefix": "ask: "}, 0),
    "cls": ({"kind": "encoder", "pooling": "cls", "passage_prefix": "text: "}, 0),
}


@pytest.mark.parametrize("form", FOLDERS)
def test_rerankers_and_plain_encoders_are_compared(tmp_path, form):
    settings, num_labels = FOLDERS[form]
    name = write_bert(tmp_path / "m", settings, num_labels=num_labels)
    if num_labels == 2:
        config = json.loads((tmp_path / "m/config.json").read_text())
        write_json(tmp_path / "m/config.json", config | {"id2label": {"0": "no", "1": "yes"}})
    folder = open_model(name)
    expected = reference(folder)
    assert isinstance(expected, Reference), expected
    assert expected.library.startswith("transformers ")
    assert len(expected.outputs) == len(PASSAGES) + (num_labels == 0)
    tried = [a for a in model_check.attempts(name, 1) if a.precision == "f32"]
    assert {attempt.engine for attempt in tried} >= {"cpu", "onnxruntime"}
    for attempt in tried:
        found = model_check.difference(attempt, expected.outputs, folder.spec.kind)
        assert found.within, (attempt.engine, found)
    assert np.ptp(expected.outputs) > 0.1  # else equality would say nothing


def test_a_folder_that_is_read_otherwise_is_seen(tmp_path):
    name = write_bert(tmp_path / "m", {"kind": "encoder", "pooling": "mean"})
    expected = reference(open_model(name))
    write_json(tmp_path / "m/twopass.json", {"kind": "encoder", "pooling": "cls"})
    (attempt, *_) = (a for a in model_check.attempts(name, 1) if a.precision == "f32")
    found = model_check.difference(attempt, expected.outputs, open_model(name).spec.kind)
    assert not found.within


def test_lower_case_of_sentence_transformers_is_followed(tmp_path):
    name = write_bert(tmp_path / "m", {"kind": "encoder"})
    content = json.loads((tmp_path / "m/tokenizer.json").read_text())
    content["normalizer"] = None
    write_json(tmp_path / "m/tokenizer.json", content)
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    write_json(tmp_path / "m/tokenizer_config.json", config)
    plain = reference(open_model(name))
    write_json(tmp_path / "m/sentence_bert_config.json", {"do_lower_case": True})
    lowered = reference(open_model(name))
    assert np.abs(plain.outputs - lowered.outputs).max() > 0.01


@pytest.mark.parametrize("pooling", ["max", ["cls", "mean"]], ids=str)
def test_other_heads_need_the_library_that_reads_modules(tmp_path, pooling):
    name = write_bert(tmp_path / "m", {"kind": "encoder", "pooling": pooling})
    told = reference(open_model(name))
    assert isinstance(told, str)
    assert told.startswith("transformers alone does not compute it (pooling is ")
    assert told.endswith("pip install sentence-transformers")


def test_a_decoder_is_tried_on_its_prompt_and_compared_with_nothing_but_itself(tmp_path):
    pytest.importorskip("jinja2", reason="Jinja is not installed (extra transformers)")
    save_qwen3_reranker(tmp_path / "m")
    ran = [each for each in model_check.attempts(str(tmp_path / "m"), 1) if not each.refusal]
    assert [attempt.engine for attempt in ran] == ["transformers"]
    assert ran[0].outputs.shape == (len(PASSAGES),)
    assert np.ptp(ran[0].outputs) > 0.01
    assert reference(open_model(str(tmp_path / "m"))) == "a decoder runs in transformers itself"
