"""The BERT family: what a `config.json` must say for our own graph, or the C++ core, to run it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twopass.engines.errors import ModelError, UnsupportedModelError

# Position of the first token: RoBERTa counts from pad_token_id + 1, BERT from 0.
_MODEL_TYPES = {"bert": False, "roberta": True, "xlm-roberta": True}
_ACTIVATIONS = {"gelu": "erf", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


@dataclass(frozen=True, slots=True)
class BertArchitecture:
    """Shape of a BERT-family encoder with absolute positions.

    Attributes:
        gelu: "erf" (exact) or "tanh" (approximation).
        position_offset: Position of a sequence's first token.
    """

    hidden_size: int
    num_layers: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    max_positions: int
    type_vocab_size: int
    layer_norm_eps: float
    gelu: str
    position_offset: int

    @property
    def head_dim(self) -> int:
        """Components of one attention head."""
        return self.hidden_size // self.num_heads

    @property
    def max_seq_len(self) -> int:
        """Longest sequence there are positions for."""
        return self.max_positions - self.position_offset


def read_architecture(config: Mapping[str, Any]) -> BertArchitecture:
    """Reads a model's `config.json`.

    Raises:
        UnsupportedModelError: It describes no BERT-family encoder; names the key and the value.
        ModelError: A key is missing, or its value is outside its range.
    """
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _MODEL_TYPES:
        raise UnsupportedModelError(
            f"config.json: model_type is {model_type!r}, supported are {', '.join(_MODEL_TYPES)}"
        )
    positions = config.get("position_embedding_type", "absolute")
    if positions != "absolute":
        raise UnsupportedModelError(
            f"config.json: position_embedding_type is {positions!r}, only 'absolute' is supported"
        )
    activation = config.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"config.json: hidden_act is {activation!r}, supported are {', '.join(_ACTIVATIONS)}"
        )
    if _whole(config, "hidden_size") % _whole(config, "num_attention_heads"):
        raise UnsupportedModelError(
            f"config.json: hidden_size {config['hidden_size']:,} is not a multiple of "
            f"num_attention_heads {config['num_attention_heads']:,}"
        )
    epsilon = config.get("layer_norm_eps", 1e-12)
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not 0 <= epsilon < 1:
        raise ModelError(f"config.json: layer_norm_eps is {epsilon!r}, 0 to 1 is needed")
    return BertArchitecture(
        hidden_size=_whole(config, "hidden_size"),
        num_layers=_whole(config, "num_hidden_layers"),
        num_heads=_whole(config, "num_attention_heads"),
        intermediate_size=_whole(config, "intermediate_size"),
        vocab_size=_whole(config, "vocab_size"),
        max_positions=_whole(config, "max_position_embeddings"),
        type_vocab_size=_whole({"type_vocab_size": 1} | dict(config), "type_vocab_size"),
        layer_norm_eps=float(epsilon),
        gelu=_ACTIVATIONS[activation],
        position_offset=_position_offset(config) if _MODEL_TYPES[model_type] else 0,
    )


def _whole(config: Mapping[str, Any], key: str) -> int:
    if key not in config:
        raise ModelError(f"config.json: {key} is missing")
    value = config[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"config.json: {key} is {value!r}, a whole number above 0 is needed")
    return value


def _position_offset(config: Mapping[str, Any]) -> int:
    pad_id = config.get("pad_token_id")
    if isinstance(pad_id, bool) or not isinstance(pad_id, int) or pad_id < 0:
        raise ModelError(f"config.json: pad_token_id is {pad_id!r}, a token id is needed")
    return pad_id + 1
