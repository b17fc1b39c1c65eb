from datetime import UTC, datetime

import pytest
from google.protobuf.json_format import ParseDict
from grpc import StatusCode

from twopass.client import DataLossError, Snapshot
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer

STORED = {
    "name": "first",
    "collection": "docs",
    "sequence": "s5",
    "numDocuments": "5",
    "numBytes": "4096",
    "sha256": "abc",
    "createTime": "2025-03-01T12:00:00.5Z",
}
FIRST = Snapshot(
    name="first",
    collection="docs",
    sequence="s5",
    num_documents=5,
    num_bytes=4096,
    sha256="abc",
    create_time=datetime(2025, 3, 1, 12, 0, 0, 500_000, UTC),
)


class Snapshots(CollectionServiceServicer):
    def __init__(self) -> None:
        self.requests = []
        self.stored = ParseDict(STORED, collection_pb2.Snapshot())

    def CreateSnapshot(self, request, context):
        self.requests.append(request)
        return collection_pb2.CreateSnapshotResponse(snapshot=self.stored)

    def ListSnapshots(self, request, context):
        self.requests.append(request)
        return collection_pb2.ListSnapshotsResponse(snapshots=[self.stored])

    def DeleteSnapshot(self, request, context):
        self.requests.append(request)
        return collection_pb2.DeleteSnapshotResponse()

    def RestoreSnapshot(self, request, context):
        self.requests.append(request)
        if request.name == "damaged":
            context.abort(StatusCode.DATA_LOSS, "documents.sqlite: damaged")
        collection = collection_pb2.Collection(name=request.new_collection, num_documents=5)
        return collection_pb2.RestoreSnapshotResponse(collection=collection)


def test_snapshots_are_made_listed_restored_and_deleted(serve, connect):
    servicer = Snapshots()
    client = connect(serve(servicer))
    assert client.create_snapshot("docs") == FIRST
    assert client.create_snapshot("docs", "first") == FIRST
    assert client.list_snapshots("docs") == (FIRST,)
    assert client.restore_snapshot("docs", "first", "again").name == "again"
    assert client.delete_snapshot("docs", "first") is None
    assert servicer.requests == [
        collection_pb2.CreateSnapshotRequest(collection="docs"),
        collection_pb2.CreateSnapshotRequest(collection="docs", name="first"),
        collection_pb2.ListSnapshotsRequest(collection="docs"),
        collection_pb2.RestoreSnapshotRequest(
            collection="docs", name="first", new_collection="again"
        ),
        collection_pb2.DeleteSnapshotRequest(collection="docs", name="first"),
    ]


def test_a_damaged_snapshot_is_an_error_of_its_own(serve, connect):
    client = connect(serve(Snapshots()))
    with pytest.raises(DataLossError, match=r"documents\.sqlite: damaged"):
        client.restore_snapshot("docs", "damaged", "again")
