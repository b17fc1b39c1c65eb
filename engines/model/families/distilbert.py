"""DistilBERT: BERT without token types (Sanh et al. 2019)."""

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


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    hidden_size, num_heads = values.heads(config, "dim", "n_heads")
    positions = values.whole(config, "max_position_embeddings", 512)
    return Architecture(
        family="distilbert",
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "hidden_dim"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=positions,
        num_positions=positions,
        position_offset=0,
        type_vocab_size=0,
        norm_eps=1e-12,  # fixed in its code
        activation=values.activation(config, "activation"),
        layers=(LayerAttention(),) * values.whole(config, "n_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.RELU),
    )


def sources(config: Mapping[str, Any], _names: Container[str]) -> Sources:
    """Places of its tensors."""
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.positions": Source("embeddings.position_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm"),
        "head.dense": Source("pre_classifier"),
        "head.projection": Source("classifier"),
    }
    for n in range(config["n_layers"]):
        for name, place in {
            "attention.query": "attention.q_lin",
            "attention.key": "attention.k_lin",
            "attention.value": "attention.v_lin",
            "attention.output": "attention.out_lin",
            "attention_norm": "sa_layer_norm",
            "mlp.up": "ffn.lin1",
            "mlp.down": "ffn.lin2",
            "mlp_norm": "output_layer_norm",
        }.items():
            found[f"layers.{n}.{name}"] = Source(f"transformer.layer.{n}.{place}")
    return found


FAMILY = Family(read, sources)
