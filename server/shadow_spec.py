"""What a shadow is, as the settings say it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

_FORM = "NAME=reranker:ID,depth:20,blend:0.3,share:0.1,collections:docs*"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_KEYS = ("reranker", "depth", "blend", "share", "collections")
DEFAULT_SHARE = 0.05
"""The share of searches that is compared where a shadow names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowSpec:
    """Another second pass, to be compared with the one that callers get.

    Attributes:
        name: What it is called in metrics and reports.
        reranker: Its model's id; "" for that of each search.
        depth: How many candidates it reranks; 0 for as many as the search does.
        blend: Weight of the first pass; None for that of its model, or of the search where it has
            the same.
        share: Share of searches that are compared, above 0 to 1.
        collections: Shell pattern of the names of the collections.
    """

    name: str
    reranker: str = ""
    depth: int = 0
    blend: float | None = None
    share: float = DEFAULT_SHARE
    collections: str = "*"

    def covers(self, collection: str) -> bool:
        """Whether searches of a collection are compared."""
        return fnmatchcase(collection, self.collections)


def parse_shadow(text: str) -> ShadowSpec:
    """Reads a shadow.

    Args:
        text: As in "NAME=reranker:ID,depth:20,blend:0.3,share:0.1".

    Raises:
        ValueError: It is none; the message says what is wrong with it.
    """
    name, equals, options = text.partition("=")
    if not equals or not options:
        raise ValueError(f"{text!r} given; a shadow is as in {_FORM}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a shadow: 1 to 32 of a-z, 0-9, '_' and '-'")
    given: dict[str, str] = {}
    for option in options.split(","):
        key, colon, value = option.partition(":")
        if key not in _KEYS or not colon or not value or key in given:
            raise ValueError(
                f"{name}: {option!r} given; once each of {', '.join(_KEYS)}, as in {_FORM}"
            )
        given[key] = value
    if not given.keys() & {"reranker", "depth", "blend"}:
        raise ValueError(f"{name}: the same as every search; give a reranker, a depth or a blend")
    return ShadowSpec(
        name=name,
        reranker=given.get("reranker", ""),
        depth=int(_number(name, given, "depth", 1, 2_048, 0)),
        blend=_number(name, given, "blend", 0, 1, 0) if "blend" in given else None,
        share=_number(name, given, "share", 0, 1, DEFAULT_SHARE),
        collections=given.get("collections", "*"),
    )


def shadow_text(value: Any) -> Any:
    """A shadow as one text, from the table `[[shadow]]` of a file of settings; else as it is."""
    if not isinstance(value, Mapping) or "name" not in value:
        return value
    options = [f"{key}:{option}" for key, option in value.items() if key != "name"]
    return f"{value['name']}={','.join(options)}"


def _number(
    name: str, given: Mapping[str, str], key: str, least: float, most: float, default: float
) -> float:
    if key not in given:
        return default
    try:
        number = float(given[key])
    except ValueError:
        number = -1.0
    is_whole = key != "depth" or number.is_integer()
    is_above = key != "share" or number > 0
    if not (least <= number <= most and is_whole and is_above):
        between = f"above 0, at most {most:g}" if key == "share" else f"{least:g} to {most:,g}"
        raise ValueError(f"{name}: {key}: {given[key]} given, {between} is needed")
    return number
