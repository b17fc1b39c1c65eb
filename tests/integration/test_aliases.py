"""Aliases over a socket: what they stand for, who may change them, and what stays of them."""

import threading

import grpc
import pytest

from twopass.client import (
    AlreadyExistsError,
    Client,
    Document,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
)
from twopass.server.edge.keys import make_key
from twopass.v1.collection_pb2 import (
    AliasChange,
    UpdateAliasesRequest,
    UpsertDocumentsStreamRequest,
)

from .corpus import document
from .serving import Server, code_of

OLD, NEW = "texts-2025", "texts-2026"


@pytest.fixture
def client(server):
    """With the collections `OLD` and `NEW`, a document in each; `texts` stands for `OLD`."""
    with Client(server.target) as client:
        for name in (OLD, NEW):
            client.create_collection(name)
            client.upsert(name, [Document(name, f"what was written in {name}")])
        client.update_aliases({"texts": OLD})
        yield client
        left = {alias: None for name in (OLD, NEW) for alias in client.get_collection(name).aliases}
        if left:
            client.update_aliases(left)
        for name in (OLD, NEW):
            client.delete_collection(name)


def found(client, collection="texts", **options):
    return [hit.id for hit in client.search(collection, "written", rerank=False, **options).hits]


def test_an_alias_is_a_name_wherever_documents_are_written_read_or_searched(client):
    summary = client.upsert("texts", [Document("a", "one"), Document("b", "two")])
    assert set(found(client, min_sequence=summary.sequence)) == {OLD, "a", "b"}
    assert [each.id for each in client.get("texts", ["a"])] == ["a"]
    assert client.delete("texts", ["a"]).num_deleted == 1
    assert {each.id for each in client.documents("texts", page_size=1)} == {OLD, "b"}
    collection = client.get_collection("texts")
    assert (collection.name, collection.aliases, collection.num_documents) == (OLD, ("texts",), 2)
    snapshot = client.create_snapshot("texts", "first")
    assert (snapshot.collection, client.list_snapshots("texts")) == (OLD, ())
    client.delete_snapshot(OLD, "first")
    assert found(client, NEW) == [NEW]


def test_a_switch_is_seen_by_what_begins_later(client):
    assert found(client) == [OLD]
    assert client.update_aliases({"texts": NEW})["texts"] == NEW
    assert found(client) == [NEW]
    aliases = {each.name: each.aliases for each in client.list_collections()}
    assert (aliases[OLD], aliases[NEW]) == ((), ("texts",))


def test_several_are_changed_together_or_not_at_all(client):
    assert client.update_aliases({"texts": NEW, "before": OLD}) == {"before": OLD, "texts": NEW}
    with pytest.raises(NotFoundError, match="collection 'nowhere' does not exist"):
        client.update_aliases({"texts": OLD, "before": "nowhere"})
    assert found(client) == [NEW]
    assert client.update_aliases({"texts": None, "before": None}) == {}


def test_names_that_are_taken_are_refused(client):
    with pytest.raises(AlreadyExistsError, match=f"collection '{NEW}' exists already"):
        client.update_aliases({NEW: OLD})
    with pytest.raises(InvalidArgumentError, match="'texts' is an alias; name its collection"):
        client.update_aliases({"more": "texts"})
    with pytest.raises(AlreadyExistsError, match=f"'texts' is an alias of collection '{OLD}'"):
        client.create_collection("texts")
    client.create_snapshot(OLD, "first")
    with pytest.raises(AlreadyExistsError, match="'texts' is an alias"):
        client.restore_snapshot(OLD, "first", "texts")
    client.delete_snapshot(OLD, "first")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([("a", OLD)] * 1_001, "changes: 1,001 given, at most 1,000; change them in several calls"),
        ([("a", OLD), ("a", "")], "changes[1].alias: 'a' is changed twice"),
        ([("a", OLD), ("../a", OLD)], "changes[1].alias: '../a' given; 1 to 64"),
        ([("a", OLD), ("", "")], "changes[1].alias: '' given; 1 to 64"),
    ],
)
def test_bad_changes_are_named_and_none_is_made(server, client, changes, message):
    request = UpdateAliasesRequest(changes=[AliasChange(alias=a, collection=c) for a, c in changes])
    with pytest.raises(grpc.RpcError) as raised:
        server.collections.UpdateAliases(request)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith(message)
    assert client.get_collection(OLD).aliases == ("texts",)


def test_without_changes_the_aliases_are_told(client):
    assert client.update_aliases({}) == client.update_aliases({"nowhere": None}) == {"texts": OLD}


def test_a_collection_is_not_deleted_while_it_has_aliases(client):
    for name in (OLD, "texts"):
        with pytest.raises(FailedPreconditionError, match=f"'{OLD}' can't be deleted .*: 'texts'"):
            client.delete_collection(name)
    assert found(client) == [OLD]


