"""The store's collections as calls use them: in the caller's name, until the call ends."""

from collections.abc import Callable, Sequence
from typing import Protocol

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.base.collection import Collection
from twopass.index.base.store import SnapshotStore, Store
from twopass.index.errors import UnsupportedByStoreError
from twopass.index.schema import CollectionSchema
from twopass.index.snapshot import Snapshot
from twopass.index.summary import CollectionSummary
from twopass.server.request import Request


class Follower(Protocol):
    """Keeps something beside collections, which goes and moves with them."""

    async def collection_gone(self, collection: str) -> None:
        """Drops what is kept of a name: its collection was deleted, or a new one has it."""

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Keeps under its new name what belongs to a collection."""


class Collections:
    """Finds, makes, copies, renames and deletes collections for requests.

    Every method raises what the method of `Store` behind it raises, and `StoppedError` when its
    request is closed or past its deadline. A change that has begun is completed all the same.
    """

    def __init__(
        self,
        store: Store,
        follower: Follower | None = None,
        *,
        on_delete: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Takes the store.

        Args:
            store: Keeps the collections.
            follower: Keeps something beside them; None for nobody.
            on_delete: Called with the name of each collection that was deleted.
        """
        self._store = store
        self._follower = follower
        self._on_delete = on_delete

    @property
    def default_index_kind(self) -> str:
        """The index kind of collections whose schema names none."""
        return self._store.default_index_kind

    async def acquire(self, name: str, request: Request) -> Collection:
        """Returns a collection that stays usable until the request is closed.

        Args:
            name: Its name or an alias.
            request: The request that uses it.
        """
        lease = await self._store.acquire(name, request.stop)
        request.on_close(lease.release)
        return lease.collection

    async def summary(self, name: str, request: Request) -> CollectionSummary:
        """Describes a collection, given by its name or an alias."""
        return await self._store.summary(name, request.stop)

    async def summaries(
        self, request: Request, *, after: str = "", limit: int | None = None
    ) -> Sequence[CollectionSummary]:
        """Describes collections that can be read and that the caller may use, by name.

        Args:
            request: The request that lists them.
            after: Only collections whose names sort after this one.
            limit: Most collections; None for all.
        """
        return await self._store.summaries(
            request.caller.may_use, after=after, limit=limit, stop=request.stop
        )

    async def create(
        self, name: str, schema: CollectionSchema, request: Request
    ) -> CollectionSummary:
        """Creates an empty collection."""
        created = await self._store.create(name, schema, request.stop)
        await self._gone(name)
        return created

    async def delete(self, name: str, request: Request) -> None:
        """Deletes a collection for good."""
        await self._store.delete(name, request.stop)
        self._on_delete(name)
        await self._gone(name)

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool, request: Request
    ) -> CollectionSummary | None:
        """Gives a collection another name.

        Returns:
            Its description; None where it can't be read, or was renamed or deleted since.
        """
        renamed = await self._store.rename(name, new_name, keep_alias=keep_alias, stop=request.stop)
        if self._follower is not None:
            await self._follower.collection_renamed(name, new_name)
        return renamed

    async def change_settings(
        self, name: str, change: Callable[[str], str], request: Request
    ) -> CollectionSummary:
        """Replaces what the server keeps with a collection, durably; describes it then.

        Args:
            name: Its name or an alias.
            change: Makes the new settings of the old.
            request: The request that changes them.
        """
        collection = await self.acquire(name, request)
        await collection.set_settings(change(collection.settings), request.stop)
        return await collection.summary(request.stop)

    async def aliases(self, request: Request) -> Aliases:
        """The current aliases."""
        return await self._store.aliases(request.stop)

    async def update_aliases(self, changes: Sequence[AliasChange], request: Request) -> Aliases:
        """Makes, switches and removes aliases, all or none; returns the resulting aliases."""
        return await self._store.update_aliases(
            changes, request.caller.ensure_may_use, request.stop
        )

    async def create_snapshot(self, collection: str, name: str, request: Request) -> Snapshot:
        """Copies a collection as it is now; an empty `name` becomes the date and time."""
        return await self._snapshots.create_snapshot(collection, name, request.stop)

    async def list_snapshots(self, collection: str, request: Request) -> tuple[Snapshot, ...]:
        """Returns the snapshots of a collection, oldest first."""
        return await self._snapshots.list_snapshots(collection, request.stop)

    async def delete_snapshot(self, collection: str, name: str, request: Request) -> None:
        """Deletes a snapshot for good."""
        await self._snapshots.delete_snapshot(collection, name, request.stop)

    async def restore(
        self, collection: str, snapshot: str, name: str, request: Request
    ) -> CollectionSummary:
        """Restores a snapshot into a new collection."""
        restored = await self._snapshots.restore(collection, snapshot, name, request.stop)
        await self._gone(name)
        return restored

    async def _gone(self, name: str) -> None:
        if self._follower is not None:
            await self._follower.collection_gone(name)

    @property
    def _snapshots(self) -> SnapshotStore:
        if not isinstance(self._store, SnapshotStore):
            raise UnsupportedByStoreError(
                self._store.kind,
                "snapshots",
                "back the store up by its own means, or write the documents into files with "
                "`twopass export`",
            )
        return self._store
