"""Feedback in the data folder: its file, asked in a thread, so that the event loop never waits."""

from collections.abc import Mapping, Sequence

from twopass.index.feedback import Feedback, FeedbackPage, FeedbackTally, Selection
from twopass.index.lanes import Lane
from twopass.index.stopping import NEVER, Stop
from twopass.server.feedback.database import FeedbackDatabase
from twopass.server.feedback.sums import Seen, StoredSums


class FeedbackInFolder:
    """The file as a `FeedbackStore`, and as a `SumsStore`."""

    def __init__(self, database: FeedbackDatabase, lane: Lane) -> None:
        """Takes the file, and the lane of one thread that uses it."""
        self._database = database
        self._lane = lane

    @property
    def num_rows(self) -> int:
        """Clicks and judgements in the file, as far as is known without opening it."""
        return self._database.num_rows

    async def open(self) -> None:
        """Opens the file where there is one."""
        await self._lane.run(self._database.open)

    async def record(
        self,
        collection: str,
        rows: Sequence[Feedback],
        texts: Mapping[str, str],
        stop: Stop = NEVER,
    ) -> None:
        """Writes clicks and judgements."""
        await self._lane.run(self._database.record, collection, rows, texts, stop=stop)

    async def page(
        self,
        collection: str,
        selection: Selection,
        after: tuple[str, str, int] | None,
        limit: int,
        stop: Stop = NEVER,
    ) -> FeedbackPage:
        """Reads a page of a collection's feedback."""
        return await self._lane.run(
            self._database.page, collection, selection, after, limit, stop=stop
        )

    async def tally(
        self, collection: str, selection: Selection, stop: Stop = NEVER
    ) -> FeedbackTally:
        """Counts a collection's feedback."""
        return await self._lane.run(self._database.tally, collection, selection, stop=stop)

    async def delete(self, collection: str, selection: Selection, stop: Stop = NEVER) -> int:
        """Deletes feedback, in the file and its log."""
        return await self._lane.run(self._database.delete, collection, selection, stop=stop)

    async def collection_gone(self, collection: str) -> None:
        """Deletes all that is kept for a collection, sums of comparisons included."""
        await self._lane.run(self._database.delete_collection, collection, stop=NEVER)

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Moves all that is kept for a collection to its new name."""
        await self._lane.run(self._database.rename_collection, name, new_name, stop=NEVER)

    async def read_sums(self) -> StoredSums:
        """The sums that were written last."""
        return await self._lane.run(self._database.read_sums)

    async def not_seen(self, wanted: Sequence[Seen]) -> list[Seen]:
        """Those of `wanted` that were not compared before."""
        return await self._lane.run(self._database.not_seen, wanted)

    async def write_sums(
        self,
        sums: Mapping[tuple[str, str], tuple[str, str]],
        seen: Sequence[Seen],
        *,
        restarted: Sequence[str] = (),
    ) -> None:
        """Writes the sums of comparisons, and what is in them."""
        await self._lane.run(self._write_sums, sums, seen, restarted)

    def _write_sums(
        self,
        sums: Mapping[tuple[str, str], tuple[str, str]],
        seen: Sequence[Seen],
        restarted: Sequence[str],
    ) -> None:
        self._database.write_sums(sums, seen, restarted=restarted)

    def rename(self, collection: str, new_name: str | None) -> None:
        """Does nothing: what was seen goes and moves with the collection's feedback."""

    async def close(self) -> None:
        """Closes the file."""
        await self._lane.run(self._database.close, stop=NEVER)
