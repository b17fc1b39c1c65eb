"""The collections of a data folder as calls use them: nothing here blocks the event loop."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.base.collection import Lease
from twopass.index.base.store import StoreCounts
from twopass.index.device_use import DeviceUse
from twopass.index.errors import CollectionNotFoundError, StorageError
from twopass.index.lanes import Lane, Lanes, wait_for
from twopass.index.schema import CollectionSchema
from twopass.index.snapshot import Snapshot
from twopass.index.sqlite.collection import SqliteCollection
from twopass.index.stopping import NEVER, Stop
from twopass.index.store.store import CollectionStore
from twopass.index.summary import CollectionSummary
from twopass.index.vectors.gpu_device import USAGE


class SqliteStore:
    """Finds, makes, copies, renames and deletes collections, each in the lane of its kind.

    Every method raises what the method of `CollectionStore` behind it raises, and `StoppedError`
    when its stop is set. A change that has begun is completed all the same.

    Attributes:
        folder: The collections, to be used from threads that may block.
    """

    kind = "sqlite"
    default_index_kind = "Flat"
    problem = ""

    def __init__(self, folder: CollectionStore, lanes: Lanes, encoding: Lane) -> None:
        """Takes what does the work.

        Args:
            folder: The collections; closed with this store.
            lanes: Lanes for what blocks.
            encoding: A lane of one thread, in which documents are encoded.
        """
        self.folder = folder
        self._lanes = lanes
        self._encoding = encoding

    @property
    def place(self) -> str:
        """The data folder."""
        return str(self.folder.path)

    async def start(self) -> None:
        """Opens as many collections as may be open; what has begun is completed."""
        opening = asyncio.ensure_future(asyncio.to_thread(self.folder.open_first))
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            with suppress(Exception):
                await opening
            raise

    async def close(self) -> None:
        """Finishes what was submitted, closes all collections, releases the folder."""
        self.folder.close()

    @property
    def device_use(self) -> DeviceUse:
        """What the vectors of all stores of this process have had of a GPU."""
        return USAGE.now

    def counts(self) -> StoreCounts:
        """What the folder holds, as far as is known."""
        folder = self.folder
        names = folder.names
        return StoreCounts(
            summaries=[found for name in names if (found := self._known(name)) is not None],
            num_known=len(names),
            num_open=folder.opened.num_open,
            num_failed=len(folder.failed),
            num_opened=folder.opened.num_opened,
            num_closed=folder.opened.num_closed,
        )

    def _known(self, name: str) -> CollectionSummary | None:
        try:
            return self.folder.known_summary(name)
        except CollectionNotFoundError:  # it was deleted meanwhile
            return None

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        """Returns a collection that stays open until the lease is released.

        Opens it if need be; calls that want the same collection share one opening.

        Args:
            name: Its name or an alias.
            stop: Ends the waiting.

        Raises:
            CollectionNotFoundError: No collection has that name.
            CollectionsInUseError: All collections that may be open at once are in use.
            StorageError: The collection can't be opened; says why.
            StoppedError: The stop was set first.
        """
        while True:
            pin = self.folder.pin(name)
            try:
                collection = pin.collection
                if collection is None:
                    collection = await wait_for(pin.opening, stop)
            except CollectionNotFoundError:
                # It was deleted meanwhile; an alias may stand for another collection now.
                pin.release()
            except BaseException:
                pin.release()
                raise
            else:
                return Lease(SqliteCollection(collection, self._lanes, self._encoding), pin.release)

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        """Describes a collection, given by its name or an alias, without opening it."""
        if (summary := self.folder.known_summary(name)) is not None:
            return summary
        if (opening := self.folder.opening(name)) is not None:
            # It may take minutes, in which no thread of a lane waits for it.
            return (await wait_for(opening, stop)).summary()
        return await self._lanes.reads.run(self.folder.summary, name, stop=stop)

    async def summaries(
        self,
        may_use: Callable[[str], bool],
        *,
        after: str = "",
        limit: int | None = None,
        stop: Stop = NEVER,
    ) -> Sequence[CollectionSummary]:
        """Describes collections that can be read and may be used, by name."""
        # Not where searches work: of a collection that is being opened it waits for the end.
        return await self._lanes.pages.run(self._summaries, may_use, after, limit, stop, stop=stop)

    def _summaries(
        self, may_use: Callable[[str], bool], after: str, limit: int | None, stop: Stop
    ) -> list[CollectionSummary]:
        names = (name for name in self.folder.names if name > after and may_use(name))
        return self.folder.summaries(islice(names, limit), stop)

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Creates an empty collection."""
        created = await self._lanes.writes.run(self.folder.create, name, schema, stop=stop)
        return created.summary()

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        """Deletes a collection for good."""
        await self._lanes.maintenance.run(self.folder.delete, name, stop=stop)

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary | None:
        """Gives a collection another name."""
        rename = partial(self.folder.rename, name, new_name, keep_alias=keep_alias)
        await self._lanes.writes.run(rename, stop=stop)
        try:
            return await self.summary(new_name, stop)
        except (CollectionNotFoundError, StorageError):
            return None

    async def aliases(self, stop: Stop = NEVER) -> Aliases:  # noqa: ARG002  # in memory
        """All aliases."""
        return self.folder.aliases

    async def update_aliases(
        self,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
        stop: Stop = NEVER,
    ) -> Aliases:
        """Makes, switches and removes aliases, all or none."""
        return await self._lanes.writes.run(
            self.folder.update_aliases, changes, ensure_may_use, stop=stop
        )

    async def create_snapshot(
        self, collection: str, name: str = "", stop: Stop = NEVER
    ) -> Snapshot:
        """Copies a collection as it is now."""
        lease = await self.acquire(collection, stop)  # its opening takes no turn of other snapshots
        try:
            return await self._lanes.snapshots.run(
                self.folder.create_snapshot, collection, name, stop, stop=stop
            )
        finally:
            lease.release()

    async def list_snapshots(self, collection: str, stop: Stop = NEVER) -> tuple[Snapshot, ...]:
        """Returns the snapshots of a collection, oldest first."""
        return await self._lanes.reads.run(self.folder.snapshots.list, collection, stop=stop)

    async def delete_snapshot(self, collection: str, name: str, stop: Stop = NEVER) -> None:
        """Deletes a snapshot for good."""
        await self._lanes.maintenance.run(self.folder.snapshots.delete, collection, name, stop=stop)

    async def restore(
        self, collection: str, snapshot: str, name: str, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Restores a snapshot into a new collection."""
        restored = await self._lanes.snapshots.run(
            self.folder.restore, collection, snapshot, name, stop, stop=stop
        )
        return restored.summary()