def test_a_sequence_of_the_old_collection_is_refused_by_the_new(client):
    sequence = client.upsert("texts", [Document("a", "one")]).sequence
    client.update_aliases({"texts": NEW})
    with pytest.raises(FailedPreconditionError, match=f"is not of collection '{NEW}'"):
        found(client, min_sequence=sequence)


def test_a_search_ends_with_the_collection_it_began_with(server, client):
    answers = []
    server.encoder.entered.clear()
    server.encoder.gate.clear()
    try:
        # Twenty seconds for an encoder that waits for the switch, rather than words alone.
        searching = threading.Thread(target=lambda: answers.append(found(client, timeout=20)))
        searching.start()
        assert server.encoder.entered.wait(10)
        client.update_aliases({"texts": NEW})
    finally:
        server.encoder.gate.set()
    searching.join()
    assert answers == [[OLD]]
    assert found(client) == [NEW]


def test_a_stream_goes_on_writing_to_the_collection_it_began_with(server, client):
    switched = threading.Event()

    def chunks():
        yield UpsertDocumentsStreamRequest(collection="texts", documents=[document("a", "one")])
        switched.wait(10)
        yield UpsertDocumentsStreamRequest(collection="texts", documents=[document("b", "two")])

    answers = server.collections.UpsertDocumentsStream(chunks())
    next(answers)
    client.update_aliases({"texts": NEW})
    switched.set()
    assert next(answers).num_documents == 2
    assert {each.id for each in client.documents(OLD)} == {OLD, "a", "b"}
    assert [each.id for each in client.documents("texts")] == [NEW]


def test_a_new_server_on_the_same_folder_has_the_aliases(tmp_path):
    with Server(tmp_path) as first, Client(first.target) as client:
        for name in (OLD, NEW):
            client.create_collection(name)
            client.upsert(name, [Document(name, f"what was written in {name}")])
        client.update_aliases({"texts": OLD, "other": OLD})
        client.update_aliases({"texts": NEW, "other": None})
    with Server(tmp_path) as second, Client(second.target) as client:
        assert found(client) == [NEW]
        assert client.get_collection(OLD).aliases == ()
        assert client.get_collection("texts").aliases == ("texts",)


# --- keys ----------------------------------------------------------------------------------------

ALL, SMALL = make_key(), make_key()
KEYS = f"""
[[keys]]
name = "all"
sha256 = "{ALL.sha256}"

[[keys]]
name = "small"
sha256 = "{SMALL.sha256}"
collections = ["mine*"]
"""


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A server that wants keys; it has collections of either key, and an alias of each kind."""
    folder = tmp_path_factory.mktemp("closed")
    (folder / "keys.toml").write_text(KEYS)
    with Server(folder / "data", keys=str(folder / "keys.toml")) as server:
        with Client(server.target, api_key=ALL.secret) as everyone:
            for name in ("mine-1", "mine-2", "theirs"):
                everyone.create_collection(name)
                everyone.upsert(name, [Document(name, "what was written")])
            everyone.update_aliases(
                {"mine": "mine-1", "mine-borrowed": "theirs", "hidden": "mine-1"}
            )
        yield server


@pytest.fixture
def small(closed):
    """With a key for some names alone."""
    with Client(closed.target, api_key=SMALL.secret) as client:
        yield client


def test_a_key_may_use_an_alias_by_its_name_alone(small):
    assert found(small, "mine") == ["mine-1"]
    assert found(small, "mine-borrowed") == ["theirs"]
    with pytest.raises(PermissionDeniedError, match="may not use 'theirs'"):
        found(small, "theirs")
    with pytest.raises(PermissionDeniedError, match="may not use 'hidden'"):
        found(small, "hidden")


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ({"theirs-too": "mine-1"}, "theirs-too"),
        ({"mine-new": "theirs"}, "theirs"),
        ({"hidden": None}, "hidden"),
        ({"mine-borrowed": "mine-1"}, "theirs"),
        ({"mine-borrowed": None}, "theirs"),
    ],
)
def test_a_key_changes_an_alias_where_it_may_use_all_that_is_named(small, changes, refused):
    with pytest.raises(PermissionDeniedError, match=f"'small' may not use '{refused}'"):
        small.update_aliases({"mine": "mine-2"} | changes)
    assert found(small, "mine") == ["mine-1"]


def test_aliases_that_a_key_may_not_use_are_not_named_to_it(small):
    seen = {"mine": "mine-1", "mine-borrowed": "theirs"}
    assert small.update_aliases({"mine": "mine-1"}) == seen
    assert small.get_collection("mine-1").aliases == ("mine",)
    (first, _) = small.list_collections()
    assert (first.name, first.aliases) == ("mine-1", ("mine",))
    with pytest.raises(FailedPreconditionError) as raised:
        small.delete_collection("mine-1")
    assert "hidden" not in str(raised.value)
    assert "'mine'" in str(raised.value)


def test_without_a_key_no_alias_is_changed(closed):
    request = UpdateAliasesRequest(changes=[AliasChange(alias="mine")])
    code = code_of(closed.collections.UpdateAliases, request)
    assert code is grpc.StatusCode.UNAUTHENTICATED
