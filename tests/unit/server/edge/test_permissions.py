import pytest
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from twopass.engine.v1 import engine_pb2
from twopass.server.edge.permissions import (
    PERMISSIONS,
    Permission,
    UndeclaredRpcError,
    may,
    permissions_of,
)
from twopass.server.edge.reflection import reflection_services
from twopass.server.edge.rpc import Edge
from twopass.server.request import Role
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)

SERVICES: list[ServiceDescriptor] = [
    service
    for module in (
        *(collection_pb2, embed_pb2, feedback_pb2, model_pb2, report_pb2, rerank_pb2),
        *(search_pb2, server_pb2, engine_pb2),
        *(health_pb2, reflection_pb2),
    )
    for service in module.DESCRIPTOR.services_by_name.values()
] + [service for service, _ in reflection_services(()) if "v1alpha" not in service.full_name]
RPCS = [method.full_name for service in SERVICES for method in service.methods]

# Written out a second time: a slip in the table opens what should be closed.
READERS_MAY = {
    "Search", "BatchSearch", "Rerank", "RerankStream", "Embed",
    "Describe", "Compute", "ListModels", "GetModel", "GetServerInfo",
    "GetCollection", "ListCollections", "GetDocuments", "ListDocuments", "ListSnapshots",
    "CountDocuments", "GetFacets", "GetReport", "ListReports",
    "ListShadows",
    "Check", "List", "Watch", "ServerReflectionInfo",
}  # fmt: skip
WRITERS_MAY = READERS_MAY | {
    "UpsertDocuments", "UpsertDocumentsStream", "DeleteDocuments", "UpdateMetadata",
    "RecordFeedback", "ExportFeedback", "DeleteFeedback",
}  # fmt: skip


@pytest.mark.parametrize("rpc", RPCS)
def test_every_rpc_of_every_service_has_a_permission(rpc):
    assert rpc in PERMISSIONS


def test_the_table_names_no_rpc_that_does_not_exist():
    ours = {name for name in PERMISSIONS if name.startswith(("twopass.", "grpc."))}
    assert ours == set(RPCS)


@pytest.mark.parametrize("rpc", RPCS)
@pytest.mark.parametrize("role", Role)
def test_each_role_may_call_what_it_is_for_and_nothing_else(role, rpc):
    allowed = {Role.READER: READERS_MAY, Role.WRITER: WRITERS_MAY}
    expected = role is Role.ADMIN or rpc.rpartition(".")[2] in allowed[role]
    assert may(role, PERMISSIONS[rpc]) == expected


def test_readers_may_use_every_dialect_and_nobody_without_a_key_more_than_its_documents():
    dialects = {
        name: permission
        for name, permission in PERMISSIONS.items()
        if not name.startswith(("twopass.", "grpc."))
    }
    is_open = {name for name, needed in dialects.items() if needed is Permission.OPEN}
    assert is_open == {"http.unknown", "http.docs", "http.openapi", "http.ui"}
    assert set(dialects.values()) == {Permission.OPEN, Permission.READ}


def test_a_service_that_is_opened_needs_nothing():
    (health,) = health_pb2.DESCRIPTOR.services_by_name.values()
    opened = permissions_of(health, open_services=[health.full_name])
    assert set(opened.values()) == {Permission.OPEN}
    assert Permission.OPEN not in permissions_of(health).values()


def test_an_rpc_that_is_not_declared_stops_the_start():
    file = FileDescriptorProto(name="new.proto", package="test")
    file.message_type.add(name="M")
    rpc = {"name": "Leak", "input_type": ".test.M", "output_type": ".test.M"}
    file.service.add(name="NewService").method.add(**rpc)
    pool = DescriptorPool()
    pool.Add(file)
    service = pool.FindServiceByName("test.NewService")
    with pytest.raises(UndeclaredRpcError, match=r"test\.NewService\.Leak"):
        Edge().add_service(service, object())
