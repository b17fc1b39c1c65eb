"""Forms of the families whose attention knows distances: MPNet, Jina's BERT with ALiBi, DeBERTa."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    DebertaV2Config,
    MPNetConfig,
    PretrainedConfig,
)

from twopass.engines.base.model import ModelKind

from . import jina_bert, small_tokenizers
from .form import Form
from .small_models import HIDDEN_SIZE, INTERMEDIATE_SIZE, NUM_HEADS, NUM_LAYERS, with_random_weights
from .small_tokenizers import MAX_LENGTH
from .writing import classifier_of, write_encoder, write_reranker

_SHAPE: dict[str, Any] = {
    "hidden_size": HIDDEN_SIZE,
    "num_attention_heads": NUM_HEADS,
    "intermediate_size": INTERMEDIATE_SIZE,
    "num_hidden_layers": NUM_LAYERS,
}

# transformers would read it as BERT.
_NO_CLASS = {"transformers": "the weights lack"}


def forms() -> Iterator[Form]:
    """Of MPNet, Jina's BERT and DeBERTa."""
    masked = partial(_mpnet_encoder, auto=AutoModelForMaskedLM)
    yield Form("mpnet", "classifier", ModelKind.RERANKER, _mpnet_reranker)
    yield Form("mpnet", "model alone", ModelKind.ENCODER, _mpnet_encoder)
    yield Form("mpnet", "masked LM head", ModelKind.ENCODER, masked)
    for num_heads in (2, 4, 6):
        encoder = partial(_jina_bert_encoder, num_heads=num_heads)
        yield Form(
            "jina-bert-v2",
            f"model, {num_heads} heads",
            ModelKind.ENCODER,
            encoder,
            refused_by=_NO_CLASS,
        )
    yield Form(
        "jina-bert-v2", "classifier", ModelKind.RERANKER, _jina_bert_reranker, refused_by=_NO_CLASS
    )
    yield from _deberta_forms()


def _mpnet_config() -> PretrainedConfig:
    vocabulary = {
        "vocab_size": len(small_tokenizers.mpnet()),
        "max_position_embeddings": MAX_LENGTH + 2,
        "pad_token_id": 1,
    }
    return MPNetConfig(**_SHAPE | vocabulary)


def _mpnet_reranker(folder):
    model = with_random_weights(classifier_of(_mpnet_config()))
    return write_reranker(folder, model, small_tokenizers.mpnet())


def _mpnet_encoder(folder, auto=AutoModel):
    model = with_random_weights(auto.from_config(_mpnet_config()))
    return write_encoder(folder, model, small_tokenizers.mpnet())


def _jina_bert_encoder(folder, num_heads):
    return jina_bert.write_encoder(folder, num_heads)


def _jina_bert_reranker(folder):
    return jina_bert.write_reranker(folder)


# --- DeBERTa --------------------------------------------------------------------------------------


def _deberta_config(**changes: Any) -> PretrainedConfig:
    """As DeBERTa-v3 has it: logarithmic buckets, one projection for content and positions."""
    shape = {
        "vocab_size": len(small_tokenizers.deberta()),
        "max_position_embeddings": MAX_LENGTH,
        "pad_token_id": 0,
        "relative_attention": True,
        "position_buckets": 16,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "max_relative_positions": -1,
        "type_vocab_size": 0,
        "pooler_hidden_act": "gelu",
        "pooler_hidden_size": HIDDEN_SIZE,
        "layer_norm_eps": 1e-7,
    }
    return DebertaV2Config(**_SHAPE | shape | changes)


def _deberta_reranker(folder, options=None, **changes):
    model = with_random_weights(classifier_of(_deberta_config(**changes)))
    return write_reranker(folder, model, small_tokenizers.deberta(), **(options or {}))


def _deberta_encoder(folder, auto=AutoModel, **changes):
    model = with_random_weights(auto.from_config(_deberta_config(**changes)))
    return write_encoder(folder, model, small_tokenizers.deberta())


_DEBERTA_REFUSALS = {"cpu": "onnxruntime"}


def _deberta_forms() -> Iterator[Form]:
    rerankers = {
        "classifier": {},
        "projections of positions apart": {"share_att_key": False},
        "content to position alone": {"pos_att_type": ["c2p"]},
        "position to content alone": {"pos_att_type": ["p2c"]},
        "positions in the input": {"position_biased_input": True},
        "types in the input": {"type_vocab_size": 2},
        "convolution after the first layer": {"conv_kernel_size": 3, "conv_act": "gelu"},
        "convolution in groups": {"conv_kernel_size": 5, "conv_groups": 4},
        "without buckets": {"position_buckets": -1, "max_relative_positions": 32},
    }
    for name, changes in rerankers.items():
        write = partial(_deberta_reranker, **changes)
        yield Form("deberta-v2", name, ModelKind.RERANKER, write, refused_by=_DEBERTA_REFUSALS)
    yield Form(
        "deberta-v2",
        "model alone",
        ModelKind.ENCODER,
        _deberta_encoder,
        refused_by=_DEBERTA_REFUSALS,
    )
