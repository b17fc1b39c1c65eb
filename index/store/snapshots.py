"""Copies of collections, each as it was at one moment."""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from twopass.index.collection.collection import Collection
from twopass.index.errors import (
    InvalidSchemaError,
    SnapshotDamagedError,
    SnapshotExistsError,
    SnapshotNotFoundError,
)
from twopass.index.folders import os_errors, sync_folder, write_json
from twopass.index.rows.database import open_for_reading, read_identity, storage_errors
from twopass.index.schema import check_name

_LOG = logging.getLogger("twopass.index")

_DOCUMENTS = "documents.sqlite"
_DESCRIPTION = "snapshot.json"
# No snapshot's name begins with a dot.
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot, described.

    Attributes:
        name: Unique among those of its collection.
        collection: The name of its collection.
        sequence: The state that it holds, as clients see it.
        num_documents: How many documents are in it.
        num_bytes: Its size on disk.
        sha256: Of its documents' file, hexadecimal.
        create_time_us: When it was made, microseconds since 1970.
    """

    name: str
    collection: str
    sequence: str
    num_documents: int
    num_bytes: int
    sha256: str
    create_time_us: int


class SnapshotFolder:
    """The snapshots of all collections of a data folder.

    ::

        <folder>/<collection>/<snapshot>/documents.sqlite
        <folder>/<collection>/<snapshot>/snapshot.json       name, size and checksum of the other

    Safe to use from several threads; every method blocks for the disk.
    """

    def __init__(self, folder: Path) -> None:
        """Makes the folder if need be, and sweeps what was half made or half deleted.

        Raises:
            StorageError: The disk does not allow it.
        """
        self._folder = folder
        with os_errors(folder):
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob(f"*/{_UNFINISHED}*"):
                shutil.rmtree(leftover, ignore_errors=True)
                _LOG.info("leftover removed", extra={"path": str(leftover)})

    def create(self, collection: Collection, name: str = "") -> Snapshot:
        """Copies a collection while it is written to: whole, or not at all.

        Args:
            collection: What to copy.
            name: The snapshot's; empty takes the time of day.

        Raises:
            InvalidSchemaError: The name is none.
            SnapshotExistsError: It is taken.
            StorageError: The disk does not allow it.
        """
        now = time.time_ns() // 1_000
        name = name or _time_of_day(now)
        check_name(name)
        parent = self._folder / collection.name
        unfinished = parent / f"{_UNFINISHED}{uuid.uuid4().hex}"
        with os_errors(parent):
            if (parent / name).exists():
                raise SnapshotExistsError(collection.name, name)
            parent.mkdir(exist_ok=True)
            sync_folder(self._folder)
            try:
                unfinished.mkdir()
                collection.copy_into(unfinished / _DOCUMENTS)
                snapshot = _describe(unfinished / _DOCUMENTS, collection.name, name, now)
                write_json(unfinished / _DESCRIPTION, dataclasses.asdict(snapshot))
                sync_folder(unfinished)
                _take_name(unfinished, parent / name, snapshot)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            sync_folder(parent)
        _LOG.info(
            "snapshot created",
            extra={
                "collection": collection.name,
                "snapshot": name,
                "num_documents": snapshot.num_documents,
                "num_bytes": snapshot.num_bytes,
            },
        )
        return snapshot

    def list(self, collection: str) -> tuple[Snapshot, ...]:
        """The snapshots of a collection, oldest first; of one that is no more, too.

        Raises:
            SnapshotDamagedError: What describes one of them can't be read.
            StorageError: The disk does not allow it.
        """
        if not _is_name(collection):
            return ()
        with os_errors(self._folder):
            described = (self._folder / collection).glob(f"[!.]*/{_DESCRIPTION}")
            found = [_read_description(file) for file in described]
        return tuple(sorted(found, key=lambda snapshot: (snapshot.create_time_us, snapshot.name)))

    def delete(self, collection: str, name: str) -> None:
        """Deletes a snapshot for good.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            StorageError: The disk does not allow it.
        """
        folder = self._existing(collection, name)
        grave = folder.with_name(f"{_UNFINISHED}{uuid.uuid4().hex}")
        with os_errors(folder):
            folder.rename(grave)
            sync_folder(folder.parent)
        shutil.rmtree(grave, ignore_errors=True)  # what is left is swept at the next start
        _LOG.info("snapshot deleted", extra={"collection": collection, "snapshot": name})

    def verified(self, collection: str, name: str) -> Path:
        """The SQLite file of a snapshot, once its checksum has been found right.

        Raises:
            SnapshotNotFoundError: There is none of that name.
            SnapshotDamagedError: It is not what it was when it was made.
            StorageError: The disk does not allow it.
        """
        folder = self._existing(collection, name)
        documents = folder / _DOCUMENTS
        with os_errors(folder):
            snapshot = _read_description(folder / _DESCRIPTION)
            if not documents.is_file() or _sha256(documents) != snapshot.sha256:
                raise SnapshotDamagedError(
                    f"{documents}: its checksum is not the one it was made with; it is damaged: "
                    "restore another snapshot"
                )
        return documents

    def _existing(self, collection: str, name: str) -> Path:
        folder = self._folder / collection / name
        if not (_is_name(collection) and _is_name(name) and folder.is_dir()):
            raise SnapshotNotFoundError(collection, name)
        return folder


def _describe(documents: Path, collection: str, name: str, now: int) -> Snapshot:
    """Looks at a fresh copy, after making sure that it is on disk."""
    with documents.open("rb") as file:
        os.fsync(file.fileno())
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
        sha256=_sha256(documents),
        create_time_us=now,
    )


def _take_name(unfinished: Path, folder: Path, snapshot: Snapshot) -> None:
    try:
        unfinished.rename(folder)
    except OSError as error:
        if folder.exists():  # another call was first
            raise SnapshotExistsError(snapshot.collection, snapshot.name) from error
        raise


def _read_description(file: Path) -> Snapshot:
    try:
        return Snapshot(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise SnapshotDamagedError(
            f"{file}: it is damaged ({error}); delete the snapshot"
        ) from error


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except InvalidSchemaError:
        return False
    return True


def _time_of_day(microseconds: int) -> str:
    moment = datetime.fromtimestamp(microseconds / 1e6, UTC)
    return moment.strftime("%Y%m%d-%H%M%S-%f")
