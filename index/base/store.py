"""What a store is to the server: collections by name, and what some stores can do beside it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.base.collection import Lease
from twopass.index.device_use import DeviceUse
from twopass.index.feedback import FeedbackStore
from twopass.index.schema import CollectionSchema
from twopass.index.snapshot import Snapshot
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary


class Store(Protocol):
    """Collections by name. A name that a method takes may be an alias, unless it says otherwise.

    The class of a store on other machines takes the store's URL alone: `PostgresStore(url)` in
    `index/postgres/store.py`, `MilvusStore(url)` in `index/milvus/store.py`. It raises `ValueError`
    where the URL is malformed, names the part and never a password, and connects in `start`.
    """

    @property
    def kind(self) -> str:
        """What it is, for messages and metrics: "sqlite", "postgresql", "milvus"."""

    @property
    def place(self) -> str:
        """Where it is, for logs and messages: a folder, or a URL without its password."""

    @property
    def default_index_kind(self) -> str:
        """The index kind of collections whose schema names none."""

    @property
    def problem(self) -> str:
        """Why the store can't be used now, for operators; "" as far as is known."""

    async def start(self) -> None:
        """Makes the store ready: connects, and brings what it finds to the current format.

        A store that does not answer now is no error: it connects when it can, `problem` says so
        meanwhile, and calls raise `StoreUnreachableError`.

        Raises:
            StorageError: What it finds can't be used, or it does not let this server in.
        """

    async def close(self) -> None:
        """Finishes what was submitted, then releases everything. Idempotent."""

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        """Returns a collection, which stays usable until the lease is released."""

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        """Describes a collection."""

    async def summaries(
        self,
        may_use: Callable[[str], bool],
        *,
        after: str = "",
        limit: int | None = None,
        stop: Stop = NEVER,
    ) -> Sequence[CollectionSummary]:
        """Describes collections, by name; leaves out those that can't be read.

        Args:
            may_use: Tells of a collection's own name whether to describe it.
            after: Only collections whose names sort after this one, by code points.
            limit: Most collections; None for all.
            stop: Ends the reading.
        """

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Creates an empty collection: after a crash it is there whole, or not at all.

        Raises:
            InvalidSchemaError: The name is not a valid collection name, or the store has no such
                index kind; the message lists those it has.
            UnsupportedByStoreError: The store can't do what another field of the schema asks for.
            CollectionExistsError: The name is taken.
            AliasExistsError: The name is an alias.
        """

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        """Deletes a collection for good, by its own name.

        Calls that use it meanwhile end with `CollectionClosedError`.

        Raises:
            CollectionAliasedError: The collection has aliases; `name` may be one of them.
        """

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary | None:
        """Gives a collection another name: after a crash it has either name, and its aliases.

        Calls that use it go on with it. Its aliases stay its own, and its sequences stay valid.

        Args:
            name: Its own name, not an alias.
            new_name: The name that it gets. An alias of this very collection may be it, and is then
                no alias any more.
            keep_alias: Whether `name` is an alias of it from then on, with no moment between.
            stop: Ends the call before the change.

        Returns:
            Its description; None where it can't be read, or was renamed or deleted since.

        Raises:
            InvalidSchemaError: The new name is not a valid collection name.
            InvalidRenameError: `name` is an alias, or the new name is the collection's already.
            CollectionExistsError: Another collection has the new name.
            AliasExistsError: The new name is an alias of another collection.
            InvalidAliasError: There would be too many aliases.
        """

    async def aliases(self, stop: Stop = NEVER) -> Aliases:
        """All aliases."""

    async def update_aliases(
        self,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
        stop: Stop = NEVER,
    ) -> Aliases:
        """Creates, switches and removes aliases, all or none, durably.

        Args:
            changes: The changes, each of a different alias; none changes nothing.
            ensure_may_use: Called with each collection that a changed alias has stood for; raises
                where the caller may not use it.
            stop: Ends the call before the change.

        Returns:
            All aliases after the changes.

        Raises:
            InvalidSchemaError: An alias is not a valid name.
            InvalidAliasError: An alias would stand for another alias or is changed twice, or there
                would be too many aliases.
            AliasNameTakenError: An alias has the name of a collection.
        """


@runtime_checkable
class FeedbackStoreMaker(Protocol):
    """A store that keeps the feedback on its collections too, for all servers on it.

    Feedback goes and moves with its collection, in the same step.
    """

    def feedback(self, *, max_rows: int, max_days: int) -> FeedbackStore:
        """What keeps it; asks nothing yet.

        Args:
            max_rows: Most clicks and judgements that are kept; the oldest leave.
            max_days: Days after which they are deleted; 0 for never.
        """


@runtime_checkable
class SnapshotStore(Protocol):
    """A store that keeps copies of collections, also of deleted ones."""

    async def create_snapshot(
        self, collection: str, name: str = "", stop: Stop = NEVER
    ) -> Snapshot:
        """Copies a collection as it is now; an empty `name` becomes the date and time.

        Raises:
            InvalidSchemaError: The name is not a valid name.
            SnapshotExistsError: The collection has a snapshot of that name.
        """

    async def list_snapshots(self, collection: str, stop: Stop = NEVER) -> tuple[Snapshot, ...]:
        """Returns the snapshots of a collection, given by its own name, oldest first."""

    async def delete_snapshot(self, collection: str, name: str, stop: Stop = NEVER) -> None:
        """Deletes a snapshot for good.

        Raises:
            SnapshotNotFoundError: The collection has no snapshot of that name.
        """

    async def restore(
        self, collection: str, snapshot: str, name: str, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Makes a new collection of a snapshot.

        Args:
            collection: The name of the snapshot's collection.
            snapshot: The snapshot's name.
            name: The name of the new collection.
            stop: Ends the copying, and leaves nothing behind.

        Raises:
            InvalidSchemaError: The name is not a valid collection name.
            CollectionExistsError: The name is taken.
            AliasExistsError: The name is an alias.
            SnapshotNotFoundError: The collection has no snapshot of that name.
            SnapshotDamagedError: The snapshot is not what it was when it was made.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """What a store holds, as far as is known without asking it.

    Attributes:
        summaries: The collections described lately.
        num_known: Collections in all.
        num_open: Those that are open.
        num_failed: Those that could not be opened.
        num_opened: How often a collection has been opened since the start.
        num_closed: How often one has been closed to make room.
    """

    summaries: Sequence[CollectionSummary] = field(default=())
    num_known: int = 0
    num_open: int = 0
    num_failed: int = 0
    num_opened: int = 0
    num_closed: int = 0


@runtime_checkable
class InspectableStore(Protocol):
    """A store that knows without a round trip what it holds."""

    def counts(self) -> StoreCounts:
        """What it holds now. Takes no time; may be called from any thread."""


@runtime_checkable
class DeviceSearchingStore(Protocol):
    """A store whose vectors a GPU of this machine may search."""

    @property
    def device_use(self) -> DeviceUse:
        """What it has had of the GPU since the process began."""


def device_use(store: Store) -> DeviceUse:
    """What a store has had of a GPU; nothing where it has no such vectors."""
    return store.device_use if isinstance(store, DeviceSearchingStore) else DeviceUse()
