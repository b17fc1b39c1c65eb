"""Snapshots: copies of collections, each as it was at one moment."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from twopass.index.collection.collection import Collection
from twopass.index.errors import (
    InvalidSchemaError,
    SnapshotDamagedError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    SnapshotsKeptError,
)
from twopass.index.folders import os_errors, sync_folder, write_json
from twopass.index.rows.database import open_for_reading, read_identity, storage_errors
from twopass.index.schema import check_name
from twopass.index.snapshot import Snapshot
from twopass.index.stopping import NEVER, Stop
from twopass.index.store.places import Places

_LOG = logging.getLogger("twopass.index")

_DOCUMENTS = "documents.sqlite"
_DESCRIPTION = "snapshot.json"
# No snapshot's name begins with a dot.
_UNFINISHED = ".unfinished-"
_BLOCK_BYTES = 1024 * 1024
_WAY_OUT = "delete it, and restore another one"


class SnapshotFolder:
    """The snapshots of all collections of a data folder.

    ::

        <folder>/<collection>/<snapshot>/documents.sqlite
        <folder>/<collection>/<snapshot>/snapshot.json       name, size and checksum of the other

    What a collection's folder is called after a rename, `Places` tells. Safe to use from several
    threads; every method blocks for the disk.

    Attributes:
        places: What the folders in it stand for.
    """

    def __init__(self, folder: Path) -> None:
        """Creates the folder if need be, and removes half-made and half-deleted snapshots.

        Raises:
            StorageError: The folder can't be created or read.
        """
        self._folder = folder
        self.places = Places({})
        # Over `places` and `_under_way`, and over the names of collections while snapshots look
        # for their folders.
        self._renaming = threading.Lock()
        # Names of the snapshots that are being made, by the folder that they will be in.
        self._under_way: dict[Path, Counter[str]] = defaultdict(Counter)
        with os_errors(f"data folder {folder}"):
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob(f"*/{_UNFINISHED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
                _LOG.info("leftover removed", extra={"path": str(leftover)})

    def create(self, collection: Collection, name: str = "", stop: Stop = NEVER) -> Snapshot:
        """Copies a collection while it is written to: whole, or not at all.

        Args:
            collection: The collection to copy.
            name: The snapshot's name; empty takes date and time.
            stop: Ends the copying, and leaves nothing behind.

        Raises:
            InvalidSchemaError: The name is not a valid snapshot name.
            SnapshotExistsError: The name is taken.
            StoppedError: The stop was set.
            StorageError: The snapshot can't be written.
        """
        now = time.time_ns() // 1_000
        name = name or _time_of_day(now)
        check_name(name)
        with self._making(collection, name) as parent:
            snapshot = self._copied(collection, parent, name, now, stop)
        _LOG.info(
            "snapshot created",
            extra={
                "collection": snapshot.collection,
                "snapshot": name,
                "num_documents": snapshot.num_documents,
                "num_bytes": snapshot.num_bytes,
            },
        )
        return snapshot

    def list(self, collection: str) -> tuple[Snapshot, ...]:
        """The snapshots of a collection, even a deleted one, oldest first.

        Damaged snapshots come first, with their `damaged_reason`.

        Raises:
            StorageError: The folder can't be read.
        """
        if not _is_name(collection):
            return ()
        with os_errors(f"snapshots of collection {collection!r}"):
            with self._renaming:
                parent = self._folder_of(collection)
            folders = parent.glob("[!.]*/")
            found = [_read(folder, collection) for folder in folders if folder.is_dir()]
        return tuple(sorted(found, key=lambda snapshot: (snapshot.create_time_us, snapshot.name)))

    def delete(self, collection: str, name: str) -> None:
        """Deletes a snapshot for good.

        Raises:
            SnapshotNotFoundError: The collection has no snapshot of that name.
            StorageError: The snapshot can't be deleted.
        """
        folder = self._existing(collection, name)
        grave = folder.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
        with os_errors(f"snapshot {name!r} of collection {collection!r}"):
            try:
                folder.rename(grave)
            except FileNotFoundError:  # another call deleted it since
                raise SnapshotNotFoundError(collection, name) from None
            sync_folder(folder.parent)
        shutil.rmtree(grave, ignore_errors=True)  # what is left is swept at the next start
        _LOG.info("snapshot deleted", extra={"collection": collection, "snapshot": name})

    def copy_documents(self, collection: str, name: str, target: Path, stop: Stop = NEVER) -> None:
        """Copies the SQLite file of a snapshot, and verifies its checksum.

        Args:
            collection: The name of its collection.
            name: The snapshot's name.
            target: The file to write; after an error, it may be there in part.
            stop: Ends the copying.

        Raises:
            SnapshotNotFoundError: The collection has no snapshot of that name.
            SnapshotDamagedError: The snapshot is not what it was when it was made.
            StoppedError: The stop was set.
            StorageError: The file can't be read or written.
        """
        while True:
            folder = self._existing(collection, name)
            with os_errors(f"snapshot {name!r} of collection {collection!r}"):
                snapshot = _read(folder, collection)
                reason = snapshot.damaged_reason or _copy(folder, snapshot, target, stop)
            if not reason:
                return
            if folder.is_dir() and _read(folder, collection) == snapshot:
                break  # else it was deleted meanwhile, and perhaps another made in its place
        _LOG.error("snapshot damaged: %s", reason, extra={"path": str(folder)})
        raise SnapshotDamagedError(
            f"snapshot {name!r} of collection {collection!r} is damaged: {reason}"
        )

    @contextmanager
    def renaming(self, name: str, new_name: str) -> Iterator[Places]:
        """Lets nobody look for a collection's folder while the collection is renamed in the block.

        Args:
            name: The name that it has before.
            new_name: The name that it has after.

        Yields:
            What the folders stand for after it, to be set as `places` when that is on disk.

        Raises:
            SnapshotsKeptError: Snapshots of a deleted collection are kept under the new name, or
                one is still being made.
            StorageError: The folder can't be read.
        """
        with self._renaming:
            with os_errors(f"snapshots of collection {new_name!r}"):
                folder = self._folder_of(new_name)
                kept = {x.name for x in folder.glob("[!.]*/")} | set(
                    self._under_way.get(folder, ())
                )
            if kept:
                raise SnapshotsKeptError(new_name, sorted(kept))
            # The folder of the new name holds nothing, and is as good as none for the old one. A
            # collection that is known by its folder's name has no snapshots of its own.
            yield self.places.after_exchange(name, new_name) if _is_name(name) else self.places

    @contextmanager
    def _making(self, collection: Collection, name: str) -> Iterator[Path]:
        """Yields the folder of a collection's snapshots, which stays its own within the block."""
        with self._renaming:
            parent = self._folder_of(collection.name)
            self._under_way[parent][name] += 1
        try:
            yield parent
        finally:
            with self._renaming:
                self._under_way[parent] -= Counter([name])
                if not self._under_way[parent]:
                    del self._under_way[parent]

    def _copied(
        self, collection: Collection, parent: Path, name: str, now: int, stop: Stop
    ) -> Snapshot:
        """Copies a collection into a folder of its snapshots; raises as `create`."""
        named = collection.name
        unfinished = parent / f"{_UNFINISHED}{uuid.uuid4().hex}"
        with os_errors(f"snapshot {name!r} of collection {named!r}"):
            if (parent / name).exists():
                raise SnapshotExistsError(named, name)
            parent.mkdir(exist_ok=True)
            sync_folder(self._folder)
            try:
                unfinished.mkdir()
                collection.copy_into(unfinished / _DOCUMENTS, stop)
                # It may be renamed meanwhile: the folder stays its own.
                snapshot = _describe(unfinished / _DOCUMENTS, collection.name, name, now, stop)
                description = dataclasses.asdict(snapshot)
                del description["damaged_reason"]  # found out on reading, never stored
                write_json(unfinished / _DESCRIPTION, description)
                sync_folder(unfinished)
                _take_name(unfinished, parent / name, snapshot)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            sync_folder(parent)
        return snapshot

    def _folder_of(self, collection: str) -> Path:
        return self._folder / self.places.folder_of(collection)

    def _existing(self, collection: str, name: str) -> Path:
        if _is_name(collection) and _is_name(name):
            with self._renaming:
                folder = self._folder_of(collection) / name
            if folder.is_dir():
                return folder
        raise SnapshotNotFoundError(collection, name)


