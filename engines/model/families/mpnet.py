"""MPNet: absolute positions, and a bias of attention by distance, in buckets, shared by all layers.

Song et al. 2020; the buckets are those of T5 (Raffel et al. 2020).
"""

import math
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

# Beyond it all distances share a bucket; fixed in its code.
MAX_DISTANCE = 128


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    positions = values.whole(config, "max_position_embeddings")
    # Its padding is token 1 in its code, whatever pad_token_id says.
    offset = 2
    # The buckets of its code are 32, whatever the config says of the table's size.
    values.require(config, "relative_attention_num_buckets", 32)
    return Architecture(
        family="mpnet",
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=positions - offset,
        num_positions=positions,
        position_offset=offset,
        type_vocab_size=0,
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-12),
        activation=values.activation(config, "hidden_act"),
        layers=(LayerAttention(),) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.TANH),
        relative_distance=MAX_DISTANCE,
    )


def bucket(distance: int, num_buckets: int = 32) -> int:
    """The bucket of a key `distance` places after a query, before it where negative.

    One bucket each up to a quarter of them, then wider and wider ones up to `MAX_DISTANCE`.
    """
    half = num_buckets // 2
    first = half if distance > 0 else 0
    n, exact = abs(distance), half // 2
    if n < exact:
        return first + n
    scaled = math.log(n / exact) / math.log(MAX_DISTANCE / exact) * (half - exact)
    return first + min(exact + int(scaled), half - 1)


def sources(config: Mapping[str, Any], _names: Container[str]) -> Sources:
    """Places of its tensors."""
    found = {
        "embeddings.words": Source("embeddings.word_embeddings"),
        "embeddings.positions": Source("embeddings.position_embeddings"),
        "embeddings.norm": Source("embeddings.LayerNorm"),
        "head.dense": Source("classifier.dense"),
        "head.projection": Source("classifier.out_proj"),
    }
    for n in range(config["num_hidden_layers"]):
        for name, place in {
            "attention.query": "attention.attn.q",
            "attention.key": "attention.attn.k",
            "attention.value": "attention.attn.v",
            "attention.output": "attention.attn.o",
            "attention_norm": "attention.LayerNorm",
            "mlp.up": "intermediate.dense",
            "mlp.down": "output.dense",
            "mlp_norm": "output.LayerNorm",
        }.items():
            found[f"layers.{n}.{name}"] = Source(f"encoder.layer.{n}.{place}")
    return found


FAMILY = Family(read, sources, relative_bias="encoder.relative_attention_bias.weight")
