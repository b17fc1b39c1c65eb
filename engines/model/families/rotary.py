"""Inverse frequencies of rotary positions (Su et al. 2021), also where they are stretched."""

from collections.abc import Mapping
from typing import Any

from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.families import config_values as values


def frequencies(
    head_dim: int, theta: float, scaling: Mapping[str, Any] | None
) -> tuple[float, ...]:
    """Of one kind of layer, `[head_dim / 2]`.

    Args:
        head_dim: Components of a head, all of which are rotated.
        theta: The base.
        scaling: `rope_scaling` or `rope_parameters` of the config: "linear" divides positions by
            `factor`; "ntk" raises the base by `factor` and lowers all frequencies by
            `factor ** (2 / head_dim)`, as GTE's published code does.

    Raises:
        UnsupportedModelError: Another way of stretching; names it.
    """
    scaling = scaling or {}
    kind = scaling.get("rope_type", scaling.get("type")) or "default"
    factor = values.number(scaling, "factor", 1.0)
    values.require(scaling, "mixed_b", None)
    values.require(scaling, "partial_rotary_factor", 1.0, None)
    if kind == "default":
        return values.inverse_frequencies(head_dim, theta)
    if kind == "linear":
        return tuple(f / factor for f in values.inverse_frequencies(head_dim, theta))
    if kind == "ntk":
        lowered = factor ** (2 / head_dim)
        return tuple(f / lowered for f in values.inverse_frequencies(head_dim, theta * factor))
    raise UnsupportedModelError(
        f"config.json: rotary positions are scaled by {kind!r}, supported are 'default', 'linear' "
        "and 'ntk'"
    )
