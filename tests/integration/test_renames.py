"""Renames over a socket: nobody who uses an alias misses a collection, and nothing is lost."""

import threading

import pytest

from twopass.client import (
    AlreadyExistsError,
    AsyncClient,
    Client,
    Document,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest

from .corpus import document
from .serving import Server

NAME, NEW = "notes", "notes-1"


@pytest.fixture
def client(server):
    """With the collection `NAME`, which holds the document `a`."""
    with Client(server.target) as client:
        client.create_collection(NAME)
        client.upsert(NAME, [Document("a", "what was written")])
        yield client
        for collection in client.list_collections():
            if collection.name.startswith(NAME):
                client.update_aliases(dict.fromkeys(collection.aliases))
                client.delete_collection(collection.name)


def found(client, collection, **options):
    return [hit.id for hit in client.search(collection, "written", rerank=False, **options).hits]


def test_a_collection_is_answered_by_its_new_name_with_all_that_is_its_own(client):
    before = client.get_collection(NAME)
    client.update_aliases({f"{NAME}-live": NAME})
    client.create_snapshot(NAME, "first")
    renamed = client.rename_collection(NAME, NEW)
    assert (renamed.name, renamed.aliases) == (NEW, (f"{NAME}-live",))
    assert (renamed.sequence, renamed.create_time) == (before.sequence, before.create_time)
    assert renamed == client.get_collection(NEW)
    assert found(client, NEW, min_sequence=before.sequence) == ["a"]
    assert found(client, f"{NAME}-live") == ["a"]
    with pytest.raises(NotFoundError, match=f"collection '{NAME}' does not exist"):
        found(client, NAME)
    (snapshot,) = client.list_snapshots(NEW)
    assert (snapshot.name, snapshot.collection) == ("first", NEW)
    assert client.list_snapshots(NAME) == ()
    assert client.restore_snapshot(NEW, "first", NAME).num_documents == 1
    client.delete_snapshot(NEW, "first")


def test_a_name_in_use_becomes_an_alias_and_is_switched(client):
    renamed = client.rename_collection(NAME, NEW, keep_alias=True)
    assert renamed.aliases == (NAME,)
    assert found(client, NAME) == ["a"]
    client.create_collection(f"{NAME}-2")
    client.upsert(f"{NAME}-2", [Document("b", "what was written anew")])
    client.update_aliases({NAME: f"{NAME}-2"})
    assert found(client, NAME) == ["b"]
    client.delete_collection(NEW)


def test_an_alias_becomes_the_name_of_its_collection(client):
    client.rename_collection(NAME, NEW, keep_alias=True)
    renamed = client.rename_collection(NEW, NAME)
    assert (renamed.name, renamed.aliases) == (NAME, ())


@pytest.mark.parametrize(
    ("name", "new_name", "error", "said"),
    [
        (NAME, f"{NAME}-2", AlreadyExistsError, "exists already; rename or delete it first"),
        (NAME, f"{NAME}-alias", AlreadyExistsError, "is an alias of collection 'notes-2'; remove"),
        (NAME, NAME, InvalidArgumentError, "new_name: 'notes' is its name already; choose"),
        (NAME, "No Name", InvalidArgumentError, "new_name: 'No Name' given; 1 to 64"),
        (NAME, "", InvalidArgumentError, "new_name: '' given; 1 to 64"),
        (f"{NAME}-alias", NEW, InvalidArgumentError, "name: 'notes-alias' is an alias of"),
        ("nowhere", NEW, NotFoundError, "collection 'nowhere' does not exist"),
        (NAME, f"{NAME}-gone", FailedPreconditionError, "'notes-gone' are kept .*: 'kept'"),
    ],
)
def test_what_can_not_be_says_why_and_what_to_do(client, name, new_name, error, said):
    for other in (f"{NAME}-2", f"{NAME}-gone"):
        client.create_collection(other)
    client.update_aliases({f"{NAME}-alias": f"{NAME}-2"})
    client.create_snapshot(f"{NAME}-gone", "kept")
    client.delete_collection(f"{NAME}-gone")
    try:
        with pytest.raises(error, match=said):
            client.rename_collection(name, new_name)
        assert found(client, NAME) == ["a"]
    finally:
        client.delete_snapshot(f"{NAME}-gone", "kept")


def test_an_alias_with_a_collection_s_name_says_how_it_can_be_one(client):
    client.create_collection(f"{NAME}-2")
    with pytest.raises(AlreadyExistsError, match="rename it with keep_alias, which makes its name"):
        client.update_aliases({NAME: f"{NAME}-2"})


def test_a_search_under_way_ends_as_it_began(server, client):
    answers = []
    server.encoder.entered.clear()
    server.encoder.gate.clear()
    try:
        # Twenty seconds for an encoder that waits for the rename, rather than words alone.
        searching = threading.Thread(target=lambda: answers.append(found(client, NAME, timeout=20)))
        searching.start()
        assert server.encoder.entered.wait(10)
        client.rename_collection(NAME, NEW)
    finally:
        server.encoder.gate.set()
    searching.join()
    assert answers == [["a"]]


def test_a_stream_under_way_goes_on_writing_to_the_collection(server, client):
    is_renamed = threading.Event()

    def chunks():
        yield UpsertDocumentsStreamRequest(collection=NAME, documents=[document("b", "one")])
        is_renamed.wait(10)
        client.create_collection(NAME)
        yield UpsertDocumentsStreamRequest(collection=NAME, documents=[document("c", "two")])

    answers = server.collections.UpsertDocumentsStream(chunks())
    next(answers)
    client.rename_collection(NAME, NEW)
    is_renamed.set()
    assert next(answers).num_documents == 2
    assert {each.id for each in client.documents(NEW)} == {"a", "b", "c"}
    assert list(client.documents(NAME)) == []


def test_pages_of_a_listing_follow_each_other_over_a_rename(server, client):
    client.upsert(NAME, [Document(f"d{i}", "x") for i in range(5)])
    listing = client.documents(NAME, page_size=3)
    first = [next(listing).id for _ in range(3)]
    client.rename_collection(NAME, NEW, keep_alias=True)
    assert len({*first, *(each.id for each in listing)}) == 6


async def test_the_client_for_asyncio_renames_too(server, client):
    async with AsyncClient(server.target) as asynchronous:
        renamed = await asynchronous.rename_collection(NAME, NEW, keep_alias=True)
        assert (renamed.name, renamed.aliases) == (NEW, (NAME,))


def test_a_new_server_on_the_same_folder_has_the_new_name(tmp_path):
    with Server(tmp_path) as first, Client(first.target) as client:
        client.create_collection(NAME)
        sequence = client.upsert(NAME, [Document("a", "what was written")]).sequence
        client.create_snapshot(NAME, "first")
        client.rename_collection(NAME, NEW, keep_alias=True)
    with Server(tmp_path) as second, Client(second.target) as client:
        assert [x.name for x in client.list_collections()] == [NEW]
        assert found(client, NAME, min_sequence=sequence) == ["a"]
        assert [x.name for x in client.list_snapshots(NEW)] == ["first"]
    assert (tmp_path / "collections" / NEW).is_dir()


def test_a_collection_that_can_not_be_opened_makes_room(tmp_path):
    with Server(tmp_path) as first, Client(first.target) as client:
        client.create_collection(NAME)
    (tmp_path / "collections" / NAME / "documents.sqlite").write_bytes(b"no database" * 1_000)
    with Server(tmp_path) as second, Client(second.target) as client:
        renamed = client.rename_collection(NAME, f"{NAME}-broken")
        assert (renamed.name, renamed.num_documents) == (f"{NAME}-broken", 0)
        client.create_collection(NAME)
