"""The store's collections as calls use them: nothing here blocks the event loop."""

from collections.abc import Sequence
from functools import partial
from itertools import islice

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.collection.collection import Collection
from twopass.index.errors import CollectionNotFoundError, StorageError
from twopass.index.lanes import Lanes, wait_for
from twopass.index.schema import CollectionSchema
from twopass.index.snapshot import Snapshot
from twopass.index.stopping import Stop
from twopass.index.store.store import CollectionStore
from twopass.index.summary import CollectionSummary
from twopass.server.request import Caller, Request


class Collections:
    """Finds, makes, copies, renames and deletes collections, each in the lane of its kind.

    Every method raises what the method of `CollectionStore` behind it raises, and `StoppedError`
    when its request is closed or past its deadline. A change that has begun is completed all the
    same.
    """

    def __init__(self, store: CollectionStore, lanes: Lanes) -> None:
        self._store = store
        self._lanes = lanes

    @property
    def aliases(self) -> Aliases:
        """The current aliases."""
        return self._store.aliases

    async def acquire(self, name: str, request: Request) -> Collection:
        """Returns a collection that stays open until the request is closed.

        Opens it if need be; calls that want the same collection share one opening.

        Args:
            name: Its name or an alias.
            request: The request that uses it.

        Raises:
            CollectionNotFoundError: No collection has that name.
            CollectionsInUseError: All collections that may be open at once are in use.
            StorageError: The collection can't be opened; says why.
            StoppedError: The request ended first.
        """
        while True:
            pin = self._store.pin(name)
            request.on_close(pin.release)
            if pin.collection is not None:
                return pin.collection
            try:
                return await wait_for(pin.opening, request.stop)
            except CollectionNotFoundError:
                # It was deleted meanwhile; an alias may stand for another collection now.
                continue

    async def summary(self, name: str, request: Request) -> CollectionSummary:
        """Describes a collection, given by its name or an alias, without opening it."""
        if (summary := self._store.known_summary(name)) is not None:
            return summary
        if (opening := self._store.opening(name)) is not None:
            # It may take minutes, in which no thread of a lane waits for it.
            return (await wait_for(opening, request.stop)).summary()
        return await self._lanes.reads.run(self._store.summary, name, stop=request.stop)

    async def summaries(
        self, request: Request, *, after: str = "", limit: int | None = None
    ) -> Sequence[CollectionSummary]:
        """Describes collections that can be read and that the caller may use, by name.

        Args:
            request: The request that lists them.
            after: Only collections whose names sort after this one.
            limit: Most collections; None for all.
        """
        # Not where searches work: of a collection that is being opened it waits for the end.
        return await self._lanes.pages.run(
            self._summaries, request.caller, after, limit, request.stop, stop=request.stop
        )

    def _summaries(
        self, caller: Caller, after: str, limit: int | None, stop: Stop
    ) -> list[CollectionSummary]:
        names = (name for name in self._store.names if name > after and caller.may_use(name))
        return self._store.summaries(islice(names, limit), stop)

    async def create(
        self, name: str, schema: CollectionSchema, request: Request
    ) -> CollectionSummary:
        """Creates an empty collection."""
        created = await self._lanes.writes.run(self._store.create, name, schema, stop=request.stop)
        return created.summary()

    async def delete(self, name: str, request: Request) -> None:
        """Deletes a collection for good."""
        await self._lanes.maintenance.run(self._store.delete, name, stop=request.stop)

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool, request: Request
    ) -> CollectionSummary | None:
        """Gives a collection another name.

        Returns:
            Its description; None where it can't be opened, or was renamed or deleted since.
        """
        rename = partial(self._store.rename, name, new_name, keep_alias=keep_alias)
        await self._lanes.writes.run(rename, stop=request.stop)
        try:
            return await self.summary(new_name, request)
        except (CollectionNotFoundError, StorageError):
            return None

    async def update_aliases(self, changes: Sequence[AliasChange], request: Request) -> Aliases:
        """Makes, switches and removes aliases, all or none; returns the resulting aliases."""
        return await self._lanes.writes.run(
            self._store.update_aliases, changes, request.caller.ensure_may_use, stop=request.stop
        )

    async def create_snapshot(self, collection: str, name: str, request: Request) -> Snapshot:
        """Copies a collection as it is now; an empty `name` becomes the date and time."""
        await self.acquire(collection, request)  # its opening takes no turn of other snapshots
        return await self._lanes.snapshots.run(
            self._store.create_snapshot, collection, name, request.stop, stop=request.stop
        )

    async def list_snapshots(self, collection: str, request: Request) -> tuple[Snapshot, ...]:
        """Returns the snapshots of a collection, oldest first."""
        return await self._lanes.reads.run(
            self._store.snapshots.list, collection, stop=request.stop
        )

    async def delete_snapshot(self, collection: str, name: str, request: Request) -> None:
        """Deletes a snapshot for good."""
        await self._lanes.maintenance.run(
            self._store.snapshots.delete, collection, name, stop=request.stop
        )

    async def restore(
        self, collection: str, snapshot: str, name: str, request: Request
    ) -> CollectionSummary:
        """Restores a snapshot into a new collection."""
        restored = await self._lanes.snapshots.run(
            self._store.restore, collection, snapshot, name, request.stop, stop=request.stop
        )
        return restored.summary()
