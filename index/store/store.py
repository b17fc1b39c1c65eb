"""All collections of a data folder."""

import dataclasses
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TypeVar

from twopass.index.aliases import AliasChange, Aliases
from twopass.index.collection.collection import Collection
from twopass.index.collection.opening import CurrentRevision, open_collection, read_summary
from twopass.index.errors import CollectionClosedError, CollectionNotFoundError, StorageError
from twopass.index.folders import lock_folder, os_errors, sync_folder
from twopass.index.kinds import IndexKind
from twopass.index.lanes import Lanes
from twopass.index.rows.database import begin_new_life, create_database
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.snapshot import Snapshot
from twopass.index.stopping import NEVER, Stop
from twopass.index.store.known import KnownCollection
from twopass.index.store.names import CollectionNames
from twopass.index.store.names_file import StoredNames, read_names, write_names
from twopass.index.store.opened import OpenCollections, Pin
from twopass.index.store.places import Places, folders_in, settle
from twopass.index.store.snapshots import SnapshotFolder
from twopass.index.summary import CollectionSummary
from twopass.index.vectors.gpu_device import GpuDevice
from twopass.index.vectors.merging import MergePolicy
from twopass.index.words.flushing import FlushPolicy

T = TypeVar("T")

_LOG = logging.getLogger("twopass.index")

_DATABASE = "documents.sqlite"
# No collection's name begins with a dot: folders with a dot are half created or half deleted.
_CREATING = ".creating-"
_DELETED = ".deleted-"

MAX_OPEN = 1_000
"""Most collections open at once, unless told otherwise."""


