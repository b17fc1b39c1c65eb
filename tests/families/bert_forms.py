"""Forms of the families with absolute positions alone: BERT and what is built like it."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    PretrainedConfig,
    RobertaConfig,
    XLMRobertaConfig,
)

from twopass.engines.base.model import ModelKind

from . import small_tokenizers
from .form import Form
from .small_models import HIDDEN_SIZE, INTERMEDIATE_SIZE, NUM_HEADS, NUM_LAYERS, with_random_weights
from .small_tokenizers import MAX_LENGTH
from .writing import classifier_of, edit_json, write_encoder, write_reranker

_SHAPE: dict[str, Any] = {
    "hidden_size": HIDDEN_SIZE,
    "num_attention_heads": NUM_HEADS,
    "intermediate_size": INTERMEDIATE_SIZE,
    "num_hidden_layers": NUM_LAYERS,
}


def bert_config(**changes: Any) -> PretrainedConfig:
    """BERT's, two token types."""
    tokenizer = small_tokenizers.bert()
    return BertConfig(
        **_SHAPE | {"vocab_size": len(tokenizer), "max_position_embeddings": MAX_LENGTH} | changes
    )


def _roberta_config(**changes: Any) -> PretrainedConfig:
    shape = _SHAPE | {
        "vocab_size": len(small_tokenizers.roberta()),
        "max_position_embeddings": MAX_LENGTH + 2,
        "type_vocab_size": 1,
        "pad_token_id": 1,
    }
    return RobertaConfig(**shape | changes)


def _xlm_roberta_config(**changes: Any) -> PretrainedConfig:
    shape = _SHAPE | {
        "vocab_size": len(small_tokenizers.xlm_roberta()),
        "max_position_embeddings": MAX_LENGTH + 2,
        "type_vocab_size": 1,
        "pad_token_id": 1,
    }
    return XLMRobertaConfig(**shape | changes)


def _electra_config(**changes: Any) -> PretrainedConfig:
    shape = _SHAPE | {
        "vocab_size": len(small_tokenizers.bert()),
        "max_position_embeddings": MAX_LENGTH,
        "embedding_size": 32,
    }
    return ElectraConfig(**shape | changes)


def _distilbert_config(**changes: Any) -> PretrainedConfig:
    shape = {
        "vocab_size": len(small_tokenizers.bert()),
        "max_position_embeddings": MAX_LENGTH,
        "dim": HIDDEN_SIZE,
        "n_heads": NUM_HEADS,
        "hidden_dim": INTERMEDIATE_SIZE,
        "n_layers": NUM_LAYERS,
    }
    return DistilBertConfig(**shape | changes)


_FAMILIES = {
    "bert": (bert_config, small_tokenizers.bert),
    "roberta": (_roberta_config, small_tokenizers.roberta),
    "xlm-roberta": (_xlm_roberta_config, small_tokenizers.xlm_roberta),
    "electra": (_electra_config, small_tokenizers.bert),
    "distilbert": (_distilbert_config, small_tokenizers.bert),
}


def forms() -> Iterator[Form]:
    """Of each family a reranker, a model alone and one with a masked-language-model head."""
    for family, (config, tokenizer) in _FAMILIES.items():

        def reranker(folder, config=config, tokenizer=tokenizer, options=None, **changes):
            model = with_random_weights(classifier_of(config(**changes)))
            return write_reranker(folder, model, tokenizer(), **(options or {}))

        def encoder(folder, auto=AutoModel, config=config, tokenizer=tokenizer, options=None):
            model = with_random_weights(auto.from_config(config()))
            return write_encoder(folder, model, tokenizer(), **(options or {}))

        yield Form(family, "classifier", ModelKind.RERANKER, reranker)
        yield Form(family, "model alone", ModelKind.ENCODER, encoder)
        masked = partial(encoder, auto=AutoModelForMaskedLM)
        yield Form(family, "masked LM head", ModelKind.ENCODER, masked)
        if family == "bert":
            yield from _bert_forms(reranker, encoder)
    yield Form(
        "roberta",
        "two token types, a tokenizer without any",
        ModelKind.RERANKER,
        partial(_roberta_with_types),
    )
    yield Form("electra", "embeddings as wide as layers", ModelKind.RERANKER, _wide_electra)


def _bert_forms(reranker, encoder) -> Iterator[Form]:
    for name, dtype in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        options = {"dtype": dtype}
        yield Form("bert", name, ModelKind.RERANKER, partial(reranker, options=options))
        yield Form("bert", f"{name} model", ModelKind.ENCODER, partial(encoder, options=options))
    options = {"num_shards": 4}
    yield Form("bert", "in shards", ModelKind.RERANKER, partial(reranker, options=options))
    yield Form("bert", "model in shards", ModelKind.ENCODER, partial(encoder, options=options))
    for activation in ("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "relu", "silu"):
        write = partial(reranker, hidden_act=activation)
        yield Form("bert", f"activation {activation}", ModelKind.RERANKER, write)
    cased = partial(_cased_bert)
    yield Form("bert", "cased tokenizer", ModelKind.RERANKER, cased)
    old = edit_json("config.json", _as_of_2019)
    options = {"edits": [old]}
    yield Form("bert", "config of 2019", ModelKind.RERANKER, partial(reranker, options=options))


def _as_of_2019(config: dict[str, Any]) -> dict[str, Any]:
    """Without what later versions added, and with what they dropped."""
    kept = {k: v for k, v in config.items() if k not in ("dtype", "classifier_dropout")}
    return kept | {
        "torch_dtype": "float32",
        "gradient_checkpointing": False,
        "directionality": "bidi",
    }


def _cased_bert(folder):
    tokenizer = small_tokenizers.bert(lower_case=False)
    return write_reranker(folder, with_random_weights(classifier_of(bert_config())), tokenizer)


def _roberta_with_types(folder):
    model = with_random_weights(classifier_of(_roberta_config(type_vocab_size=2)))
    return write_reranker(folder, model, small_tokenizers.roberta())


def _wide_electra(folder):
    model = with_random_weights(classifier_of(_electra_config(embedding_size=HIDDEN_SIZE)))
    return write_reranker(folder, model, small_tokenizers.bert())