def _describe(documents: Path, collection: str, name: str, now: int, stop: Stop) -> Snapshot:
    """Syncs a fresh copy to disk, and describes it."""
    with documents.open("rb") as file:
        os.fsync(file.fileno())
        sha256 = _sha256(file, stop)
    with storage_errors(documents):
        connection = open_for_reading(documents)
        try:
            sequence = read_identity(connection, documents).sequence
            num_documents = connection.execute("SELECT count(*) FROM documents").get
        finally:
            connection.close()
    return Snapshot(
        name=name,
        collection=collection,
        sequence=str(sequence),
        num_documents=num_documents,
        num_bytes=documents.stat().st_size,
        sha256=sha256,
        create_time_us=now,
    )


def _take_name(unfinished: Path, folder: Path, snapshot: Snapshot) -> None:
    try:
        unfinished.rename(folder)
    except OSError as error:
        if folder.exists():  # another call was first
            raise SnapshotExistsError(snapshot.collection, snapshot.name) from error
        raise


_EXAMPLE = Snapshot(name="", collection="")


def _read(folder: Path, collection: str) -> Snapshot:
    """Reads the description of a snapshot, and checks that its documents' file is there.

    Args:
        folder: Its folder.
        collection: What its collection is called now.
    """
    file = folder / _DESCRIPTION
    try:
        snapshot = Snapshot(**json.loads(file.read_text(encoding="utf-8")))
        for name, value in dataclasses.asdict(snapshot).items():
            if type(value) is not type(getattr(_EXAMPLE, name)):
                raise TypeError(f"{name} is {value!r}")
    except (OSError, ValueError, TypeError) as error:
        _LOG.warning("snapshot damaged: %s", error, extra={"path": str(file)})
        return Snapshot(
            name=folder.name,
            collection=collection,
            damaged_reason=f"what describes it can't be read; {_WAY_OUT}",
        )
    is_whole = (folder / _DOCUMENTS).is_file()
    reason = "" if is_whole else f"its documents are missing; {_WAY_OUT}"
    return dataclasses.replace(snapshot, collection=collection, damaged_reason=reason)


def _copy(folder: Path, snapshot: Snapshot, target: Path, stop: Stop) -> str:
    """Copies a snapshot's documents; returns why they are not what they were, or ""."""
    try:
        with (folder / _DOCUMENTS).open("rb") as source, target.open("wb") as copy:
            digest = _sha256(source, stop, copy)
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise
        return f"its documents are missing; {_WAY_OUT}"
    if digest != snapshot.sha256:
        return f"its checksum is not the one it was made with; {_WAY_OUT}"
    return ""


def _sha256(source: BinaryIO, stop: Stop, copy: BinaryIO | None = None) -> str:
    """The checksum of a file; copies the file meanwhile, if `copy` is given."""
    digest = hashlib.sha256()
    while block := source.read(_BLOCK_BYTES):
        stop.check()
        digest.update(block)
        if copy is not None:
            copy.write(block)
    return digest.hexdigest()


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except InvalidSchemaError:
        return False
    return True


def _time_of_day(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return moment.strftime("%Y%m%d-%H%M%S-%f")
