"""Jina's BERT of version 2 (Günther et al. 2023): GeGLU, and ALiBi instead of positions.

Its `model_type` is "bert", with a `position_embedding_type` of "alibi".
"""

import math
from collections.abc import Container, Mapping
from typing import Any

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.architecture import (
    Activation,
    Architecture,
    ClassifierHead,
    HeadPooling,
    LayerAttention,
)
from twopass.engines.model.families import bert
from twopass.engines.model.families import config_values as values
from twopass.engines.model.families.family import Family, Source, Sources

_GATES = {"geglu": Activation.GELU, "reglu": Activation.RELU}


def read(config: Mapping[str, Any]) -> Architecture:
    """Reads the configuration; raises as `read_architecture` does."""
    values.require(config, "feed_forward_type", *_GATES)
    values.require(config, "is_decoder", False, None)
    hidden_size, num_heads = values.heads(config, "hidden_size", "num_attention_heads")
    positions = values.whole(config, "max_position_embeddings")
    return Architecture(
        family="bert with alibi",
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=values.whole(config, "intermediate_size"),
        vocab_size=values.whole(config, "vocab_size"),
        embedding_size=hidden_size,
        max_seq_len=positions,
        num_positions=0,
        position_offset=0,
        type_vocab_size=values.whole(config, "type_vocab_size", 2),
        norm_eps=values.epsilon(config, "layer_norm_eps", 1e-12),
        activation=_GATES[config.get("feed_forward_type", "geglu")],
        layers=(LayerAttention(),) * values.whole(config, "num_hidden_layers"),
        head=ClassifierHead(HeadPooling.CLS, Activation.TANH),
        gated=True,
        relative_distance=positions - 1,
    )


def slopes(num_heads: int) -> list[float]:
    """ALiBi's slope of each head (Press et al. 2022): the bias is `-slope * distance`."""
    power = 2 ** math.floor(math.log2(num_heads))
    found = [2 ** (-8 * (head + 1) / power) for head in range(power)]
    # Where the heads are no power of two, every other slope of twice as many fills up.
    doubled = [2 ** (-8 * (head + 1) / (2 * power)) for head in range(2 * power)]
    return found + doubled[0::2][: num_heads - power]


def sources(config: Mapping[str, Any], names: Container[str]) -> Sources:
    """Places of its tensors.

    Raises:
        UnsupportedModelError: It is the later layout that also normalises queries and keys.
    """
    if "encoder.layer.0.mlp.gated_layers.weight" not in names:
        raise UnsupportedModelError(
            "model.safetensors: a BERT with ALiBi, but not in the layout of jina-embeddings-v2 "
            "(encoder.layer.0.mlp.gated_layers is missing); an exported model.onnx in the folder "
            "runs on the engine onnxruntime"
        )
    found = dict(bert.sources(config, names))
    for n in range(config["num_hidden_layers"]):
        place = f"encoder.layer.{n}.mlp."
        found |= {
            f"layers.{n}.mlp.gate": Source(place + "gated_layers", 0, 2, bias=False),
            f"layers.{n}.mlp.up": Source(place + "gated_layers", 1, 2, bias=False),
            f"layers.{n}.mlp.down": Source(place + "wo"),
            f"layers.{n}.mlp_norm": Source(place + "layernorm"),
        }
    return found


FAMILY = Family(read, sources)
