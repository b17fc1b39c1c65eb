"""Clicks and judgements as they are kept, and what keeps them: a file of the server, or a store.

A store on other machines may keep them beside its collections, for all servers on it: it is then a
`FeedbackStoreMaker`. Texts of queries are apart from the rest, and there alone
where they are handed over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from twopass.index.stopping import NEVER, Stop


class FeedbackKind(IntEnum):
    """What a piece of feedback is; the numbers are those on the disk."""

    CLICK = 1
    JUDGEMENT = 2


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


class FeedbackStore(Protocol):
    """Keeps the feedback of collections, by their own names; called on the event loop.

    What a method changes is durable when it returns. What can't be done raises `StorageError`,
    `StoreUnreachableError` where another try may succeed, and `StoppedError` where the stop was set
    before anything was done.
    """

    @property
    def num_rows(self) -> int:
        """Clicks and judgements that are kept, as far as is known without asking."""

    async def open(self) -> None:
        """Makes ready; idempotent. What does not answer now is asked again when it is needed."""

    async def record(
        self,
        collection: str,
        rows: Sequence[Feedback],
        texts: Mapping[str, str],
        stop: Stop = NEVER,
    ) -> None:
        """Writes clicks and judgements; of the same query, document and kind the last one stays.

        Its rank stays the greater of both, since 0 stands for one that is not known.

        Args:
            collection: The collection.
            rows: What to write; the text in them is not.
            texts: Texts of queries by their ids.
            stop: Ends the writing before it has begun.
        """

    async def page(
        self,
        collection: str,
        selection: Selection,
        after: tuple[str, str, int] | None,
        limit: int,
        stop: Stop = NEVER,
    ) -> FeedbackPage:
        """Reads a page of a collection's feedback, ordered by query, document and kind.

        Args:
            collection: The collection.
            selection: Which feedback.
            after: Query, document and kind of the last row of the page before; None for the first.
            limit: Most rows.
            stop: Ends the reading.
        """

    async def tally(
        self, collection: str, selection: Selection, stop: Stop = NEVER
    ) -> FeedbackTally:
        """Counts a collection's feedback."""

    async def delete(self, collection: str, selection: Selection, stop: Stop = NEVER) -> int:
        """Deletes feedback for good, and texts of queries without any; returns how many rows."""

    async def collection_gone(self, collection: str) -> None:
        """Deletes the feedback of a collection that was deleted, if it has not gone with it."""

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Moves the feedback of a collection to its new name, if it has not moved with it."""

    async def close(self) -> None:
        """Ends; idempotent."""
