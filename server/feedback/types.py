"""Clicks and judgements as they come in."""

from dataclasses import dataclass
from enum import IntEnum

from twopass.index.feedback import FeedbackKind


class Refusal(IntEnum):
    """Why an event is not recorded."""

    SEARCH_UNKNOWN = 1
    NOT_SHOWN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A click or judgement as a caller sends it.

    Attributes:
        search_id: Of the answer that showed the document; "" where the caller names the query.
        query_id: The caller's key of the query; "" where the search has it.
        document_id: The document.
        kind: Click or judgement.
        grade: 1 for a click, else 0 to 100.
        time_us: When it was given, microseconds since 1970.
    """

    search_id: str
    query_id: str
    document_id: str
    kind: FeedbackKind
    grade: int
    time_us: int
