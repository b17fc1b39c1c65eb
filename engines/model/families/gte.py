"""GTE: rotary positions and GeGLU around BERT's post-norm layers (Zhang et al. 2024).

Published as the hub's own code (`model_type` "new"), later as transformers' "gte"; the tensors of
both lie alike in the files of either.
"""

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
from twopass.engines.model.families import rotary
from twopass.engines.model.families.family import Family, Source, Sources


def _read(config: Mapping[str, Any], types: int, theta: float) -> Architecture:
    scaling = config.get("rope_parameters") or config.get("rope_scaling")
    theta = values.number(scaling or {}, "rope_theta", values.number(config, "rope_theta", theta))
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    attention = LayerAttention(None, rotary.frequencies(hidden_size // num_heads, theta, scaling))
    return Architecture(
        family=config["model_type"],
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=values.whole(config, "max_position_embeddings", 8192),
        num_positions=0,
        position_offset=0,
        type_vocab_size=values.whole(config, "type_vocab_size", types, least=0),
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-12),
        activation=values.activation(config, "hidden_act"),
        layers=(attention,) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.TANH),
        gated=True,
    )


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads transformers' configuration; raises as `read_architecture` does."""
    values.require(config.get("rope_parameters") or {}, "rope_type", "default", "linear")
    return _read(config, types=1, theta=160_000.0)


def read_hub(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration of the hub's own code; raises as `read_architecture` does."""
    values.require(config, "position_embedding_type", "rope", None)
    values.require(config, "layer_norm_type", "layer_norm", None)
    values.require(config, "logn_attention_scale", False, None)
    return _read(config, types=0, theta=10_000.0)


def sources(config: Mapping[str, Any], names: Container[str]) -> Sources:
    """Places of its tensors, fused as published or apart."""
    is_native = "layers.0.self_attn.o_proj.weight" in names
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.types": Source("embeddings.token_type_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm"),
        "head.dense": Source("pooler.dense"),
        "head.projection": Source("classifier"),
    }
    for n in range(config["num_hidden_layers"]):
        layer = f"layers.{n}."
        place = layer if is_native else f"encoder.layer.{n}."
        for part, (name, apart) in enumerate(
            {"query": "q_proj", "key": "k_proj", "value": "v_proj"}.items()
        ):
            fused = f"{place}attention.qkv_proj"
            found[f"{layer}attention.{name}"] = (
                Source(f"{place}self_attn.{apart}")
                if is_native
                else Source(fused, part, 3)
                if f"{fused}.weight" in names
                else Source(f"{place}attention.{apart}")
            )
        for part, name in enumerate(("up", "gate")):
            found[f"{layer}mlp.{name}"] = (
                Source(f"{place}mlp.{name}_proj", bias=False)
                if is_native
                else Source(f"{place}mlp.up_gate_proj", part, 2, bias=False)
            )
        attention_norm, mlp_norm = (
            ("post_attention_layernorm", "post_mlp_layernorm")
            if is_native
            else ("attn_ln", "mlp_ln")
        )
        output = "self_attn.o_proj" if is_native else "attention.o_proj"
        found |= {
            f"{layer}attention.output": Source(place + output),
            f"{layer}attention_norm": Source(place + attention_norm),
            f"{layer}mlp.down": Source(f"{place}mlp.down_proj"),
            f"{layer}mlp_norm": Source(place + mlp_norm),
        }
    return found


FAMILY = Family(read, sources)
HUB_FAMILY = Family(read_hub, sources)
