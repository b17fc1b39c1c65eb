"""DeBERTa of versions 2 and 3: attention by content and by distance apart.

He et al. 2021 and 2023.
"""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np

from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import (
    Architecture,
    ClassifierHead,
    Convolution,
    Disentangled,
    HeadPooling,
    LayerAttention,
)
from twopass.engines.model.families import config_values as values
from twopass.engines.model.families.family import Family, Source, Sources

_TO_KEYS, _TO_QUERIES = "c2p", "p2c"


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    values.require(config, "attention_head_size", hidden_size // num_heads, None)
    values.require(config, "embedding_size", hidden_size, None)
    max_seq_len = values.whole(config, "max_position_embeddings", 512)
    has_positions = values.flag(config, "position_biased_input", True)
    return Architecture(
        family="deberta-v2",
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=max_seq_len,
        num_positions=max_seq_len if has_positions else 0,
        position_offset=0,
        type_vocab_size=values.whole(config, "type_vocab_size", 0, least=0),
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-7),
        activation=values.activation(config, "hidden_act"),
        layers=(LayerAttention(),) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, values.activation(config, "pooler_hidden_act")),
        disentangled=_disentangled(config, max_seq_len),
        convolution=_convolution(config, hidden_size),
    )


def _disentangled(config: Mapping[str, Any], max_seq_len: int) -> Disentangled | None:
    if not values.flag(config, "relative_attention", False):
        return None
    terms = _terms(config)
    # -1, as the published configs have it, stands for the length of a sequence.
    most = config.get("max_relative_positions", -1)
    most = max_seq_len if most == -1 else values.whole(config, "max_relative_positions")
    buckets = config.get("position_buckets", -1)
    buckets = 0 if buckets == -1 else values.whole(config, "position_buckets", 0, least=0)
    if buckets and most - 1 <= buckets // 2:
        raise ModelError(
            f"config.json: position_buckets is {buckets}, half of which must be less than "
            f"max_relative_positions less one, {most - 1}"
        )
    span = buckets or most
    distances = np.arange(-max_seq_len, max_seq_len + 1)
    places = _bucketed(distances, buckets, most) if buckets else distances
    rows = np.clip(places + span, 0, 2 * span - 1)
    norms = str(config.get("norm_rel_ebd", "none")).lower().split("|")
    return Disentangled(
        rows=tuple(rows.tolist()),
        norm="layer_norm" in (name.strip() for name in norms),
        position_keys=_TO_KEYS in terms,
        position_queries=_TO_QUERIES in terms,
    )


def _convolution(config: Mapping[str, Any], hidden_size: int) -> Convolution | None:
    """That of deberta-v2-xlarge and xxlarge."""
    kernel_size = values.whole(config, "conv_kernel_size", 0, least=0)
    if kernel_size == 0:
        return None
    groups = values.whole(config, "conv_groups", 1)
    if kernel_size % 2 == 0 or hidden_size % groups:
        raise UnsupportedModelError(
            f"config.json: conv_kernel_size is {kernel_size}, conv_groups {groups}; an odd size "
            f"and a divisor of hidden_size {hidden_size:,} are supported"
        )
    return Convolution(kernel_size, groups, values.activation(config, "conv_act", "tanh"))


def _terms(config: Mapping[str, Any]) -> list[str]:
    terms = config.get("pos_att_type") or []
    if isinstance(terms, str):
        terms = [term.strip() for term in terms.lower().split("|")]
    if not isinstance(terms, list) or not set(terms) <= {_TO_KEYS, _TO_QUERIES}:
        raise ModelError(
            f"config.json: pos_att_type is {terms!r}; of {_TO_KEYS!r} and {_TO_QUERIES!r} any are "
            "needed"
        )
    return terms


def _bucketed(distances: np.ndarray[Any, Any], buckets: int, most: int) -> np.ndarray[Any, Any]:
    """Distances up to half of the buckets as they are, then wider and wider ones up to `most`.

    In float32 and in transformers' order of operations, which decides where a bucket ends.
    """
    middle = buckets // 2
    far = np.maximum(np.abs(distances), middle - 1).astype(np.float32)
    logs = np.log(far / np.float32(middle)) / np.log(np.float32((most - 1) / middle))
    places = np.ceil(logs * np.float32(middle - 1)) + np.float32(middle)
    return np.where(far <= middle, distances, places * np.sign(distances)).astype(np.int64)


def sources(config: Mapping[str, Any], _names: Container[str]) -> Sources:
    """Places of its tensors."""
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.positions": Source("embeddings.position_embeddings"),
        "embeddings.types": Source("embeddings.token_type_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm"),
        "relative.embeddings": Source("encoder.rel_embeddings"),
        "relative.norm": Source("encoder.LayerNorm"),
        "convolution": Source("encoder.conv.conv"),
        "convolution_norm": Source("encoder.conv.LayerNorm"),
        "head.dense": Source("pooler.dense"),
        "head.projection": Source("classifier"),
    }
    is_shared = values.flag(config, "share_att_key", False)
    for n in range(config["num_hidden_layers"]):
        for name, place in {
            "attention.query": "attention.self.query_proj",
            "attention.key": "attention.self.key_proj",
            "attention.value": "attention.self.value_proj",
            "attention.position_key": f"attention.self.{'' if is_shared else 'pos_'}key_proj",
            "attention.position_query": f"attention.self.{'' if is_shared else 'pos_'}query_proj",
            "attention.output": "attention.output.dense",
            "attention_norm": "attention.output.LayerNorm",
            "mlp.up": "intermediate.dense",
            "mlp.down": "output.dense",
            "mlp_norm": "output.LayerNorm",
        }.items():
            found[f"layers.{n}.{name}"] = Source(f"encoder.layer.{n}.{place}")
    return found


FAMILY = Family(read, sources)
