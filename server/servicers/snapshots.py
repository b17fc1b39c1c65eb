"""The rpcs of CollectionService that copy collections and make collections of the copies."""

import asyncio

from twopass.index.store.snapshots import Snapshot
from twopass.index.store.store import CollectionStore
from twopass.server.request import Request
from twopass.server.servicers.schemas import collection_message
from twopass.v1 import collection_pb2


class SnapshotRpcs:
    """Translates; the store does the work."""

    def __init__(self, store: CollectionStore) -> None:
        self._store = store

    async def create_snapshot(
        self, message: collection_pb2.CreateSnapshotRequest, request: Request
    ) -> collection_pb2.CreateSnapshotResponse:
        """Copies a collection as it is now."""
        collection = self._store.get(message.collection)
        snapshots = self._store.snapshots
        snapshot = await asyncio.to_thread(snapshots.create, collection, message.name)
        return collection_pb2.CreateSnapshotResponse(snapshot=_message(snapshot))

    async def list_snapshots(
        self, message: collection_pb2.ListSnapshotsRequest, request: Request
    ) -> collection_pb2.ListSnapshotsResponse:
        """Returns a collection's snapshots, oldest first."""
        snapshots = await asyncio.to_thread(self._store.snapshots.list, message.collection)
        return collection_pb2.ListSnapshotsResponse(snapshots=map(_message, snapshots))

    async def delete_snapshot(
        self, message: collection_pb2.DeleteSnapshotRequest, request: Request
    ) -> collection_pb2.DeleteSnapshotResponse:
        """Deletes a snapshot."""
        await asyncio.to_thread(self._store.snapshots.delete, message.collection, message.name)
        return collection_pb2.DeleteSnapshotResponse()

    async def restore_snapshot(
        self, message: collection_pb2.RestoreSnapshotRequest, request: Request
    ) -> collection_pb2.RestoreSnapshotResponse:
        """Makes a new collection of a snapshot."""
        restored = await asyncio.to_thread(
            self._store.restore, message.collection, message.name, message.new_collection
        )
        return collection_pb2.RestoreSnapshotResponse(collection=collection_message(restored))


def _message(snapshot: Snapshot) -> collection_pb2.Snapshot:
    message = collection_pb2.Snapshot(
        name=snapshot.name,
        collection=snapshot.collection,
        sequence=snapshot.sequence,
        num_documents=snapshot.num_documents,
        num_bytes=snapshot.num_bytes,
        sha256=snapshot.sha256,
    )
    message.create_time.FromMicroseconds(snapshot.create_time_us)
    return message
