"""BERT, RoBERTa, XLM-RoBERTa, CamemBERT and ELECTRA: absolute positions, post-norm."""

from collections.abc import Container, Mapping
from typing import Any

from twopass.engines.model.architecture import (
    Activation,
    Architecture,
    ClassifierHead,
    HeadPooling,
    LayerAttention,
)
from twopass.engines.model.families import config_values as values
from twopass.engines.model.families.family import Family, Source, Sources

_ROBERTA_TYPES = ("roberta", "xlm-roberta", "camembert")
MODEL_TYPES = ("bert", *_ROBERTA_TYPES, "electra")


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    values.require(config, "position_embedding_type", "absolute", None)
    values.require(config, "is_decoder", False, None)
    model_type = config["model_type"]
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    positions = values.whole(config, "max_position_embeddings")
    offset = values.position_offset(config) if model_type in _ROBERTA_TYPES else 0
    is_electra = model_type == "electra"
    return Architecture(
        family=model_type,
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=values.whole(config, "embedding_size", 128) if is_electra else hidden_size,
        max_seq_len=positions - offset,
        num_positions=positions,
        position_offset=offset,
        type_vocab_size=values.whole(config, "type_vocab_size", 1),
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-12),
        activation=values.activation(config, "hidden_act"),
        layers=(LayerAttention(),) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.GELU if is_electra else Activation.TANH),
    )


def sources(config: Mapping[str, Any], names: Container[str]) -> Sources:
    """Places of its tensors."""
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.positions": Source("embeddings.position_embeddings"),
        "embeddings.types": Source("embeddings.token_type_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm"),
        "embeddings.projection": Source("embeddings_project"),
    } | layers(config["num_hidden_layers"])
    if "classifier.out_proj.weight" in names:  # RoBERTa's and ELECTRA's own heads
        head = {"head.dense": "classifier.dense", "head.projection": "classifier.out_proj"}
    else:
        head = {"head.dense": "pooler.dense", "head.projection": "classifier"}
    return found | {name: Source(place) for name, place in head.items()}


def layers(num_layers: int) -> dict[str, Source]:
    """Places of the layers' tensors."""
    found = {}
    for n in range(num_layers):
        for name, place in {
            "attention.query": "attention.self.query",
            "attention.key": "attention.self.key",
            "attention.value": "attention.self.value",
            "attention.output": "attention.output.dense",
            "attention_norm": "attention.output.LayerNorm",
            "mlp.up": "intermediate.dense",
            "mlp.down": "output.dense",
            "mlp_norm": "output.LayerNorm",
        }.items():
            found[f"layers.{n}.{name}"] = Source(f"encoder.layer.{n}.{place}")
    return found


FAMILY = Family(read, sources)
