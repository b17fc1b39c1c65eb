"""A collection's settings: a text that a store keeps with it, whatever becomes of its name."""

import pytest

from twopass.index.base.store import SnapshotStore
from twopass.index.errors import CollectionNotFoundError, InvalidSettingsError
from twopass.index.settings import MAX_SETTINGS_BYTES

from .asking import write

SETTINGS = '{"search_defaults":{"k":100,"chosen_by":"é \\" \\\\ \'; DROP TABLE x; --"}}'


async def kept(store, name):
    """The settings of a collection, as its description and a lease of it tell them."""
    lease = await store.acquire(name)
    try:
        told = lease.collection.settings
    finally:
        lease.release()
    assert (await store.summary(name)).settings == told
    assert [each.settings for each in await store.summaries(lambda _: True)].count(told) >= 1
    return told


async def test_a_new_collection_has_none(store, collection):
    assert collection.settings == ""
    assert await kept(store, "notes") == ""


async def test_settings_are_kept_as_they_are_and_replaced_whole(store, collection):
    for settings in (SETTINGS, "another", "", SETTINGS):
        await collection.set_settings(settings)
        assert collection.settings == settings
        assert (await collection.summary()).settings == settings
        assert await kept(store, "notes") == settings


@pytest.mark.parametrize("size", [MAX_SETTINGS_BYTES - 1, MAX_SETTINGS_BYTES])
async def test_as_many_bytes_are_kept_as_may_be(store, collection, size):
    settings = "é" * (size // 2) + "x" * (size % 2)
    await collection.set_settings(settings)
    assert await kept(store, "notes") == settings


@pytest.mark.parametrize(
    "settings", ["x" * (MAX_SETTINGS_BYTES + 1), "é" * (MAX_SETTINGS_BYTES // 2 + 1), "a\0b"]
)
async def test_what_can_not_be_kept_is_refused_and_changes_nothing(store, collection, settings):
    await collection.set_settings("before")
    with pytest.raises(InvalidSettingsError, match="settings: "):
        await collection.set_settings(settings)
    assert await kept(store, "notes") == "before"


async def test_they_change_no_document_and_documents_change_none(store, collection, make_document):
    await write(collection, make_document("a"), make_document("b"))
    await collection.set_settings(SETTINGS)
    assert {each.id for each in await collection.get(["a", "b"])} == {"a", "b"}
    await write(collection, make_document("c"))
    assert await kept(store, "notes") == SETTINGS
    assert (await store.summary("notes")).num_documents == 3


async def test_they_stay_with_a_renamed_collection_and_are_found_by_its_alias(store, collection):
    await collection.set_settings(SETTINGS)
    await store.rename("notes", "papers", keep_alias=True)
    assert await kept(store, "papers") == SETTINGS
    assert await kept(store, "notes") == SETTINGS


async def test_they_go_with_a_deleted_collection(store, schema, collection):
    await collection.set_settings(SETTINGS)
    await store.delete("notes")
    with pytest.raises(CollectionNotFoundError):
        await store.summary("notes")
    await store.create("notes", schema)
    assert await kept(store, "notes") == ""


async def test_each_collection_has_its_own(store, schema, collection):
    await store.create("other", schema)
    await collection.set_settings(SETTINGS)
    assert await kept(store, "other") == ""


async def test_a_snapshot_and_what_is_restored_from_it_have_those_of_its_time(store, collection):
    if not isinstance(store, SnapshotStore):
        pytest.skip("the store has no snapshots")
    await collection.set_settings(SETTINGS)
    await store.create_snapshot("notes", "one")
    await collection.set_settings("later")
    await store.restore("notes", "one", "restored")
    assert await kept(store, "restored") == SETTINGS
    assert await kept(store, "notes") == "later"


async def test_another_server_on_the_store_finds_them_with_its_next_call(
    kind, store, connect, collection
):
    if not kind.has("fronts"):
        pytest.skip(f"one server at a time: {kind.title}")
    other = await connect()
    assert await kept(other, "notes") == ""
    for settings in (SETTINGS, "", "again"):
        await collection.set_settings(settings)
        assert await kept(other, "notes") == settings
