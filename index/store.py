"""All collections of a data folder."""

import fcntl
import logging
import os
import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType

from twopass.index.collection import Collection
from twopass.index.database import begin_new_life, create_database
from twopass.index.errors import (
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    FolderInUseError,
    StorageError,
)
from twopass.index.folders import os_errors, sync_folder
from twopass.index.gpu_replica import Clone
from twopass.index.merging import MergePolicy
from twopass.index.opening import open_collection
from twopass.index.schema import CollectionSchema, check_name
from twopass.index.snapshots import SnapshotFolder

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
            StorageError: It can't be made or read.
        """
        self._folder = folder / "collections"
        self._num_search_threads = num_search_threads
        self._merge_policy = merge_policy
        self._clone = clone
        self._collections: dict[str, Collection] = {}
        self._failed: dict[str, str] = {}
        self._closed = False
        # Over every change of which collections there are; lookups need none.
        self._changing = threading.Lock()
        with os_errors(folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / ".lock")
        try:
            self.snapshots = SnapshotFolder(folder / "snapshots")
            with os_errors(folder):
                self._open_all()
        except BaseException:
            self.close()
            raise

    @property
    def failed(self) -> Mapping[str, str]:
        """The collections that could not be opened, and why."""
        return MappingProxyType(self._failed)

    def create(self, name: str, schema: CollectionSchema) -> Collection:
        """Creates an empty collection: after a crash it is there whole, or not at all.

        Raises:
            InvalidSchemaError: The name is none.
            CollectionExistsError: The name is taken, if only by one that failed to open.
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
        """Returns a collection.

        Raises:
            CollectionNotFoundError: There is none of that name.
            StorageError: It could not be opened; says why.
        """
        if (collection := self._collections.get(name)) is not None:
            return collection
        if (reason := self._failed.get(name)) is not None:
            raise StorageError(f"collection {name!r} could not be opened: {reason}")
        raise CollectionNotFoundError(name)

    def list(self) -> tuple[Collection, ...]:
        """All collections that are open, by name."""
        return tuple(collection for _, collection in sorted(self._collections.copy().items()))

    def delete(self, name: str) -> None:
        """Deletes a collection for good, one that failed to open too.

        Raises:
            CollectionNotFoundError: There is none of that name.
            StorageError: The disk does not allow it.
        """
        with self._changing, os_errors(self._folder):
            if self._closed:
                raise CollectionClosedError(name)
            if name not in self._collections and name not in self._failed:
                raise CollectionNotFoundError(name)
            grave = self._folder / f"{_DELETED}{uuid.uuid4().hex}"
            try:
                if (collection := self._collections.pop(name, None)) is not None:
                    collection.close()
                (self._folder / name).rename(grave)
            except BaseException:
                self._failed[name] = "its deletion did not finish; delete it again"
                raise
            self._failed.pop(name, None)
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
                for collection in self._collections.values():
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
        if name in self._collections or name in self._failed:
            raise CollectionExistsError(name)

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
            collection = open_collection(
                name,
                path,
                num_search_threads=self._num_search_threads,
                merge_policy=self._merge_policy,
                clone=self._clone,
            )
        except StorageError as error:
            self._failed[name] = str(error)
            _LOG.error("collection failed to open: %s", error, extra={"collection": name})
            raise
        self._collections[name] = collection
        return collection


def _lock(path: Path) -> int:
    """Locks a file for as long as the returned descriptor, or the process, lives."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise FolderInUseError(
            f"{path.parent}: another server holds this data folder; stop it, or choose another one"
        ) from error
    return descriptor
