"""What requests ask of the order after the second pass, and what hits tell of it, as messages."""

import json
from typing import Any

from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import check_text
from twopass.server.search.arrangement import Arrangement, ArrangeSettings, ArrangeStatus
from twopass.server.search.collapse import (
    DEFAULT_LISTED,
    MAX_FIELD_BYTES,
    MAX_LISTED,
    MAX_PER_VALUE,
    CollapseReason,
    CollapseSettings,
)
from twopass.server.search.diversity import (
    DEFAULT_DEPTH,
    DEFAULT_WEIGHT,
    MAX_DEPTH,
    DiversitySettings,
)
from twopass.server.servicers.metadata import write_value
from twopass.v1 import arranging_pb2, search_pb2

_STATUS = {
    ArrangeStatus.NONE: arranging_pb2.ARRANGE_STATUS_UNSPECIFIED,
    ArrangeStatus.COMPLETE: arranging_pb2.ARRANGE_STATUS_COMPLETE,
    ArrangeStatus.SKIPPED_DEADLINE: arranging_pb2.ARRANGE_STATUS_SKIPPED_DEADLINE,
    ArrangeStatus.SKIPPED_OVERLOAD: arranging_pb2.ARRANGE_STATUS_SKIPPED_OVERLOAD,
    ArrangeStatus.FAILED: arranging_pb2.ARRANGE_STATUS_FAILED,
}
# Of a collapsed document as a message, without its id.
_DOCUMENT_BYTES = 20
_REASON = {
    CollapseReason.EQUAL_TEXT: arranging_pb2.COLLAPSE_REASON_EQUAL_TEXT,
    CollapseReason.NEAR_DUPLICATE: arranging_pb2.COLLAPSE_REASON_NEAR_DUPLICATE,
    CollapseReason.SAME_VALUE: arranging_pb2.COLLAPSE_REASON_SAME_VALUE,
}


def read_arrange(message: search_pb2.SearchRequest) -> ArrangeSettings | None:
    """Reads the fields `collapse` and `diversity` of a search; None where both are unset.

    Raises:
        InvalidRequestError: Names the field, the limit and the value.
    """
    collapse = _read_collapse(message.collapse) if message.HasField("collapse") else None
    diversity = _read_diversity(message.diversity) if message.HasField("diversity") else None
    if collapse is None and diversity is None:
        return None
    return ArrangeSettings(collapse=collapse, diversity=diversity)


def arrange_status(status: ArrangeStatus) -> Any:
    """What became of it, as the contract says it."""
    return _STATUS[status]


def add_arrangement(arrangement: Arrangement, message: search_pb2.SearchHit) -> None:
    """Adds what a hit tells of its place."""
    if arrangement.diversity_score is not None:
        message.diversity_score = arrangement.diversity_score
    if arrangement.num_collapsed == 0 and arrangement.value is None:
        return
    message.collapsed.count = arrangement.num_collapsed
    for each in arrangement.collapsed:
        message.collapsed.documents.add(
            id=each.id, reason=_REASON[each.reason], similarity=each.similarity, score=each.score
        )
    if arrangement.value is not None:
        write_value(arrangement.value, message.collapsed.value)


def arrangement_bytes(arrangement: Arrangement) -> int:
    """Estimated size of what a hit tells of its place."""
    value = arrangement.value
    of_value = len(json.dumps(value)) if isinstance(value, str | list | dict) else 0
    return of_value + sum(_DOCUMENT_BYTES + len(each.id) for each in arrangement.collapsed)


def _read_collapse(options: arranging_pb2.Collapse) -> CollapseSettings:
    check_text("collapse.field", options.field, MAX_FIELD_BYTES)
    similarity = options.similarity if options.HasField("similarity") else None
    if similarity is None and not options.equal_text and not options.field:
        raise InvalidRequestError(
            "collapse: nothing in it says what collapses; give similarity, equal_text or field"
        )
    if similarity is not None and not 0 < similarity <= 1:
        raise InvalidRequestError(
            f"collapse.similarity: {similarity:g} given, more than 0 and at most 1 is needed",
            limit=1,
            value=similarity,
        )
    if options.max_per_value and not options.field:
        raise InvalidRequestError(
            f"collapse.max_per_value: {options.max_per_value:,} given, but collapse.field is "
            "empty; name the field whose values count",
            value=options.max_per_value,
        )
    return CollapseSettings(
        similarity=similarity,
        equal_text=options.equal_text,
        field=options.field,
        max_per_value=_read_between(
            "collapse.max_per_value", options.max_per_value or 1, MAX_PER_VALUE
        ),
        max_listed=_read_between(
            "collapse.max_listed", options.max_listed or DEFAULT_LISTED, MAX_LISTED
        ),
    )


def _read_diversity(options: arranging_pb2.Diversity) -> DiversitySettings:
    weight = DEFAULT_WEIGHT
    if options.HasField("relevance_weight"):
        weight = options.relevance_weight
    if not 0 <= weight <= 1:
        raise InvalidRequestError(
            f"diversity.relevance_weight: {weight:g} given, 0 to 1 is needed", limit=1, value=weight
        )
    depth = _read_between("diversity.depth", options.depth or DEFAULT_DEPTH, MAX_DEPTH)
    return DiversitySettings(relevance_weight=weight, depth=depth)


def _read_between(field: str, value: int, most: int) -> int:
    if not 1 <= value <= most:
        raise InvalidRequestError(
            f"{field}: {value:,} given, 1 to {most:,} is needed", limit=most, value=value
        )
    return value
