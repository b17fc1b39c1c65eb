"""API keys, what each may do, and what stays hidden."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from twopass.client import Client, PermissionDeniedError, UnauthenticatedError
from twopass.client import OverloadedError as ClientOverloadedError
from twopass.server.edge.keys import KeysError, make_key
from twopass.server.request import Role
from twopass.v1 import collection_pb2, document_pb2, model_pb2, search_pb2
from twopass.v1.filter_pb2 import Condition, Filter, IdCondition

from .serving import Server, Stubs, code_of

SMALL, ALL, FEW, READER, WRITER = (make_key() for _ in range(5))
KEYS = f"""
[[keys]]
name = "all"
sha256 = "{ALL.sha256}"

[[keys]]
name = "small"
sha256 = "{SMALL.sha256}"
collections = ["mine", "mine-*"]

[[keys]]
name = "reader"
sha256 = "{READER.sha256}"
role = "reader"

[[keys]]
name = "writer"
sha256 = "{WRITER.sha256}"
role = "writer"

[[keys]]
name = "few"
sha256 = "{FEW.sha256}"
calls_per_second = 0.01
"""


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.toml"
    file.write_text(KEYS)
    return file


@pytest.fixture(scope="module")
def closed(tmp_path_factory, keys_file) -> Iterator[Server]:
    """A server that wants keys."""
    with Server(tmp_path_factory.mktemp("closed"), keys=str(keys_file)) as server:
        client = Stubs(server.target, api_key=ALL.secret)
        for name in ("mine", "mine-2", "theirs"):
            client.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name=name))
        yield server


def test_without_a_key_or_with_a_wrong_one_nothing_is_answered(closed):
    models = model_pb2.ListModelsRequest()
    assert code_of(closed.models.ListModels, models) is grpc.StatusCode.UNAUTHENTICATED
    wrong = Stubs(closed.target, api_key=make_key().secret)
    assert code_of(wrong.models.ListModels, models) is grpc.StatusCode.UNAUTHENTICATED
    told = "no API key; give the client one as api_key or by TWOPASS_API_KEY, or send 'Bearer KEY'"
    with (
        Client(closed.target, api_key="") as client,
        pytest.raises(UnauthenticatedError, match=told),
    ):
        client.models()


def test_with_its_key_a_client_is_served(closed):
    with Client(closed.target, api_key=ALL.secret) as client:
        assert len(client.models()) == 2
        assert len(client.rerank("which", ["this", "that"]).hits) == 2


@pytest.fixture(scope="module")
def small(closed) -> Stubs:
    """With a key for some collections alone."""
    return Stubs(closed.target, api_key=SMALL.secret)


@pytest.mark.parametrize("name", ["theirs", "unknown"])
def test_a_key_for_some_collections_learns_nothing_of_others(small, name):
    calls = {
        small.search: search_pb2.SearchRequest(collection=name, query="x"),
        small.batch_search: search_pb2.BatchSearchRequest(
            searches=[
                search_pb2.SearchRequest(collection="mine", query="x"),
                search_pb2.SearchRequest(collection=name, query="x"),
            ]
        ),
        small.collections.CreateCollection: collection_pb2.CreateCollectionRequest(name=name),
        small.collections.GetCollection: collection_pb2.GetCollectionRequest(name=name),
        small.collections.DeleteCollection: collection_pb2.DeleteCollectionRequest(name=name),
        small.collections.RenameCollection: collection_pb2.RenameCollectionRequest(
            name=name, new_name="mine-3"
        ),
        small.collections.UpsertDocuments: collection_pb2.UpsertDocumentsRequest(
            collection=name, documents=[document_pb2.Document(id="a", text="b")]
        ),
        small.collections.DeleteDocuments: collection_pb2.DeleteDocumentsRequest(
            collection=name, ids=["a"]
        ),
        small.collections.GetDocuments: collection_pb2.GetDocumentsRequest(
            collection=name, ids=["a"]
        ),
        small.collections.ListDocuments: collection_pb2.ListDocumentsRequest(collection=name),
        small.collections.CreateSnapshot: collection_pb2.CreateSnapshotRequest(
            collection=name, name="mine"
        ),
        small.collections.ListSnapshots: collection_pb2.ListSnapshotsRequest(collection=name),
        small.collections.DeleteSnapshot: collection_pb2.DeleteSnapshotRequest(
            collection=name, name="mine"
        ),
        small.collections.RestoreSnapshot: collection_pb2.RestoreSnapshotRequest(
            collection=name, name="mine", new_collection="mine-3"
        ),
        small.collections.UpdateAliases: collection_pb2.UpdateAliasesRequest(
            changes=[collection_pb2.AliasChange(alias=name)]
        ),
    }
    for call, request in calls.items():
        assert code_of(call, request) is grpc.StatusCode.PERMISSION_DENIED
    chunk = collection_pb2.UpsertDocumentsStreamRequest(collection=name)
    with pytest.raises(grpc.RpcError) as raised:
        next(small.collections.UpsertDocumentsStream(iter([chunk])))
    assert raised.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_key_for_some_collections_deletes_by_filter_in_those_alone(small):
    wanted = Filter(must=[Condition(ids=IdCondition(ids=["1"]))])
    request = collection_pb2.DeleteDocumentsRequest(collection="theirs", filter=wanted)
    assert code_of(small.collections.DeleteDocuments, request) is grpc.StatusCode.PERMISSION_DENIED
    request.collection = "mine"
    assert small.collections.DeleteDocuments(request).num_deleted == 0


def test_a_key_for_some_collections_restores_into_those_alone(small):
    # Its name is the snapshot's own, not a collection's.
    snapshot = {"collection": "mine", "name": "theirs"}
    small.collections.CreateSnapshot(collection_pb2.CreateSnapshotRequest(**snapshot))
    restore = collection_pb2.RestoreSnapshotRequest(**snapshot, new_collection="theirs-2")
    assert code_of(small.collections.RestoreSnapshot, restore) is grpc.StatusCode.PERMISSION_DENIED
    restore.new_collection = "mine-restored"
    restored = small.collections.RestoreSnapshot(restore)
    assert restored.collection.name == "mine-restored"
    small.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name="mine-restored"))
    small.collections.DeleteSnapshot(collection_pb2.DeleteSnapshotRequest(**snapshot))


def test_a_key_for_some_collections_renames_to_their_names_alone(small, closed):
    rename = collection_pb2.RenameCollectionRequest(name="mine-2", new_name="theirs-2")
    assert code_of(small.collections.RenameCollection, rename) is grpc.StatusCode.PERMISSION_DENIED
    rename.new_name = "mine-renamed"
    renamed = small.collections.RenameCollection(rename).collection
    assert renamed.name == "mine-renamed"
    with Client(closed.target, api_key=SMALL.secret) as client:
        assert client.rename_collection("mine-renamed", "mine-2").name == "mine-2"


def test_a_key_for_some_collections_uses_and_sees_those(small, closed):
    listed = small.collections.ListCollections(collection_pb2.ListCollectionsRequest())
    assert [collection.name for collection in listed.collections] == ["mine", "mine-2"]
    get = collection_pb2.GetCollectionRequest(name="mine-2")
    assert small.collections.GetCollection(get).collection.name == "mine-2"
    refused = pytest.raises(PermissionDeniedError, match="'small' may not use 'theirs'")
    with Client(closed.target, api_key=SMALL.secret) as client, refused:
        client.get_collection("theirs")


# Every rpc that changes something, each with a request that would be answered NOT_FOUND or
# INVALID_ARGUMENT if the caller might make it; the least role that may is beside it.
CHANGES = [
    ("UpsertDocuments", Role.WRITER),
    ("UpsertDocumentsStream", Role.WRITER),
    ("DeleteDocuments", Role.WRITER),
    ("CreateCollection", Role.ADMIN),
    ("DeleteCollection", Role.ADMIN),
    ("RenameCollection", Role.ADMIN),
    ("UpdateAliases", Role.ADMIN),
    ("CreateSnapshot", Role.ADMIN),
    ("DeleteSnapshot", Role.ADMIN),
    ("RestoreSnapshot", Role.ADMIN),
]
SERVICE = "/twopass.v1.CollectionService/"


@pytest.mark.parametrize(("rpc", "least"), CHANGES, ids=[rpc for rpc, _ in CHANGES])
@pytest.mark.parametrize("role", [Role.READER, Role.WRITER, Role.ADMIN])
def test_a_role_is_refused_what_it_may_not_do_whatever_it_sends(closed, rpc, least, role):
    secret = {Role.READER: READER, Role.WRITER: WRITER, Role.ADMIN: ALL}[role].secret
    # Bytes that are no message: who may not call is told so, and who may is told what is wrong.
    call = closed.channel.stream_stream(SERVICE + rpc)
    answers = call(iter([b"\xff\xff"]), metadata=[("authorization", f"Bearer {secret}")])
    with pytest.raises(grpc.RpcError) as raised:
        list(answers)
    ranks = list(Role)
    allowed = ranks.index(role) >= ranks.index(least)
    refused = grpc.StatusCode.PERMISSION_DENIED
    assert raised.value.code() is (grpc.StatusCode.INVALID_ARGUMENT if allowed else refused)
    if not allowed:
        assert f"has the role {role}, this call needs " in raised.value.details()


def test_a_reader_reads(closed):
    reader = Stubs(closed.target, api_key=READER.secret)
    get = collection_pb2.GetCollectionRequest(name="mine")
    assert reader.collections.GetCollection(get).collection.name == "mine"
    assert reader.models.ListModels(model_pb2.ListModelsRequest()).models


def test_a_large_message_of_an_unknown_caller_is_refused_unread(closed):
    """Decoding it would take 7 s and gigabytes; 100 of them are refused within the time of few."""
    content = b"\x12\x00" * (30 * 2**20)  # of a Rerank: 31 million candidates, all of them empty
    options = [("grpc.max_send_message_length", -1)]
    before = closed.loop_seconds()
    with grpc.insecure_channel(closed.target, options) as channel:
        call = channel.unary_unary("/twopass.v1.RerankService/Rerank")
        for _ in range(10):
            with pytest.raises(grpc.RpcError) as raised:
                call(content)
            assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED
    # A millisecond each, measured on a quiet machine; decoded once, they would take seconds.
    assert closed.loop_seconds() - before < 0.5


def test_a_quota_that_is_used_up_says_when_to_come_again(closed):
    with Client(closed.target, api_key=FEW.secret) as client:
        client.models()
        with pytest.raises(ClientOverloadedError, match="the key 'few' may make") as raised:
            client.models()
    assert 50 < raised.value.retry_after <= 100


def test_keys_are_read_again_when_their_file_changes(tmp_path):
    file = tmp_path / "keys.toml"
    file.write_text(KEYS)
    with Server(tmp_path / "data", keys=str(file)) as server:
        added = make_key()
        stubs = Stubs(server.target, api_key=added.secret)
        models = model_pb2.ListModelsRequest()
        assert code_of(stubs.models.ListModels, models) is grpc.StatusCode.UNAUTHENTICATED
        file.write_text(f'[[keys]]\nname = "new"\nsha256 = "{added.sha256}"\n')
        assert stubs.models.ListModels(models).models
        gone = Stubs(server.target, api_key=ALL.secret)
        assert code_of(gone.models.ListModels, models) is grpc.StatusCode.UNAUTHENTICATED
        file.write_text("keys = 3")  # a slip of the hand locks nobody out
        assert stubs.models.ListModels(models).models


def test_no_key_is_in_the_log_or_in_an_answer(closed, caplog):
    secret = make_key().secret
    stubs = Stubs(closed.target, api_key=secret)
    with caplog.at_level("DEBUG"), pytest.raises(grpc.RpcError) as raised:
        stubs.models.ListModels(model_pb2.ListModelsRequest())
    assert secret not in str(raised.value) + caplog.text


def test_health_is_open_and_reflection_closed_unless_set_otherwise(closed, tmp_path, keys_file):
    def answers(server: Server, key: str | None = None) -> tuple[bool, bool]:
        channel = Stubs(server.target, api_key=key).channel
        health = health_pb2_grpc.HealthStub(channel)
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        return (
            answered(lambda: health.Check(health_pb2.HealthCheckRequest())),
            answered(lambda: list(reflection.ServerReflectionInfo(iter([ask])))),
        )

    assert answers(closed) == (True, False)
    assert answers(closed, ALL.secret) == (True, True)
    flags = {"open_health": False, "open_reflection": True, "keys": str(keys_file)}
    with Server(tmp_path, **flags) as server:
        assert answers(server) == (False, True)
        assert answers(server, ALL.secret) == (True, True)


def answered(call) -> bool:
    code = grpc.StatusCode.OK
    try:
        call()
    except grpc.RpcError as error:
        code = error.code()
    assert code in (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)
    return code is grpc.StatusCode.OK


def test_a_file_of_keys_that_is_none_stops_the_start(tmp_path):
    with pytest.raises(KeysError, match=r"none\.toml: No such file"):
        Server(tmp_path / "data", keys=str(tmp_path / "none.toml"))
