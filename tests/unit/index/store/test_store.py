"""Collections come, go and come back; a damaged one stays out of the others' way."""

import dataclasses
import gc
import os
import subprocess
import sys
import weakref

import apsw
import pytest

from twopass.index.aliases import AliasChange
from twopass.index.documents import DocumentFields
from twopass.index.errors import (
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    FolderInUseError,
    InvalidSchemaError,
    StorageError,
)
from twopass.index.rows.database import FORMAT_VERSION
from twopass.index.store.store import CollectionStore

from ..conftest import LANES


def names(store):
    return list(store.names)


def test_collections_are_listed_by_name(store, schema):
    for name in ("b", "c", "a"):
        store.create(name, schema)
    assert names(store) == ["a", "b", "c"]
    store.delete("b")
    assert names(store) == ["a", "c"]


def test_a_name_is_given_once(store, schema):
    first = store.create("notes", schema)
    with pytest.raises(CollectionExistsError, match="'notes' exists already"):
        store.create("notes", schema)
    assert store.get("notes") is first


def test_a_name_that_is_none_creates_nothing(store, schema, tmp_path):
    with pytest.raises(InvalidSchemaError, match="name"):
        store.create("../notes", schema)
    assert list((tmp_path / "collections").iterdir()) == []


def test_an_index_kind_that_faiss_has_not_creates_nothing(store, schema, tmp_path):
    with pytest.raises(InvalidSchemaError, match=r"'PQ8' is not supported.*Flat"):
        store.create("notes", dataclasses.replace(schema, index_kind="PQ8"))
    assert list((tmp_path / "collections").iterdir()) == []


def test_what_is_not_there_is_not_found(store):
    with pytest.raises(CollectionNotFoundError, match="'notes' does not exist"):
        store.get("notes")
    with pytest.raises(CollectionNotFoundError):
        store.delete("notes")


def test_everything_comes_back_when_the_folder_is_opened_again(tmp_path, schema, make_document):
    documents = [make_document(str(name), metadata={"id": name}) for name in range(9_000)]
    with CollectionStore(tmp_path, LANES) as store:
        before = store.create("notes", schema)
        before.upsert(documents).result()
        before.delete(["5"]).result()
    with CollectionStore(tmp_path, LANES) as store:
        after = store.get("notes")
        assert (after.num_documents, after.sequence) == (8_999, before.sequence)
        assert (after.schema, after.create_time) == (before.schema, before.create_time)
        for name in ("0", "4095", "4096", "4097", "8999"):
            best = after.search(make_document(name).vector[None], 1).result().keys[0]
            assert after.load(best).ids == (name,)
        assert after.get(["77"], DocumentFields())[0].metadata == {"id": 77}
        assert after.upsert([make_document("x")]).result().sequence.position == 3


def test_a_deleted_collection_leaves_nothing(store, collection, make_document, tmp_path):
    collection.upsert([make_document("a")]).result()
    store.delete("notes")
    assert list((tmp_path / "collections").iterdir()) == []
    with pytest.raises(CollectionNotFoundError):
        store.get("notes")


def test_a_deletion_that_did_not_finish_can_be_repeated(store, collection, schema, tmp_path):
    folder = tmp_path / "collections" / "notes"
    folder.rename(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="collection 'notes': No such file"):
        store.delete("notes")
    with pytest.raises(StorageError, match="delete it again"):
        store.get("notes")
    (tmp_path / "elsewhere").rename(folder)
    store.delete("notes")
    store.create("notes", schema)


def test_a_recreated_collection_is_empty(store, collection, schema, make_document):
    collection.upsert([make_document("a")]).result()
    store.delete("notes")
    assert store.create("notes", schema).num_documents == 0


def test_a_folder_is_held_by_one_store(tmp_path):
    with CollectionStore(tmp_path, LANES), pytest.raises(FolderInUseError, match=str(tmp_path)):
        CollectionStore(tmp_path, LANES)
    CollectionStore(tmp_path, LANES).close()


