"""Feedback of collections: what came in is checked against what was shown, and kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from twopass.index.feedback import (
    Feedback,
    FeedbackKind,
    FeedbackPage,
    FeedbackStore,
    FeedbackTally,
    Selection,
)
from twopass.server.errors import FeedbackNotKeptError
from twopass.server.feedback.shown import ShownSearches
from twopass.server.feedback.sums import SumsStore
from twopass.server.feedback.types import Event, Refusal
from twopass.server.request import Request
from twopass.server.search.observing import Answered

# Feedback that a comparison reads at a time.
_PAGE_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class _Placed:
    """An event as it is kept, and the answer that it is about.

    Attributes:
        row: What is kept.
        search_id: The answer; "" where it is not known.
        text: The query, where it is to be kept.
    """

    row: Feedback
    search_id: str
    text: str


class FeedbackRecords:
    """What is kept of feedback; lives on the event loop.

    Attributes:
        store: Where it is kept; None where none is.
        sums: Where the sums of comparisons are kept; None where no feedback is.
        shown: What the last answers showed.
        on_feedback: Called with a collection and the ids of answers that have got feedback.
    """

    def __init__(
        self,
        store: FeedbackStore | None,
        sums: SumsStore | None,
        *,
        shown_bytes: int,
        keeps_texts: bool,
        why_not: str = "",
    ) -> None:
        """Takes where feedback is kept.

        Args:
            store: Where; None to keep nothing.
            sums: Where the sums of comparisons are kept.
            shown_bytes: Memory for what answers showed.
            keeps_texts: Whether queries are kept too, with the feedback on them.
            why_not: Where nothing is kept, why, and the way out.
        """
        self.store = store
        self.sums = sums
        self.shown = ShownSearches(shown_bytes if store is not None else 0)
        self.on_feedback: Callable[[str, Sequence[str]], None] = lambda _collection, _ids: None
        self.counts: dict[tuple[FeedbackKind, str], int] = {}
        self._names_answers = store is not None and shown_bytes > 0
        self._keeps_texts = keeps_texts
        self._why_not = why_not

    async def open(self) -> None:
        """Makes ready what keeps feedback.

        Raises:
            StorageError: It can't be read.
        """
        if self.store is not None:
            await self.store.open()

    def answered(self, answered: Answered) -> str:
        """Remembers what an answer shows; returns its id, "" where no feedback is kept."""
        if not self._names_answers:
            return ""
        query = answered.query
        return self.shown.add(
            str(answered.collection.name),
            [hit.document.id for hit in answered.hits],
            query_id=query.query_id,
            text=query.text if self._keeps_texts else "",
            offset=query.offset,
        )

    async def record(
        self, collection: str, events: Sequence[Event], request: Request
    ) -> dict[int, Refusal]:
        """Keeps clicks and judgements; they are on a disk when it returns.

        Args:
            collection: The collection's own name.
            events: What came in.
            request: The call.

        Returns:
            Why events are refused, by their places.

        Raises:
            FeedbackNotKeptError: The server keeps none.
            StorageError: The disk does not allow it; nothing is kept.
        """
        store = self._kept()
        found = [self._placed(collection, event) for event in events]
        refused = {i: one for i, one in enumerate(found) if isinstance(one, Refusal)}
        placed = [one for one in found if isinstance(one, _Placed)]
        if placed:
            texts = {one.row.query_id: one.text for one in placed if one.text}
            rows = [one.row for one in placed]
            await store.record(collection, rows, texts, request.stop)
            self.on_feedback(collection, self._answers(collection, placed))
        for event, one in zip(events, found, strict=True):
            outcome = one.name.lower() if isinstance(one, Refusal) else "recorded"
            self.counts[event.kind, outcome] = self.counts.get((event.kind, outcome), 0) + 1
        return refused

    async def page(
        self,
        collection: str,
        selection: Selection,
        after: tuple[str, str, int] | None,
        limit: int,
        request: Request,
    ) -> FeedbackPage:
        """A page of a collection's feedback; arguments as for `FeedbackStore.page`.

        Raises:
            FeedbackNotKeptError: The server keeps none.
            StorageError: It can't be read.
        """
        return await self._kept().page(collection, selection, after, limit, request.stop)

    async def delete(self, collection: str, selection: Selection, request: Request) -> int:
        """Deletes feedback, and forgets what was shown for its queries; returns how many rows.

        Raises:
            FeedbackNotKeptError: The server keeps none.
            StorageError: The disk does not allow it.
        """
        store = self._kept()
        self.shown.forget_queries(collection, selection.query_ids)
        return await store.delete(collection, selection, request.stop)

    async def tally(
        self, collection: str, selection: Selection, request: Request
    ) -> FeedbackTally | None:
        """Counts a collection's feedback; None where the server keeps none.

        Raises:
            StorageError: It can't be read.
        """
        if self.store is None:
            return None
        return await self.store.tally(collection, selection, request.stop)

    async def of_queries(
        self, collection: str, query_ids: Sequence[str]
    ) -> Mapping[str, Sequence[Feedback]]:
        """The feedback of some queries, by their ids; those without any are left out."""
        found: dict[str, list[Feedback]] = {}
        if self.store is None or not query_ids:
            return found
        wanted, last = Selection(query_ids=tuple(query_ids)), None
        while True:
            page = await self.store.page(collection, wanted, last, _PAGE_ROWS)
            for row in page.rows:
                found.setdefault(row.query_id, []).append(row)
            if not page.has_more:
                return found
            row = page.rows[-1]
            last = row.query_id, row.document_id, int(row.kind)

    async def collection_gone(self, collection: str) -> None:
        """Deletes the feedback of a collection that was deleted, or is about to be made anew."""
        self.shown.forget_collection(collection)
        if self.store is not None:
            await self.store.collection_gone(collection)
        if self.sums is not None:
            self.sums.rename(collection, None)

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Moves a collection's feedback to its new name."""
        self.shown.forget_collection(name)
        if self.store is not None:
            await self.store.collection_renamed(name, new_name)
        if self.sums is not None:
            self.sums.rename(name, new_name)

    async def close(self) -> None:
        """Closes what keeps feedback."""
        if self.store is not None:
            await self.store.close()

    def ensure_kept(self) -> None:
        """Makes sure that feedback is kept: without, answers have no id, and events can have none.

        Raises:
            FeedbackNotKeptError: The server keeps none; says why, and the way out.
        """
        self._kept()

    def _kept(self) -> FeedbackStore:
        if self.store is None:
            raise FeedbackNotKeptError(f"feedback: {self._why_not}")
        return self.store

    def _placed(self, collection: str, event: Event) -> "_Placed | Refusal":
        """An event with the query that it belongs to and the rank of its document."""
        search_id = event.search_id
        shown = self.shown.get(search_id) if search_id else None
        if shown is not None and shown.collection != collection:
            shown = None
        if shown is None and event.query_id:  # the last answer to the query tells rank and text
            search_id = self.shown.last_of_query(collection, event.query_id)
            shown = self.shown.get(search_id)
        if shown is None and not event.query_id:
            return Refusal.SEARCH_UNKNOWN
        rank = 0 if shown is None else shown.rank(event.document_id)
        is_own = shown is not None and search_id == event.search_id
        if is_own and event.kind is FeedbackKind.CLICK and rank == 0:
            return Refusal.NOT_SHOWN
        own = "" if shown is None else shown.query_id or search_id
        row = Feedback(
            query_id=own or event.query_id,
            document_id=event.document_id,
            kind=event.kind,
            grade=event.grade,
            time_us=event.time_us,
            rank=rank,
        )
        known = search_id if shown is not None else ""
        return _Placed(row, known, "" if shown is None else shown.text)

    def _answers(self, collection: str, placed: Sequence[_Placed]) -> list[str]:
        """Ids of the answers that feedback is about, as far as they are known."""
        found = {one.search_id: None for one in placed if one.search_id}
        for query_id in {one.row.query_id for one in placed}:
            found.update(dict.fromkeys(self.shown.of_query(collection, query_id)))
        return list(found)
