"""ModernBERT: rotary positions, local windows between global layers, GeGLU, pre-norm.

Warner et al. 2024.
"""

from collections.abc import Container, Mapping
from typing import Any

from twopass.engines.errors import ModelError
from twopass.engines.model.architecture import (
    Architecture,
    ClassifierHead,
    HeadPooling,
    LayerAttention,
)
from twopass.engines.model.families import config_values as values
from twopass.engines.model.families import rotary
from twopass.engines.model.families.family import Family, Source, Sources

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    # Both ends of the band are seen.
    window = values.whole(config, "local_attention", 128) // 2
    head_dim = hidden_size // num_heads
    kinds = {
        _GLOBAL: LayerAttention(None, _rotary(config, _GLOBAL, head_dim, 160_000.0)),
        _LOCAL: LayerAttention(window, _rotary(config, _LOCAL, head_dim, 10_000.0)),
    }
    values.require(config, "classifier_pooling", "cls", "mean", None)
    return Architecture(
        family="modernbert",
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=values.whole(config, "max_position_embeddings", 8192),
        num_positions=0,
        position_offset=0,
        type_vocab_size=0,
        norm_eps=values.epsilon(config, "norm_eps", 1e-5),
        activation=values.activation(config, "hidden_activation"),
        layers=tuple(kinds[kind] for kind in _layer_kinds(config)),
        head=ClassifierHead(
            HeadPooling(config.get("classifier_pooling") or "cls"),
            values.activation(config, "classifier_activation"),
            norm=True,
        ),
        gated=True,
        norm_first=True,
        first_attention_norm=False,
    )


def _layer_kinds(config: Mapping[str, Any]) -> list[str]:
    num_layers = values.whole(config, "num_hidden_layers")
    every = values.whole(config, "global_attn_every_n_layers", 3)
    kinds = config.get("layer_types")
    if kinds is None:
        return [_LOCAL if n % every else _GLOBAL for n in range(num_layers)]
    if len(kinds) != num_layers or not set(kinds) <= {_GLOBAL, _LOCAL}:
        raise ModelError(
            f"config.json: layer_types is {kinds!r}; {num_layers} of {_GLOBAL!r} and {_LOCAL!r} "
            "are needed"
        )
    return list(kinds)


def _rotary(
    config: Mapping[str, Any], kind: str, head_dim: int, default: float
) -> tuple[float, ...]:
    """Of the newer `rope_parameters`, a set for each kind of layer, or of the older two thetas."""
    key = "global_rope_theta" if kind == _GLOBAL else "local_rope_theta"
    parameters = (config.get("rope_parameters") or {}).get(kind) or {}
    theta = values.number(parameters, "rope_theta", values.number(config, key, default))
    return rotary.frequencies(head_dim, theta, parameters or config.get("rope_scaling"))


def sources(config: Mapping[str, Any], _names: Container[str]) -> Sources:
    """Places of its tensors."""
    norm_bias = values.flag(config, "norm_bias", False)
    attention_bias = values.flag(config, "attention_bias", False)
    mlp_bias = values.flag(config, "mlp_bias", False)
    found = {
        "embeddings.words": Source("embeddings.tok_embeddings"),
        "embeddings.norm": Source("embeddings.norm", bias=norm_bias),
        "final_norm": Source("final_norm", bias=norm_bias),
        "head.dense": Source("head.dense", bias=values.flag(config, "classifier_bias", False)),
        "head.norm": Source("head.norm", bias=norm_bias),
        "head.projection": Source("classifier"),
    }
    for n in range(config["num_hidden_layers"]):
        place = f"layers.{n}."
        for part, name in enumerate(("query", "key", "value")):
            found[f"{place}attention.{name}"] = Source(f"{place}attn.Wqkv", part, 3, attention_bias)
        found |= {
            f"{place}attention.output": Source(f"{place}attn.Wo", bias=attention_bias),
            f"{place}attention_norm": Source(f"{place}attn_norm", bias=norm_bias),
            f"{place}mlp.gate": Source(f"{place}mlp.Wi", 0, 2, mlp_bias),
            f"{place}mlp.up": Source(f"{place}mlp.Wi", 1, 2, mlp_bias),
            f"{place}mlp.down": Source(f"{place}mlp.Wo", bias=mlp_bias),
            f"{place}mlp_norm": Source(f"{place}mlp_norm", bias=norm_bias),
        }
    return found


FAMILY = Family(read, sources, words="embeddings.tok_embeddings")
