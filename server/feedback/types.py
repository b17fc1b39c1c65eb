"""Clicks and judgements as they come in and as they are kept."""

from dataclasses import dataclass
from enum import IntEnum


class FeedbackKind(IntEnum):
    """What a piece of feedback is; the numbers are those on the disk."""

    CLICK = 1
    JUDGEMENT = 2


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """A click or judgement as it is kept.

    Attributes:
        query_id: The query, by the caller's key or the id of its one search.
        document_id: The document.
        kind: Click or judgement.
        grade: 1 for a click.
        time_us: When it was given, microseconds since 1970.
        rank: At which rank the document was shown, from 1; 0 where it was not or is not known.
        query: The query's text; "" where it is not kept.
    """

    query_id: str
    document_id: str
    kind: FeedbackKind
    grade: int
    time_us: int
    rank: int = 0
    query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which feedback of a collection is meant: what fits all of it.

    Attributes:
        query_ids: Only of these queries; empty for all.
        kind: Only this kind; None for both.
        start_us: Only what was given then or later, microseconds since 1970; None from the first.
        end_us: Only what was given before; None to the last.
    """

    query_ids: tuple[str, ...] = ()
    kind: FeedbackKind | None = None
    start_us: int | None = None
    end_us: int | None = None


@dataclass(frozen=True, slots=True)
class FeedbackPage:
    """Some feedback of a collection.

    Attributes:
        rows: Ordered by query, document and kind.
        has_more: Whether more follow.
    """

    rows: list[Feedback]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedbackTally:
    """How much feedback a collection has, and what it says in a sentence.

    Attributes:
        num_clicks: Clicks.
        num_clicked_queries: Queries with a click.
        num_ranked_clicks: Clicks whose rank is known.
        num_first_clicks: Clicks on the first hit.
        sum_reciprocal_ranks: Of the clicks whose rank is known.
        num_judgements: Judgements.
        num_judged_queries: Queries with a judgement.
        num_relevant: Judgements with a grade above 0.
    """

    num_clicks: int = 0
    num_clicked_queries: int = 0
    num_ranked_clicks: int = 0
    num_first_clicks: int = 0
    sum_reciprocal_ranks: float = 0.0
    num_judgements: int = 0
    num_judged_queries: int = 0
    num_relevant: int = 0
