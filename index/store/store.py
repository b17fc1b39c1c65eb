"""All collections of a data folder."""

import dataclasses
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType, TracebackType

from twopass.index.collection.collection import Collection
from twopass.index.collection.opening import open_collection
from twopass.index.errors import CollectionClosedError, StorageError
from twopass.index.folders import lock_folder, os_errors, sync_folder
from twopass.index.rows.database import begin_new_life, create_database
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.store.aliases import AliasChange, Aliases, read_aliases, write_aliases
from twopass.index.store.names import CollectionNames
from twopass.index.store.snapshots import SnapshotFolder
from twopass.index.vectors.gpu_replica import Clone
from twopass.index.vectors.merging import MergePolicy

_LOG = logging.getLogger("twopass.index")

_DATABASE = "documents.sqlite"
# No collection's name begins with a dot: what does is half created or half deleted.
_CREATING = ".creating-"
_DELETED = ".deleted-"


class CollectionStore:
    """The collections of a data folder, which no other store may hold meanwhile.

    ::

        <folder>/.lock                                  held while the store is open
        <folder>/collections/<name>/documents.sqlite    a collection
        <folder>/collections/<name>/vectors.base        its index, derived: may be missing
        <folder>/snapshots/                             copies of collections
        <folder>/aliases.json                           other names of collections

    A damaged collection keeps no other from serving: it is in `failed`, and `get` says why.

    Attributes:
        snapshots: Copies of collections, of some that are no more too.
    """

    def __init__(
        self,
        folder: Path,
        *,
        num_search_threads: int = 1,
        merge_policy: MergePolicy | None = None,
        clone: Clone | None = None,
    ) -> None:
        """Opens the folder, making it if need be, and every collection in it.

        Args:
            folder: The data folder.
            num_search_threads: OpenMP threads of one faiss search of one collection.
            merge_policy: When a collection's index is merged; None for the default.
            clone: Copies the base of a collection's index to a GPU; None for none.

        Raises:
            FolderInUseError: Another server holds it.
            StorageError: It can't be made or read, or its aliases are damaged.
        """
        self._folder = folder / "collections"
        self._aliases_file = folder / "aliases.json"
        self._names = CollectionNames(Aliases({}))
        self._open_database = partial(
            open_collection,
            num_search_threads=num_search_threads,
            merge_policy=merge_policy,
            clone=clone,
        )
        self._closed = False
        # Over every change of which collections there are; lookups need none.
        self._changing = threading.Lock()
        with os_errors(folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock_folder(folder)
        try:
            self._names.aliases = read_aliases(self._aliases_file)
            self.snapshots = SnapshotFolder(folder / "snapshots")
            with os_errors(folder):
                self._open_all()
        except BaseException:
            self.close()
            raise

    @property
    def failed(self) -> Mapping[str, str]:
        """The collections that could not be opened, and why."""
        return MappingProxyType(self._names.failed)

    @property
    def aliases(self) -> Aliases:
        """Other names of collections, as they are now."""
        return self._names.aliases

    def create(self, name: str, schema: CollectionSchema) -> Collection:
        """Creates an empty collection: after a crash it is there whole, or not at all.

        Raises:
            InvalidSchemaError: The name is none.
            CollectionExistsError: The name is taken, if only by one that failed to open.
            AliasExistsError: It is an alias.
            StorageError: The disk does not allow it.
        """
        collection = self._add(name, lambda path: create_database(path, schema))
        _LOG.info("collection created", extra={"collection": name})
        return collection

    def restore(self, collection: str, snapshot: str, name: str) -> Collection:
        """Makes a new collection of a snapshot: after a crash it is there whole, or not at all.

        Args:
            collection: The name of the snapshot's collection.
            snapshot: The snapshot's name.
            name: Of the collection to make.

        Raises:
            InvalidSchemaError: The name is none.
            CollectionExistsError: The name is taken.
            AliasExistsError: It is an alias.
            SnapshotNotFoundError: There is no such snapshot.
            SnapshotDamagedError: It is not what it was when it was made.
            StorageError: The disk does not allow it.
        """
        check_name(name, "new_collection")
        documents = self.snapshots.verified(collection, snapshot)

        def copy(path: Path) -> None:
            shutil.copyfile(documents, path)
            begin_new_life(path)

        restored = self._add(name, copy)
        _LOG.info(
            "snapshot restored",
            extra={"collection": name, "from_collection": collection, "snapshot": snapshot},
        )
        return restored

    def get(self, name: str) -> Collection:
        """Returns a collection by its name or an alias.

        Raises:
            CollectionNotFoundError: There is none of that name.
            StorageError: It could not be opened; says why.
        """
        return self._names.find(name)

    def list(self) -> tuple[Collection, ...]:
        """All collections that are open, by name."""
        return tuple(collection for _, collection in sorted(self._names.opened.copy().items()))

    def update_aliases(
        self, changes: Sequence[AliasChange], ensure_may_use: Callable[[str], None]
    ) -> Aliases:
        """Makes, switches and removes aliases, all or none; what is there then is on disk.

        Args:
            changes: No two of one alias.
            ensure_may_use: Called with each collection that a changed alias has stood for; raises
                where the caller may not change that.

        Returns:
            Those there are then.

        Raises:
            CollectionClosedError: The store is closed.
            InvalidSchemaError: An alias has a name that is none.
            InvalidAliasError: One is to stand for another, is changed twice, or is one too many.
            CollectionExistsError: One has the name of a collection.
            CollectionNotFoundError: One is to stand for a collection that is not there.
            StorageError: For one that could not be opened; or the disk does not allow it.
        """
        if not changes:
            return self._names.aliases
        with self._changing:
            if self._closed:
                raise CollectionClosedError(changes[0].collection or changes[0].alias)
            changed = self._names.changed_aliases(changes, ensure_may_use)
            try:
                write_aliases(self._aliases_file, changed)
            except BaseException:
                # The file may hold them all the same, and is what counts after a start.
                self._names.aliases = read_aliases(self._aliases_file)
                raise
            self._names.aliases = changed
        for change in changes:
            _LOG.info("alias changed", extra=dataclasses.asdict(change))
        return changed

    def delete(self, name: str) -> None:
        """Deletes a collection for good, one that failed to open too.

        Raises:
            CollectionAliasedError: It has aliases, of which the name given may be one.
            CollectionNotFoundError: There is none of that name.
            StorageError: The disk does not allow it.
        """
        with self._changing, os_errors(self._folder):
            if self._closed:
                raise CollectionClosedError(name)
            self._names.ensure_deletable(name)
            grave = self._folder / f"{_DELETED}{uuid.uuid4().hex}"
            try:
                if (collection := self._names.opened.pop(name, None)) is not None:
                    collection.close()
                (self._folder / name).rename(grave)
            except BaseException:
                self._names.failed[name] = "its deletion did not finish; delete it again"
                raise
            self._names.failed.pop(name, None)
            sync_folder(self._folder)
        shutil.rmtree(grave, ignore_errors=True)  # what is left is swept at the next start
        _LOG.info("collection deleted", extra={"collection": name})

    def close(self) -> None:
        """Finishes what was submitted, closes all collections, frees the folder. Idempotent."""
        with self._changing:
            if self._closed:
                return
            self._closed = True
            with ExitStack() as last_first:
                last_first.callback(os.close, self._lock)
                for collection in self._names.opened.values():
                    last_first.callback(collection.close)

    def __enter__(self) -> "CollectionStore":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _add(self, name: str, write_database: Callable[[Path], None]) -> Collection:
        """Adds the collection whose file is written by the function given."""
        check_name(name)
        unfinished = self._folder / f"{_CREATING}{uuid.uuid4().hex}"
        with os_errors(self._folder):
            try:
                with self._changing:
                    self._check_free(name)
                    unfinished.mkdir()
                # A large copy takes minutes: collections may come and go meanwhile.
                write_database(unfinished / _DATABASE)
                sync_folder(unfinished)
                with self._changing:
                    self._check_free(name)
                    unfinished.rename(self._folder / name)
                    sync_folder(self._folder)
                    return self._open(name)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)

    def _check_free(self, name: str) -> None:
        if self._closed:
            raise CollectionClosedError(name)
        self._names.ensure_free(name)

    def _open_all(self) -> None:
        for entry in sorted(self._folder.iterdir()):
            if entry.name.startswith((_CREATING, _DELETED)):
                shutil.rmtree(entry, ignore_errors=True)
                _LOG.info("leftover removed", extra={"path": str(entry)})
            elif entry.is_dir():
                with suppress(StorageError):  # it is in `failed` and in the log
                    self._open(entry.name)

    def _open(self, name: str) -> Collection:
        path = self._folder / name / _DATABASE
        try:
            collection = self._open_database(name, path)
        except StorageError as error:
            self._names.failed[name] = str(error)
            _LOG.error("collection failed to open: %s", error, extra={"collection": name})
            raise
        self._names.opened[name] = collection
        return collection
