"""Values of a `config.json`, each checked where it is read."""

from collections.abc import Mapping
from typing import Any

from twopass.engines.errors import ModelError, UnsupportedModelError
from twopass.engines.model.architecture import Activation

_ACTIVATIONS = {
    "gelu": Activation.GELU,
    "gelu_new": Activation.GELU_TANH,
    "gelu_fast": Activation.GELU_TANH,
    "gelu_pytorch_tanh": Activation.GELU_TANH,
    "relu": Activation.RELU,
    "silu": Activation.SILU,
    "swish": Activation.SILU,
    "tanh": Activation.TANH,
}


def whole(config: Mapping[str, Any], key: str, default: int | None = None, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        ModelError: It is missing and has no default, or is something else.
    """
    value = config.get(key)
    if value is None:
        if default is None:
            raise ModelError(f"config.json: {key} is missing")
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ModelError(
            f"config.json: {key} is {value!r}, a whole number of at least {least} is needed"
        )
    return value


def number(config: Mapping[str, Any], key: str, default: float) -> float:
    """A number above 0.

    Raises:
        ModelError: It is something else.
    """
    value = config.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ModelError(f"config.json: {key} is {value!r}, a number above 0 is needed")
    return float(value)


def epsilon(config: Mapping[str, Any], key: str, default: float) -> float:
    """What a LayerNorm adds to the variance, 0 to 1.

    Raises:
        ModelError: It is something else.
    """
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise ModelError(f"config.json: {key} is {value!r}, 0 to 1 is needed")
    return float(value)


def flag(config: Mapping[str, Any], key: str, default: bool) -> bool:
    """True or false.

    Raises:
        ModelError: It is something else.
    """
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ModelError(f"config.json: {key} is {value!r}, true or false is needed")
    return value


def activation(config: Mapping[str, Any], key: str, default: str = "gelu") -> Activation:
    """An activation by its name in transformers.

    Raises:
        UnsupportedModelError: It is none of ours.
    """
    value = config.get(key, default)
    if not isinstance(value, str) or value not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"config.json: {key} is {value!r}, supported are {', '.join(_ACTIVATIONS)}"
        )
    return _ACTIVATIONS[value]


def require(config: Mapping[str, Any], key: str, *allowed: Any) -> None:
    """Refuses a setting that changes the output and that we do not compute.

    Raises:
        UnsupportedModelError: The key is there with a value that is none of `allowed`.
    """
    if key in config and config[key] not in allowed:
        raise UnsupportedModelError(
            f"config.json: {key} is {config[key]!r}, supported: "
            f"{', '.join(repr(value) for value in allowed)}"
        )


def heads(config: Mapping[str, Any], hidden: str, count: str) -> tuple[int, int]:
    """Hidden size and number of heads.

    Raises:
        UnsupportedModelError: The one is no multiple of the other.
    """
    hidden_size, num_heads = whole(config, hidden), whole(config, count)
    if hidden_size % num_heads:
        raise UnsupportedModelError(
            f"config.json: {hidden} {hidden_size:,} is not a multiple of {count} {num_heads:,}"
        )
    return hidden_size, num_heads


def position_offset(config: Mapping[str, Any]) -> int:
    """RoBERTa's row of the first position: one after the padding's.

    Raises:
        ModelError: `pad_token_id` is no token id.
    """
    return whole(config, "pad_token_id", default=1, least=0) + 1


def inverse_frequencies(head_dim: int, theta: float) -> tuple[float, ...]:
    """Of rotary positions: `theta ** (-2 i / head_dim)` for i up to half of the components."""
    return tuple(theta ** (-2 * i / head_dim) for i in range(head_dim // 2))
