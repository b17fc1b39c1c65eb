"""Snapshots: copies of collections as they were at one moment."""

from dataclasses import dataclass
from datetime import datetime

from twopass.client import _rpcs
from twopass.client._call import Call
from twopass.client._collections import Collection, collection_of
from twopass.client._values import moment, text
from twopass.v1 import collection_pb2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a collection as it was at one moment.

    Attributes:
        name: Its name, unique among those of its collection.
        collection: The name of the collection that was copied.
        sequence: The state of the collection that it holds.
        num_documents: Documents in it.
        num_bytes: Its size on the server's disk.
        sha256: Hash of its documents, hexadecimal.
        create_time: When it was made, in UTC.
        damaged_reason: Why it can't be restored, and the way out. Empty: it can.
    """

    name: str
    collection: str
    sequence: str
    num_documents: int
    num_bytes: int
    sha256: str
    create_time: datetime
    damaged_reason: str = ""


def create_snapshot(
    collection: str, name: str = "", *, timeout: float | None = None
) -> Call[Snapshot]:
    """Copies a collection as it is at one moment, while writes and searches go on.

    The snapshot stays when its collection is deleted.

    Args:
        collection: The collection's name or alias.
        name: The snapshot's: 1 to 64 of a-z, 0-9, '-' and '_', beginning with a letter or digit.
            Empty: date and time in UTC.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: The name is taken.
        NotFoundError: No such collection.
    """

    def created(response: collection_pb2.CreateSnapshotResponse) -> Snapshot:
        return _snapshot(response.snapshot)

    request = collection_pb2.CreateSnapshotRequest(
        collection=text(collection, "collection"), name=text(name, "name")
    )
    return Call(_rpcs.CREATE_SNAPSHOT, request, created, timeout)


def list_snapshots(collection: str, *, timeout: float | None = None) -> Call[tuple[Snapshot, ...]]:
    """Returns the snapshots of a collection, oldest first; empty if it has none.

    Args:
        collection: The collection's own name, not an alias. The collection need not exist any more.
        timeout: Seconds each call may take; several calls are made where one answer can't hold all
            snapshots. None: the client's default; `math.inf`: no deadline.
    """

    def listed(*pages: collection_pb2.ListSnapshotsResponse) -> tuple[Snapshot, ...]:
        return tuple(_snapshot(message) for page in pages for message in page.snapshots)

    request = collection_pb2.ListSnapshotsRequest(collection=text(collection, "collection"))
    return Call(_rpcs.LIST_SNAPSHOTS, request, listed, timeout, is_paged=True)


def delete_snapshot(collection: str, name: str, *, timeout: float | None = None) -> Call[None]:
    """Deletes a snapshot.

    Args:
        collection: The snapshot's collection, by its own name, not an alias.
        name: The snapshot's name.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        NotFoundError: No such snapshot.
    """

    def deleted(response: collection_pb2.DeleteSnapshotResponse) -> None:  # noqa: ARG001
        return None

    request = collection_pb2.DeleteSnapshotRequest(
        collection=text(collection, "collection"), name=text(name, "name")
    )
    return Call(_rpcs.DELETE_SNAPSHOT, request, deleted, timeout)


def restore_snapshot(
    collection: str, name: str, new_collection: str, *, timeout: float | None = None
) -> Call[Collection]:
    """Verifies a snapshot's checksum, makes a new collection of it, and returns the collection.

    Args:
        collection: The snapshot's collection, by its own name, not an alias.
        name: The snapshot's name.
        new_collection: The name of the collection to make.
        timeout: Seconds the call may take. None: the client's default; `math.inf`: no deadline.

    Raises:
        AlreadyExistsError: The new name is taken.
        DataLossError: The snapshot is damaged.
        NotFoundError: No such snapshot.
    """

    def restored(response: collection_pb2.RestoreSnapshotResponse) -> Collection:
        return collection_of(response.collection)

    request = collection_pb2.RestoreSnapshotRequest(
        collection=text(collection, "collection"),
        name=text(name, "name"),
        new_collection=text(new_collection, "new_collection"),
    )
    return Call(_rpcs.RESTORE_SNAPSHOT, request, restored, timeout)


def _snapshot(message: collection_pb2.Snapshot) -> Snapshot:
    return Snapshot(
        name=message.name,
        collection=message.collection,
        sequence=message.sequence,
        num_documents=message.num_documents,
        num_bytes=message.num_bytes,
        sha256=message.sha256,
        create_time=moment(message.create_time),
        damaged_reason=message.damaged_reason,
    )