class CollectionStore:
    """The collections of a data folder, which only one store may hold at a time.

    ::

        <folder>/.lock                                  held while the store is open
        <folder>/collections/<name>/documents.sqlite    a collection
        <folder>/collections/<name>/vectors.base        its vectors, derived: may be missing
        <folder>/collections/<name>/words-<number>/     its words, derived: may be missing
        <folder>/snapshots/                             copies of collections
        <folder>/aliases.json                           other names of collections, and the
                                                        folders of those renamed since the start

    A collection is opened when it is used, and closed when it is idle and others need its place.
    A collection that can't be opened does not keep others from serving: `failed` lists it, and its
    callers are told why.

    Attributes:
        path: The data folder.
        snapshots: Snapshots of collections, including deleted ones.
        opened: The open collections.
    """

    def __init__(
        self,
        folder: Path,
        lanes: Lanes,
        *,
        max_open: int = MAX_OPEN,
        num_search_threads: int = 1,
        merge_policy: MergePolicy | None = None,
        device: GpuDevice | None = None,
        flush_policy: FlushPolicy | None = None,
        current_revision: CurrentRevision | None = None,
        opens_collections: bool = True,
    ) -> None:
        """Opens the folder, creating it if need be, and as many collections as may be open.

        Args:
            folder: The data folder.
            lanes: Lanes in which its collections work, until the store is closed.
            max_open: Most collections open at once, at least 1.
            num_search_threads: Most threads of one search of vectors.
            merge_policy: When a collection's index is merged; None for the default.
            device: Copies the base of a collection's index to a GPU; None for none.
            flush_policy: When a collection's words are flushed to disk; None for the default.
            current_revision: By what a collection's encoder is known now, asked whenever one is
                opened; None to leave it as it is.
            opens_collections: False leaves them to `open_first`.

        Raises:
            FolderInUseError: Another server holds the folder.
            StorageError: The folder can't be created or read, or its aliases are damaged.
        """
        self.path = folder
        self._folder = folder / "collections"
        self._names_file = folder / "aliases.json"
        self._names = CollectionNames(Aliases({}))
        self._places = Places({})  # what the folders of collections stand for
        open_database = partial(
            open_collection,
            lanes=lanes,
            num_search_threads=num_search_threads,
            merge_policy=merge_policy,
            device=device,
            flush_policy=flush_policy,
            current_revision=current_revision,
        )
        self.opened = OpenCollections(lanes.openings, open_database, read_summary, max_open)
        self._closed = False
        # Over every change of which collections there are; lookups need none.
        self._changing = threading.Lock()
        with os_errors(f"data folder {folder}"):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(folder)
            try:
                self.snapshots = SnapshotFolder(folder / "snapshots")
                self._sweep()
                self._take_names(folder / "snapshots")
                if opens_collections:
                    self.open_first()
            except BaseException:
                self.close()
                raise

    def open_first(self) -> None:
        """Opens all collections, so that damage is found and the first search is fast.

        Where there are more than may be open, opens in the background half as many as may be, those
        written to last: the other half leaves room for collections that calls ask for meanwhile.
        """
        known = list(self._names.known.values())
        max_open = self.opened.max_open
        if len(known) <= max_open:
            self.opened.open_all(known)
            return
        _LOG.info(
            "more collections than may be open: others are opened when they are used",
            extra={"num_collections": len(known), "max_open": max_open},
        )
        known.sort(key=lambda each: _last_change(each.path), reverse=True)
        self.opened.open_beside(known[: max_open // 2])

    @property
    def failed(self) -> Mapping[str, str]:
        """The collections that could not be opened, and why."""
        known = self._names.known.copy().values()
        return MappingProxyType({each.name: each.failure for each in known if each.failure})

    @property
    def aliases(self) -> Aliases:
        """Other names of collections, as they are now."""
        return self._names.aliases

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all collections but those that could not be opened, sorted."""
        known = self._names.known.copy().values()
        # One that is being renamed is known by both names for a moment.
        return tuple(sorted({x.name for x in known if not x.failure and not x.is_gone}))

    def create(self, name: str, schema: CollectionSchema) -> Collection:
        """Creates an empty collection: after a crash it is there whole, or not at all.

        Raises:
            InvalidSchemaError: The name is not a valid collection name, or faiss has no such index
                kind.
            CollectionExistsError: The name is taken, even by a collection that failed to open.
            AliasExistsError: The name is an alias.
            CollectionsInUseError: As many collections as may be open are in use.
            StorageError: The collection can't be written.
        """
        check_name(name)
        IndexKind.parse(schema.index_kind)
        collection = self._add(name, lambda path: create_database(path, schema))
        _LOG.info("collection created", extra={"collection": name})
        return collection

    def restore(self, collection: str, snapshot: str, name: str, stop: Stop = NEVER) -> Collection:
        """Makes a new collection of a snapshot: after a crash it is there whole, or not at all.

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
            CollectionsInUseError: As many collections as may be open are in use.
            StorageError: The collection can't be written.
        """
        check_name(name, "new_collection")

        def copy(path: Path) -> None:
            self.snapshots.copy_documents(collection, snapshot, path, stop)
            begin_new_life(path)

        restored = self._add(name, copy)
        _LOG.info(
            "snapshot restored",
            extra={"collection": name, "from_collection": collection, "snapshot": snapshot},
        )
        return restored

    def create_snapshot(self, collection: str, name: str = "", stop: Stop = NEVER) -> Snapshot:
        """Copies a collection, given by its name or an alias, as `SnapshotFolder.create` does."""
        pin = self.pin(collection)
        try:
            return self.snapshots.create(pin.collection or pin.opening.result(), name, stop)
        finally:
            pin.release()

    def pin(self, name: str) -> Pin:
        """Keeps a collection, given by its name or an alias, open until the pin is released.

        Opens it in a lane if need be; never blocks for the disk.

        Raises:
            CollectionClosedError: The store is closed.
            CollectionNotFoundError: No collection has that name.
            CollectionsInUseError: As many collections as may be open are in use.
            StorageError: The collection could not be opened a short while ago; says why.
        """
        return self._on(name, self.opened.pin)

    def get(self, name: str) -> Collection:
        """Returns a collection by its name or an alias, opening it in this thread if need be.

        The collection may be closed when others need its place; a `pin` keeps it open.

        Raises:
            CollectionNotFoundError: No collection has that name.
            CollectionsInUseError: As many collections as may be open are in use.
            StorageError: The collection can't be opened; says why.
        """
        return self._on(name, self.opened.open_here)

    def summary(self, name: str) -> CollectionSummary:
        """Describes a collection, given by its name or an alias, without opening it.

        Blocks for the disk where `known_summary` returns None.

        Raises:
            CollectionNotFoundError: No collection has that name.
            StorageError: The collection can't be read; says why.
        """
        return self._on(name, self.opened.summary)

    def summaries(self, names: Iterable[str], stop: Stop = NEVER) -> list[CollectionSummary]:
        """Describes collections without opening them; leaves out those that can't be read.

        Blocks for the disk the first time that a collection is described.

        Args:
            names: Their own names, or aliases.
            stop: Ends the reading.
        """
        found = []
        for name in names:
            stop.check()
            with suppress(CollectionNotFoundError, StorageError):  # the latter are in the log
                found.append(self.summary(name))
        return found

    def known_summary(self, name: str) -> CollectionSummary | None:
        """Describes a collection that is open or was described before; never blocks for the disk.

        Raises:
            CollectionNotFoundError: No collection has that name.
        """
        return self._on(name, self.opened.known_summary)

    def opening(self, name: str) -> Future[Collection] | None:
        """A collection that is about to be opened, given by its name or an alias; never blocks.

        Returns:
            A future of it; None where it is open already, or nobody opens it.

        Raises:
            CollectionNotFoundError: No collection has that name.
        """
        return self._on(name, lambda known: known.opening)

    def update_aliases(
        self, changes: Sequence[AliasChange], ensure_may_use: Callable[[str], None]
    ) -> Aliases:
        """Creates, switches and removes aliases, all or none, and syncs them to disk.

        Args:
            changes: The changes, each of a different alias.
            ensure_may_use: Called with each collection that a changed alias has stood for; raises
                where the caller may not use it.

        Returns:
            All aliases after the changes.

        Raises:
            CollectionClosedError: The store is closed.
            InvalidSchemaError: An alias is not a valid name.
            InvalidAliasError: An alias would stand for another alias or is changed twice, or there
                would be too many aliases.
            AliasNameTakenError: An alias has the name of a collection.
            CollectionNotFoundError: An alias would stand for an unknown collection.
            StorageError: An alias would stand for a collection that could not be opened, or the
                aliases can't be written.
        """
        if not changes:
            return self._names.aliases
        with self._changing:
            if self._closed:
                raise CollectionClosedError(changes[0].collection or changes[0].alias)
            changed = self._names.changed_aliases(changes, ensure_may_use)

            def take() -> None:
                self._names.aliases = changed

            self._write_names(StoredNames(changed, self._places, self.snapshots.places), take)
        for change in changes:
            _LOG.info("alias changed", extra=dataclasses.asdict(change))
        return changed

    def rename(self, name: str, new_name: str, *, keep_alias: bool = False) -> None:
        """Gives a collection another name: after a crash it has either name, and its aliases.

        It may be open or closed, in use, damaged, or one that can't be opened. Calls that use it
        go on with it. Its snapshots and aliases stay its own, and its sequences stay valid.

        Args:
            name: Its own name, not an alias.
            new_name: The name that it gets. An alias of this very collection may be it, and is
                then no alias any more.
            keep_alias: Whether `name` is an alias of it from then on, with no moment between.

        Raises:
            InvalidSchemaError: The new name is not a valid collection name.
            InvalidRenameError: `name` is an alias, or the new name is the collection's already.
            CollectionNotFoundError: No collection has that name.
            CollectionExistsError: Another collection has the new name.
            AliasExistsError: The new name is an alias of another collection.
            InvalidAliasError: There would be too many aliases.
            SnapshotsKeptError: Snapshots of a deleted collection are kept under the new name.
            CollectionClosedError: The store is closed.
            StorageError: The new name can't be written; the collection has either.
        """
        check_name(new_name, "new_name")
        with self._changing:
            if self._closed:
                raise CollectionClosedError(name)
            known = self._names.renamable(name, new_name)
            aliases = self._names.aliases.after_rename(name, new_name, keeps_alias=keep_alias)
            collections = self._places.after_rename(known.path.parent.name, new_name)
            with self.snapshots.renaming(name, new_name) as snapshots:

                def take() -> None:
                    self._names.rename(known, new_name, aliases)
                    self._places = collections
                    self.snapshots.places = snapshots

                self._write_names(StoredNames(aliases, collections, snapshots), take)
        _LOG.info(
            "collection renamed",
            extra={"collection": new_name, "from_collection": name, "keeps_alias": keep_alias},
        )

    def delete(self, name: str) -> None:
        """Deletes a collection for good, even one that can't be opened.

        Calls that use it meanwhile end with `CollectionClosedError`.

        Raises:
            CollectionAliasedError: The collection has aliases; `name` may be one of them.
            CollectionNotFoundError: No collection has that name.
            StorageError: The collection can't be deleted.
        """
        with self._changing:
            if self._closed:
                raise CollectionClosedError(name)
            self._names.ensure_deletable(name)
            known = self._names.known[name]
            self.opened.mark_gone(known)
        # Nobody else can have its name yet, nor finds it: other collections may come and go.
        grave = self._folder / f"{_DELETED}{uuid.uuid4().hex}"
        try:
            with os_errors(f"collection {name!r}"):
                self.opened.discard(known, lambda: known.path.parent.rename(grave))
                sync_folder(self._folder)
        except BaseException:
            self.opened.note_unfinished_deletion(known)
            raise
        with self._changing:
            del self._names.known[name]
        shutil.rmtree(grave, ignore_errors=True)  # what is left is swept at the next start
        _LOG.info("collection deleted", extra={"collection": name})

    def close(self) -> None:
        """Finishes what was submitted, closes all collections, releases the folder. Idempotent."""
        with self._changing:
            if self._closed:
                return
            self._closed = True
        try:
            self.opened.close()
        finally:
            os.close(self._lock)

    def __enter__(self) -> "CollectionStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _on(self, name: str, use: Callable[[KnownCollection], T]) -> T:
        """Calls a function with the collection that has a name or an alias."""
        while True:
            known = self._names.find(name)
            try:
                return use(known)
            except CollectionNotFoundError:
                # It was deleted meanwhile; where the name is an alias, it stands for another now.
                continue

    def _add(self, name: str, write_database: Callable[[Path], None]) -> Collection:
        """Adds a collection, whose file `write_database` writes."""
        unfinished = self._folder / f"{_CREATING}{uuid.uuid4().hex}"
        self._check_free(name)
        self.opened.take_place()
        try:
            with os_errors(f"collection {name!r}"):
                unfinished.mkdir()
                # A large copy takes minutes: collections may come and go meanwhile.
                write_database(unfinished / _DATABASE)
                sync_folder(unfinished)
                with self._changing:
                    self._check_free(name)
                    folder = self._folder / self._places.free_folder(self._folder, name)
                    unfinished.rename(folder)
                    sync_folder(self._folder)
                    known = KnownCollection(name, folder / _DATABASE)
                    self._names.known[name] = known
        except BaseException:
            self.opened.release_place()
            raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return self.opened.open_in_place(known)

    def _check_free(self, name: str) -> None:
        if self._closed:
            raise CollectionClosedError(name)
        self._names.ensure_free(name)

    def _sweep(self) -> None:
        """Removes half-made and half-deleted collections."""
        for entry in self._folder.iterdir():
            if entry.name.startswith((_CREATING, _DELETED)):
                shutil.rmtree(entry, ignore_errors=True)
                _LOG.info("leftover removed", extra={"path": str(entry)})

    def _take_names(self, snapshots: Path) -> None:
        """Finds the collections and their names, and names their folders and snapshots' after them.

        Args:
            snapshots: The folder of snapshots.
        """
        names = read_names(self._names_file)
        with suppress(OSError, StorageError):  # what a folder stands for stays written
            is_changed = True
            while is_changed:
                known = dataclasses.replace(
                    names,
                    collections=names.collections.among(folders_in(self._folder)),
                    snapshots=names.snapshots.among(folders_in(snapshots)),
                )
                if known != names:
                    write_names(self._names_file, known)
                    names = known
                is_changed = settle(names.collections, self._folder)
                is_changed = settle(names.snapshots, snapshots) or is_changed
        # Where the disk did not allow all of it, some folders have other names than those written.
        self._names.aliases = names.aliases
        self._places = names.collections.in_force_among(folders_in(self._folder))
        self.snapshots.places = names.snapshots.in_force_among(folders_in(snapshots))
        for folder in sorted(folders_in(self._folder)):
            name = self._places.name_of(folder)
            if self._names.has(name):
                # Only where the file of names was lost: this one can be renamed, or deleted.
                _LOG.error(
                    "two folders of one collection: the other is known by its folder's name",
                    extra={"collection": name, "path": str(self._folder / folder)},
                )
                name = folder
            self._names.known[name] = KnownCollection(name, self._folder / folder / _DATABASE)

    def _write_names(self, names: StoredNames, take: Callable[[], None]) -> None:
        """Writes names to disk, then calls what puts them in force; call with the lock of changes.

        Raises:
            StorageError: They can't be written.
        """
        try:
            write_names(self._names_file, names)
        except BaseException:
            # The file may hold them all the same, and it decides after a start.
            with suppress(StorageError):
                if read_names(self._names_file) == names:
                    take()
            raise
        take()


def _last_change(path: Path) -> float:
    """When a database was last written to; 0 where there is none."""
    try:
        return max(file.stat().st_mtime for file in path.parent.iterdir())
    except (OSError, ValueError):
        return 0.0
