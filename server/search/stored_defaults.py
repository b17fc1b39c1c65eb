"""A collection's search defaults as its store keeps them: within its settings, a JSON object.

Keys that this version does not know are another version's, and stay when the defaults are set.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from twopass.index.fusion import ConvexFusion, ReciprocalRankFusion
from twopass.server.config_values import RetrieveMode
from twopass.server.models.passages import Overlong, Truncation
from twopass.server.search.defaults import NO_DEFAULTS, SearchDefaults

_KEY = "search_defaults"
_NUM_KEPT = 1_024
_UNREADABLE = (
    "what was set for the collection can't be read by this version: none of it is applied; set the "
    "search defaults anew, or use the version that set them"
)


class UnreadableSettingsError(Exception):
    """A collection's settings are not what this version writes."""

    def __init__(self) -> None:
        super().__init__(_UNREADABLE)


@lru_cache(maxsize=_NUM_KEPT)
def read_defaults(settings: str) -> SearchDefaults:
    """Reads the defaults out of a collection's settings.

    Raises:
        UnreadableSettingsError: They are damaged, or of a later version.
    """
    if not settings:
        return NO_DEFAULTS
    try:
        stored = json.loads(settings).get(_KEY, {})
        fusion = stored.get("fusion")
        calibration = stored.get("calibration")
        return SearchDefaults(
            mode=RetrieveMode(stored["mode"]) if "mode" in stored else None,
            k=int(stored.get("k", 0)),
            fusion=None if fusion is None else _fusion(fusion),
            rerank=stored.get("rerank"),
            depth=int(stored.get("depth", 0)),
            reranker=str(stored.get("reranker", "")),
            reranker_revision=str(stored.get("reranker_revision", "")),
            calibration=(float(calibration[0]), float(calibration[1])) if calibration else None,
            blend=_number(stored, "blend"),
            min_score=_number(stored, "min_score"),
            answer_threshold=_number(stored, "answer_threshold"),
            truncation=Truncation(stored["truncation"]) if "truncation" in stored else None,
            query_truncation=(
                Overlong(stored["query_truncation"]) if "query_truncation" in stored else None
            ),
            chosen_by=str(stored.get("chosen_by", "")),
            set_time_us=int(stored.get("set_time_us", 0)),
        )
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise UnreadableSettingsError from error


def with_defaults(settings: str, defaults: SearchDefaults) -> str:
    """A collection's settings with other defaults; "" where nothing is left in them."""
    try:
        kept: dict[str, Any] = dict(json.loads(settings)) if settings else {}
    except (ValueError, TypeError):
        kept = {}
    kept.pop(_KEY, None)
    if not defaults.is_empty:
        kept[_KEY] = _written(defaults)
    return (
        json.dumps(kept, ensure_ascii=True, allow_nan=False, separators=(",", ":")) if kept else ""
    )


def usable_defaults(settings: str) -> SearchDefaults:
    """The defaults that searches use: none where they can't be read."""
    try:
        return read_defaults(settings)
    except UnreadableSettingsError:
        return NO_DEFAULTS


def _written(defaults: SearchDefaults) -> dict[str, Any]:
    fusion: dict[str, float] | None = None
    if isinstance(defaults.fusion, ReciprocalRankFusion):
        fusion = {"rrf_k": defaults.fusion.k}
    elif isinstance(defaults.fusion, ConvexFusion):
        fusion = {"alpha": defaults.fusion.alpha}
    stored = {
        name: getattr(defaults, name)
        for name in SearchDefaults.__dataclass_fields__
        if getattr(defaults, name) != getattr(NO_DEFAULTS, name)
    }
    for name in ("mode", "truncation", "query_truncation"):
        if name in stored:
            stored[name] = stored[name].value
    if fusion is not None:
        stored["fusion"] = fusion
    return stored


def _fusion(stored: Mapping[str, Any]) -> ReciprocalRankFusion | ConvexFusion:
    if "rrf_k" in stored:
        return ReciprocalRankFusion(int(stored["rrf_k"]))
    return ConvexFusion(float(stored["alpha"]))


def _number(stored: Mapping[str, Any], name: str) -> float | None:
    return float(stored[name]) if name in stored else None
