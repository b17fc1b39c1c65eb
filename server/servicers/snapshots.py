"""The rpcs of CollectionService that copy collections and make collections of the copies."""

from twopass.index.store.snapshots import Snapshot
from twopass.server.collections import Collections
from twopass.server.request import Request
from twopass.server.servicers.schemas import collection_message
from twopass.v1 import collection_pb2


class SnapshotRpcs:
    """Translates; `Collections` does the work."""

    def __init__(self, collections: Collections) -> None:
        self._collections = collections

    async def create_snapshot(
        self, message: collection_pb2.CreateSnapshotRequest, request: Request
    ) -> collection_pb2.CreateSnapshotResponse:
        """Copies a collection as it is now."""
        snapshot = await self._collections.create_snapshot(
            message.collection, message.name, request
        )
        return collection_pb2.CreateSnapshotResponse(snapshot=_message(snapshot))

    async def list_snapshots(
        self, message: collection_pb2.ListSnapshotsRequest, request: Request
    ) -> collection_pb2.ListSnapshotsResponse:
        """Returns a collection's snapshots, oldest first."""
        snapshots = await self._collections.list_snapshots(message.collection, request)
        return collection_pb2.ListSnapshotsResponse(snapshots=map(_message, snapshots))

    async def delete_snapshot(
        self, message: collection_pb2.DeleteSnapshotRequest, request: Request
    ) -> collection_pb2.DeleteSnapshotResponse:
        """Deletes a snapshot."""
        await self._collections.delete_snapshot(message.collection, message.name, request)
        return collection_pb2.DeleteSnapshotResponse()

    async def restore_snapshot(
        self, message: collection_pb2.RestoreSnapshotRequest, request: Request
    ) -> collection_pb2.RestoreSnapshotResponse:
        """Makes a new collection of a snapshot."""
        restored = await self._collections.restore(
            message.collection, message.name, message.new_collection, request
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