def test_a_folder_held_by_another_process_is_freed_by_its_death(tmp_path):
    script = (
        "import sys, pathlib, time; from twopass.index.lanes import Lanes; "
        "from twopass.index.store.store import CollectionStore; "
        "CollectionStore(pathlib.Path(sys.argv[1]), Lanes.for_cpus(1)); "
        "print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(FolderInUseError):
            CollectionStore(tmp_path, LANES)
        other.kill()
    CollectionStore(tmp_path, LANES).close()


def test_the_memory_of_a_deleted_collection_waits_for_no_garbage_collector(store, schema):
    opened = store.create("notes", schema)
    parts = [weakref.ref(part) for part in (opened, opened._vectors, opened._writer)]
    del opened
    gc.disable()
    try:
        store.delete("notes")
        assert [part() for part in parts] == [None] * 3
    finally:
        gc.enable()


def test_what_was_half_created_or_half_deleted_is_swept(tmp_path, schema):
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", schema)
    folder = tmp_path / "collections"
    for leftover in (".creating-1", ".deleted-2"):
        (folder / leftover).mkdir()
        (folder / leftover / "documents.sqlite").write_bytes(b"half")
    with CollectionStore(tmp_path, LANES) as store:
        assert names(store) == ["notes"]
        assert store.failed == {}
    assert [entry.name for entry in folder.iterdir()] == ["notes"]


def damage_schema(database):
    connection = apsw.Connection(str(database))
    connection.execute("UPDATE meta SET value = '{}' WHERE name = 'schema'")
    connection.close()


def make_newer(database):
    connection = apsw.Connection(str(database))
    connection.execute(
        "UPDATE meta SET value = ? WHERE name = 'format_version'", (FORMAT_VERSION + 1,)
    )
    connection.close()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda database: database.write_bytes(b"no database" * 1_000), "no database"),
        (lambda database: database.write_bytes(b""), "SQLite answers: no such table"),
        (lambda database: database.unlink(), "can't be opened"),
        (damage_schema, "what its file says of it is damaged"),
        (
            make_newer,
            f"its format is {FORMAT_VERSION + 1}, this server reads up to {FORMAT_VERSION}; "
            "upgrade",
        ),
    ],
    ids=["garbage", "empty", "missing", "schema", "newer"],
)
def test_a_damaged_collection_keeps_no_other_from_serving(
    tmp_path, schema, make_document, caplog, damage, said
):
    with CollectionStore(tmp_path, LANES) as store:
        for name in ("broken", "sound"):
            store.create(name, schema).upsert([make_document("a")]).result()
    damage(tmp_path / "collections" / "broken" / "documents.sqlite")
    with CollectionStore(tmp_path, LANES) as store:
        assert names(store) == ["sound"]
        assert store.get("sound").num_documents == 1
        assert list(store.failed) == ["broken"]
        assert said in store.failed["broken"]
        assert [r.collection for r in caplog.records if r.levelname == "ERROR"] == ["broken"]
        with pytest.raises(StorageError, match=said):
            store.get("broken")
        with pytest.raises(CollectionExistsError):
            store.create("broken", schema)
        store.delete("broken")  # the way out
        store.create("broken", schema)
    with CollectionStore(tmp_path, LANES) as store:
        assert names(store) == ["broken", "sound"]


def test_a_folder_that_can_not_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"data folder .*/file: Not a directory"):
        CollectionStore(tmp_path / "file", LANES)


def test_a_closed_store_acknowledged_everything_it_took(tmp_path, schema, make_document):
    store = CollectionStore(tmp_path, LANES)
    collection = store.create("notes", schema)
    waiting = [collection.upsert([make_document(str(name))]) for name in range(200)]
    store.close()
    store.close()
    assert all(future.result() for future in waiting)
    with pytest.raises(CollectionClosedError):
        store.create("other", schema)
    with pytest.raises(CollectionClosedError):
        store.delete("notes")
    with pytest.raises(CollectionClosedError):
        store.get("notes").upsert([make_document("x")])
    with CollectionStore(tmp_path, LANES) as store:
        assert store.get("notes").num_documents == 200


def test_callers_are_told_of_collections_and_snapshots_and_the_log_of_paths(
    tmp_path, schema, collection, store, make_document, monkeypatch, caplog
):
    collection.upsert([make_document("a")]).result()
    store.snapshots.create(collection, "first")

    def full(descriptor):
        raise OSError(28, "No space left on device", str(tmp_path / "somewhere"))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        refused = {
            "collection 'other'": lambda: store.create("other", schema),
            "snapshot 'second' of collection 'notes'": lambda: store.snapshots.create(
                collection, "second"
            ),
            "collection 'copy'": lambda: store.restore("notes", "first", "copy"),
            "aliases": lambda: store.update_aliases([AliasChange("x", "notes")], lambda _: None),
        }
        for subject, change in refused.items():
            with pytest.raises(StorageError) as told:
                change()
            assert str(told.value).startswith(f"{subject}: No space left on device; free some")
            assert str(tmp_path) not in str(told.value)
    assert {str(tmp_path / "somewhere")} == {
        record.path for record in caplog.records if hasattr(record, "path")
    }
    with pytest.raises(StorageError, match="collection 'notes'") as told:
        collection.copy_into(tmp_path / "missing" / "copy.sqlite")
    assert str(tmp_path) not in str(told.value)
    assert str(tmp_path) in told.value.path
