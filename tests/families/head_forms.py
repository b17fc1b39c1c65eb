"""Forms of rerankers that differ in their labels and in who saved them, and families not described.

All but the last are of one small BERT.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from twopass.engines.base.model import ModelKind

from . import small_tokenizers
from .bert_forms import bert_config
from .form import Expected, Form
from .small_models import HIDDEN_SIZE, INTERMEDIATE_SIZE, NUM_HEADS, NUM_LAYERS, with_random_weights
from .small_tokenizers import MAX_LENGTH
from .writing import (
    Edit,
    classifier_of,
    edit_json,
    expected_logits,
    write_encoder,
    write_model,
    write_reranker,
)

_DESCRIBED = ("cpu", "onnxruntime", "torch")


def forms() -> Iterator[Form]:
    """Of rerankers, and of ALBERT."""
    for relevant in (0, 1):
        yield Form(
            "bert",
            f"two labels, relevant is {relevant}",
            ModelKind.RERANKER,
            partial(_two_labels, relevant=relevant),
        )
    yield Form(
        "bert",
        "two labels, none said to be relevant",
        ModelKind.RERANKER,
        partial(_labels, count=2),
        refusal="relevant_label",
    )
    yield Form(
        "bert",
        "three labels",
        ModelKind.RERANKER,
        partial(_labels, count=3),
        refusal="id2label has 3 labels",
    )
    yield Form("bert", "saved by CrossEncoder", ModelKind.RERANKER, _cross_encoder)
    yield Form(
        "bert",
        "masked LM head, said to be a reranker",
        ModelKind.RERANKER,
        _masked_reranker,
        refusal="reranker",
    )
    yield Form(
        "albert",
        "model alone",
        ModelKind.ENCODER,
        _albert,
        refused_by=dict.fromkeys(_DESCRIBED, "engine transformers runs"),
    )


def _settings(**content: Any) -> Edit:
    """Writes a `twopass.json`."""

    def edit(folder: Path) -> None:
        (folder / "twopass.json").write_text(json.dumps(content), encoding="utf-8")

    return edit


def _classifier(count: int) -> PreTrainedModel:
    config = bert_config(num_labels=count)
    return with_random_weights(AutoModelForSequenceClassification.from_config(config))


def _labels(folder: Path, count: int) -> None:
    write_model(folder, _classifier(count), small_tokenizers.bert())


def _two_labels(folder: Path, relevant: int) -> Expected:
    """The logit is that of the relevant label less the other's: softmax is its sigmoid."""
    model = _classifier(2)
    write_model(folder, model, small_tokenizers.bert())
    _settings(relevant_label=relevant)(folder)
    with torch.no_grad():
        for parameter in model.classifier.parameters():
            parameter[0] = parameter[relevant] - parameter[1 - relevant]
    return expected_logits(model, small_tokenizers.bert())


def _cross_encoder(folder: Path) -> Expected:
    with TemporaryDirectory() as plain:
        model = with_random_weights(classifier_of(bert_config()))
        expected = write_reranker(Path(plain), model, small_tokenizers.bert())
        CrossEncoder(plain, device="cpu", max_length=MAX_LENGTH).save_pretrained(
            str(folder), create_model_card=False
        )
    return expected


def _masked_reranker(folder: Path) -> None:
    model = with_random_weights(AutoModelForMaskedLM.from_config(bert_config()))
    write_model(folder, model, small_tokenizers.bert())
    architecture = {"architectures": ["BertForSequenceClassification"], "id2label": {"0": "A"}}
    edit_json("config.json", lambda config: config | architecture)(folder)


def _albert(folder: Path) -> Expected:
    config = AlbertConfig(
        vocab_size=len(small_tokenizers.bert()),
        embedding_size=32,
        hidden_size=HIDDEN_SIZE,
        num_attention_heads=NUM_HEADS,
        intermediate_size=INTERMEDIATE_SIZE,
        num_hidden_layers=NUM_LAYERS,
        max_position_embeddings=MAX_LENGTH,
    )
    model = with_random_weights(AutoModel.from_config(config))
    return write_encoder(folder, model, small_tokenizers.bert())
