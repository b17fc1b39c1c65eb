"""What a model computes, and which of a classifier's labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twopass.engines.base.model import ModelKind
from twopass.engines.errors import ModelError
from twopass.engines.model.folder import open_model

from ...small_models import random_tensors, small_config, write_json, write_model
from .sentence_folders import write_sentence_encoder


def _classifier(folder: Path, num_labels: int, **changes: Any) -> Path:
    config = small_config(**changes)
    tensors = random_tensors(config)
    generator = np.random.default_rng(7)
    tensors["classifier.weight"] = generator.normal(size=(num_labels, 8)).astype(np.float32)
    tensors["classifier.bias"] = generator.normal(size=num_labels).astype(np.float32)
    return write_model(folder, config, tensors)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("BertForSequenceClassification", "reranker"),
        ("BertModel", "encoder"),
        ("BertForMaskedLM", "encoder"),
        ("BertForPreTraining", "encoder"),
    ],
)
def test_the_architecture_says_the_kind(tmp_path: Path, architecture: str, kind: str) -> None:
    config = small_config(architectures=[architecture])
    write_model(tmp_path, config, random_tensors(config))
    assert open_model(str(tmp_path)).spec.kind == kind


def test_a_model_with_a_pooling_is_an_encoder_whatever_it_was_before(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    config = small_config(architectures=["BertForSequenceClassification"])
    write_json(tmp_path / "config.json", config)
    assert open_model(str(tmp_path)).spec.kind is ModelKind.ENCODER


@pytest.mark.parametrize("architecture", ["BertForQuestionAnswering", "BertForTokenClassification"])
def test_what_is_neither_is_refused_by_name(tmp_path: Path, architecture: str) -> None:
    config = small_config(architectures=[architecture])
    write_model(tmp_path, config, random_tensors(config))
    with pytest.raises(ModelError, match=rf"{architecture}', neither an encoder nor a reranker"):
        open_model(str(tmp_path))
    write_json(tmp_path / "twopass.json", {"kind": "encoder"})
    assert open_model(str(tmp_path)).spec.kind is ModelKind.ENCODER


@pytest.mark.parametrize("model_type", ["SparseEncoder", "MultiVectorEncoder"])
def test_other_kinds_of_sentence_transformers_are_refused(tmp_path: Path, model_type: str) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / "config_sentence_transformers.json", {"model_type": model_type})
    with pytest.raises(ModelError, match=f"model_type is '{model_type}', which gives a "):
        open_model(str(tmp_path))


def test_a_model_without_a_classifier_is_no_reranker_whatever_twopass_json_says(
    tmp_path: Path,
) -> None:
    config = small_config(architectures=["BertForMaskedLM"])
    tensors = random_tensors(config)
    headless = {name: t for name, t in tensors.items() if not name.startswith("classifier")}
    write_model(tmp_path, config, headless, settings={"kind": "reranker"})
    with pytest.raises(ModelError, match=r"no labels' projection.*this is no reranker"):
        open_model(str(tmp_path))


# transformers leaves its default of two labels out of config.json.
@pytest.mark.parametrize("said", [{"id2label": {"0": "no", "1": "yes"}}, {"id2label": None}])
def test_two_labels_are_refused_with_the_choice_that_helps(tmp_path: Path, said: Any) -> None:
    _classifier(tmp_path, 2, **said)
    with pytest.raises(ModelError, match=r'has 2 labels.*\{"relevant_label": "(yes|LABEL_1)"\}'):
        open_model(str(tmp_path))


@pytest.mark.parametrize(("choice", "index"), [("yes", 1), ("no", 0), (1, 1), (0, 0)], ids=str)
def test_of_two_labels_the_chosen_ones_logit_counts_less_the_others(
    tmp_path: Path, choice: str | int, index: int
) -> None:
    _classifier(tmp_path, 2, id2label={"0": "no", "1": "yes"})
    plain = open_model(str(_classifier(tmp_path / "one", 1)))
    write_json(tmp_path / "twopass.json", {"relevant_label": choice})
    model = open_model(str(tmp_path))
    assert model.relevant_label == index
    projection = model.open_weights().float32("head.projection.weight")
    generator = np.random.default_rng(7)
    rows = generator.normal(size=(2, 8)).astype(np.float32)
    np.testing.assert_array_equal(projection, [rows[index] - rows[1 - index]])
    assert model.spec.revision != plain.spec.revision


def test_a_label_that_is_none_of_both_is_refused(tmp_path: Path) -> None:
    _classifier(tmp_path, 2, id2label={"0": "no", "1": "yes"})
    write_json(tmp_path / "twopass.json", {"relevant_label": "maybe"})
    with pytest.raises(ModelError, match=r"relevant_label is 'maybe', the labels are no, yes"):
        open_model(str(tmp_path))


def test_a_choice_between_one_label_is_refused(tmp_path: Path) -> None:
    _classifier(tmp_path, 1)
    write_json(tmp_path / "twopass.json", {"relevant_label": 0})
    with pytest.raises(ModelError, match=r"relevant_label is given, but the model has one label"):
        open_model(str(tmp_path))


def test_three_labels_are_a_classifier(tmp_path: Path) -> None:
    labels = {"0": "entailment", "1": "neutral", "2": "contradiction"}
    _classifier(tmp_path, 3, id2label=labels)
    with pytest.raises(ModelError, match=r"has 3 labels \(entailment, neutral, contradiction\)"):
        open_model(str(tmp_path))


def test_labels_that_the_weights_do_not_have_are_told(tmp_path: Path) -> None:
    _classifier(tmp_path, 2)
    with pytest.raises(ModelError, match=r"weights hold 2 labels' projection, .* says 1"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    "config",
    [
        {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}},
        {"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"},
    ],
    ids=["new", "old"],
)
def test_a_cross_encoders_activation_is_told_and_changes_no_order(tmp_path: Path, config) -> None:
    model = open_model(str(_classifier(tmp_path, 1, **config)))
    (found,) = [r for r in model.readings if r.setting == "activation"]
    assert found.value == "Identity; scores here are sigmoid(a · logit + b)"
    assert found.source == "config.json"
