"""NomicBERT (Nussbaum et al. 2024) and Jina's embeddings v3: rotary positions in post-norm layers.

NomicBERT has SwiGLU and no biases, Jina's a plain MLP with them. Both are published as the hub's
own code, with fused projections, and belong to transformers under the same `model_type`.
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

# The hub's own configuration is GPT-2's in other words.
_HUB_KEYS = {
    "n_embd": "hidden_size",
    "n_head": "num_attention_heads",
    "n_inner": "intermediate_size",
    "n_layer": "num_hidden_layers",
    "n_positions": "max_position_embeddings",
    "layer_norm_epsilon": "layer_norm_eps",
    "rotary_emb_base": "rope_theta",
}
_HUB_ACTIVATIONS = {"swiglu": "silu", "geglu": "gelu"}


def _read(config: Mapping[str, Any], *, theta: float, activation: str, gated: bool) -> Architecture:
    parameters = config.get("rope_parameters") or {}
    theta = values.number(parameters, "rope_theta", values.number(config, "rope_theta", theta))
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    values.require(config, "head_dim", hidden_size // num_heads, None)
    attention = LayerAttention(
        None, rotary.frequencies(hidden_size // num_heads, theta, parameters)
    )
    return Architecture(
        family=config["model_type"],
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size", 4 * hidden_size),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=values.whole(config, "max_position_embeddings", 2048),
        num_positions=0,
        position_offset=0,
        type_vocab_size=values.whole(config, "type_vocab_size", 1, least=0),
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-12),
        activation=values.activation(config, "hidden_act", activation),
        layers=(attention,) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.TANH),
        gated=gated,
    )


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads either configuration; raises as `read_architecture` does."""
    return _read(_native(config), theta=1_000.0, activation="silu", gated=True)


def read_jina_v3(config: Mapping[str, Any]) -> Architecture:
    """Reads transformers' configuration; raises as `read_architecture` does."""
    return _read(config, theta=20_000.0, activation="gelu", gated=False)


def _native(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration in transformers' words."""
    if "n_embd" not in config:
        return dict(config)
    # What the hub's code can do besides, and none of its published encoders does.
    for key, value in {
        "prenorm": False,
        "parallel_block": False,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "qkv_proj_bias": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "use_rms_norm": False,
        "num_experts": 0,
        "moe_every_n_layers": 0,
    }.items():
        values.require(config, key, value, None)
    values.require(config, "activation_function", *_HUB_ACTIVATIONS)
    renamed = {_HUB_KEYS[key]: config[key] for key in _HUB_KEYS if key in config}
    activation = _HUB_ACTIVATIONS[config.get("activation_function", "swiglu")]
    return {**config, **renamed, "hidden_act": activation}


def _sources(
    config: Mapping[str, Any], names: Container[str], *, attention: str, bias: bool
) -> dict[str, Source]:
    """Places of all that both families have."""
    is_native = "embeddings.LayerNorm.weight" in names
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.types": Source("embeddings.token_type_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm" if is_native else "emb_ln"),
    }
    for n in range(_native(config)["num_hidden_layers"]):
        layer = f"layers.{n}."
        place = layer if is_native else f"encoder.layers.{n}."
        for part, (name, apart) in enumerate(
            {"query": "q_proj", "key": "k_proj", "value": "v_proj"}.items()
        ):
            found[f"{layer}attention.{name}"] = (
                Source(f"{place}self_attn.{apart}", bias=bias)
                if is_native
                else Source(f"{place}{attention}.Wqkv", part, 3, bias)
            )
        output = "self_attn.o_proj" if is_native else f"{attention}.out_proj"
        attention_norm, mlp_norm = (
            ("post_attention_layernorm", "post_mlp_layernorm") if is_native else ("norm1", "norm2")
        )
        found |= {
            f"{layer}attention.output": Source(place + output, bias=bias),
            f"{layer}attention_norm": Source(place + attention_norm),
            f"{layer}mlp_norm": Source(place + mlp_norm),
        }
    return found


def sources(config: Mapping[str, Any], names: Container[str]) -> Sources:
    """Places of NomicBERT's tensors."""
    found = _sources(config, names, attention="attn", bias=False)
    is_native = "embeddings.LayerNorm.weight" in names
    for n in range(_native(config)["num_hidden_layers"]):
        place = f"layers.{n}.mlp." if is_native else f"encoder.layers.{n}.mlp."
        for name, native, hub in (
            ("up", "up_proj", "fc11"),
            ("gate", "gate_proj", "fc12"),
            ("down", "down_proj", "fc2"),
        ):
            found[f"layers.{n}.mlp.{name}"] = Source(
                place + (native if is_native else hub), bias=False
            )
    return found | {"head.dense": Source("pooler.dense"), "head.projection": Source("classifier")}


def sources_jina_v3(config: Mapping[str, Any], names: Container[str]) -> Sources:
    """Places of the tensors of Jina's embeddings v3."""
    found = _sources(config, names, attention="mixer", bias=True)
    is_native = "embeddings.LayerNorm.weight" in names
    for n in range(config["num_hidden_layers"]):
        place = f"layers.{n}.mlp." if is_native else f"encoder.layers.{n}.mlp."
        found |= {
            f"layers.{n}.mlp.up": Source(place + "fc1"),
            f"layers.{n}.mlp.down": Source(place + "fc2"),
        }
    return found | {
        "head.dense": Source("classifier.dense"),
        "head.projection": Source("classifier.out_proj"),
    }


FAMILY = Family(read, sources)
JINA_V3_FAMILY = Family(read_jina_v3, sources_jina_v3)
