"""Snapshots: consistent while writes go on, whole or not there, and never outside their folder."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twopass.index.documents import DocumentFields
from twopass.index.errors import (
    CollectionExistsError,
    InvalidSchemaError,
    SnapshotDamagedError,
    SnapshotExistsError,
    SnapshotNotFoundError,
    StaleSequenceError,
    StoppedError,
    StorageError,
)
from twopass.index.stopping import Stop
from twopass.index.store import snapshots
from twopass.index.store.store import CollectionStore

from ..conftest import LANES

EVERYTHING = DocumentFields(vector=True)


def ids(collection):
    return [document.id for document in collection.list_page(100_000).documents]


@pytest.fixture
def filled(collection, make_document):
    collection.upsert([make_document(name, metadata={"n": name}) for name in "abc"]).result()
    collection.delete(["b"]).result()
    return collection


def snapshot_file(tmp_path, name="first"):
    return tmp_path / "snapshots" / "notes" / name / "documents.sqlite"


def test_a_snapshot_holds_what_was_there_and_nothing_later(store, filled, make_document):
    snapshot = store.snapshots.create(filled, "first")
    assert (snapshot.collection, snapshot.name) == ("notes", "first")
    assert (snapshot.num_documents, snapshot.sequence) == (2, str(filled.sequence))
    filled.upsert([make_document("d")]).result()
    restored = store.restore("notes", "first", "again")
    assert ids(restored) == ["a", "c"]
    for before, after in zip(
        filled.get(["a", "c"], EVERYTHING), restored.get(["a", "c"], EVERYTHING), strict=True
    ):
        assert (after.key, after.text, after.metadata) == (before.key, before.text, before.metadata)
        assert after.vector.tolist() == before.vector.tolist()
    best = restored.search(make_document("c").vector[None], 1).result().keys[0]
    assert restored.load(best).ids == ("c",)
    assert restored.schema == filled.schema


def test_a_restored_collection_goes_its_own_way(store, filled, make_document, tmp_path):
    store.snapshots.create(filled, "first")
    restored = store.restore("notes", "first", "again")
    restored.upsert([make_document("e")]).result()
    with pytest.raises(StaleSequenceError):
        restored.ensure_reached(str(filled.sequence))
    assert ids(filled) == ["a", "c"]
    store.close()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert ids(reopened.get("again")) == ["a", "c", "e"]


def test_a_snapshot_outlives_its_collection_and_can_take_its_name(store, filled):
    store.snapshots.create(filled, "first")
    with pytest.raises(CollectionExistsError, match="'notes' exists already"):
        store.restore("notes", "first", "notes")
    store.delete("notes")
    assert [snapshot.name for snapshot in store.snapshots.list("notes")] == ["first"]
    assert ids(store.restore("notes", "first", "notes")) == ["a", "c"]


def test_snapshots_are_listed_oldest_first_and_named_by_the_time_of_day(store, filled):
    made = [store.snapshots.create(filled, name) for name in ("z", "", "a")]
    assert store.snapshots.list("notes") == tuple(made)
    assert store.snapshots.list("nowhere") == ()
    store.snapshots.delete("notes", "z")
    assert store.snapshots.list("notes") == tuple(made[1:])
    with pytest.raises(SnapshotNotFoundError, match="has no snapshot 'z'; ListSnapshots"):
        store.snapshots.delete("notes", "z")


def test_a_name_is_given_once_for_each_collection(store, filled, schema):
    store.snapshots.create(filled, "first")
    with pytest.raises(SnapshotExistsError, match="has a snapshot 'first' already"):
        store.snapshots.create(filled, "first")
    store.snapshots.create(store.create("other", schema), "first")


@pytest.mark.parametrize(
    "name", ["..", ".", "../x", "a/b", "/etc", "A", "x" * 65, "a\0", ".hidden"]
)
def test_names_do_not_lead_out_of_the_folder(store, filled, tmp_path, name):
    store.snapshots.create(filled, "first")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InvalidSchemaError, match="1 to 64 of a-z"):
        store.snapshots.create(filled, name)
    with pytest.raises(InvalidSchemaError, match="new_collection: "):
        store.restore("notes", "first", name)
    for collection, snapshot in [("notes", name), (name, "first"), (name, name), (name, "")]:
        with pytest.raises(SnapshotNotFoundError):
            store.snapshots.delete(collection, snapshot)
        with pytest.raises(SnapshotNotFoundError):
            store.restore(collection, snapshot, "again")
    assert store.snapshots.list(name) == ()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_snapshot_under_writes_is_of_one_moment(store, collection, make_document):
    """Each write replaces both documents: a copy that holds two versions is torn."""
    stop = threading.Event()

    def write():
        version = 0
        while not stop.is_set():
            version += 1
            collection.upsert(
                [make_document(name, text=f"version {version} " * 2_000) for name in "ab"]
            ).result()

    collection.upsert([make_document(name, text="version 0 ") for name in "ab"]).result()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(10):
            snapshot = store.snapshots.create(collection, f"s{turn}")
            restored = store.restore("notes", f"s{turn}", f"r{turn}")
            texts = {document.text for document in restored.list_page(10).documents}
            assert snapshot.num_documents == 2
            assert len(texts) == 1
            version = int(texts.pop().split()[1])
            assert snapshot.sequence.endswith(f".{version + 1}")
    finally:
        stop.set()
        writer.join()


def test_a_damaged_snapshot_is_not_restored(store, filled, tmp_path):
    store.snapshots.create(filled, "first")
    content = bytearray(snapshot_file(tmp_path).read_bytes())
    content[-1] ^= 1
    snapshot_file(tmp_path).write_bytes(content)
    with pytest.raises(SnapshotDamagedError, match="checksum is not the one it was made with"):
        store.restore("notes", "first", "again")
    assert list(store.names) == ["notes"]


@pytest.mark.parametrize("is_made_again", [False, True])
def test_a_snapshot_that_is_deleted_while_it_is_restored_is_not_called_damaged(
    store, filled, make_document, monkeypatch, is_made_again
):
    store.create_snapshot("notes", "first")
    read = snapshots._read
    calls = []

    def read_after_deletion(folder, collection):
        described = read(folder, collection) if is_made_again else None
        if not calls:
            calls.append(folder)
            store.snapshots.delete("notes", "first")
            if is_made_again:
                filled.upsert([make_document("later")]).result()
                store.create_snapshot("notes", "first")
        return described or read(folder, collection)

    monkeypatch.setattr(snapshots, "_read", read_after_deletion)
    if is_made_again:
        assert "later" in ids(store.restore("notes", "first", "copy"))
    else:
        with pytest.raises(SnapshotNotFoundError):
            store.restore("notes", "first", "copy")


def test_a_snapshot_is_deleted_once_by_however_many_calls(store, filled):
    for attempt in range(20):
        store.create_snapshot("notes", f"s{attempt}")
        barrier = threading.Barrier(4)

        def delete(name: str = f"s{attempt}", barrier: threading.Barrier = barrier) -> bool:
            barrier.wait()
            try:
                store.snapshots.delete("notes", name)
            except SnapshotNotFoundError:
                return False
            return True

        with ThreadPoolExecutor(4) as threads:
            deleted = [threads.submit(delete) for _ in range(4)]
        assert sum(one.result() for one in deleted) == 1


def test_a_damaged_snapshot_hides_no_other_and_can_be_deleted(store, filled, tmp_path):
    for name in ("first", "second", "third", "fourth"):
        store.snapshots.create(filled, name)
    folder = snapshot_file(tmp_path).parent.parent
    (folder / "first" / "snapshot.json").write_text("{")
    (folder / "second" / "documents.sqlite").unlink()
    (folder / "third" / "snapshot.json").write_text('{"name": 3, "collection": "notes"}')
    listed = {snapshot.name: snapshot for snapshot in store.snapshots.list("notes")}
    assert listed.keys() == {"first", "second", "third", "fourth"}
    assert listed["fourth"].damaged_reason == ""
    assert "what describes it can't be read; delete it" in listed["first"].damaged_reason
    assert "its documents are missing; delete it" in listed["second"].damaged_reason
    assert "can't be read" in listed["third"].damaged_reason
    for name in ("first", "second", "third"):
        with pytest.raises(SnapshotDamagedError, match=f"snapshot '{name}' of .* is damaged"):
            store.restore("notes", name, "again")
        store.snapshots.delete("notes", name)
    assert store.snapshots.list("notes") == (listed["fourth"],)


def test_a_snapshot_or_a_restoration_that_is_stopped_leaves_nothing(store, filled, tmp_path):
    store.snapshots.create(filled, "whole")
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        store.snapshots.create(filled, "stopped", stop)
    with pytest.raises(StoppedError):
        store.restore("notes", "whole", "again", stop)
    assert [snapshot.name for snapshot in store.snapshots.list("notes")] == ["whole"]
    assert [entry.name for entry in (tmp_path / "snapshots" / "notes").iterdir()] == ["whole"]
    assert [entry.name for entry in (tmp_path / "collections").iterdir()] == ["notes"]
    store.restore("notes", "whole", "again")


def test_a_snapshot_that_fails_leaves_nothing(store, filled, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left on device"):
            store.snapshots.create(filled, "first")
    assert store.snapshots.list("notes") == ()
    assert list((tmp_path / "snapshots").glob("*/*")) == []
    store.snapshots.create(filled, "first")


def test_leftovers_are_swept_at_the_next_start(store, filled, tmp_path):
    store.snapshots.create(filled, "first")
    store.close()
    leftover = tmp_path / "snapshots" / "notes" / ".unfinished-1"
    leftover.mkdir()
    (leftover / "documents.sqlite").write_bytes(b"half")
    with CollectionStore(tmp_path, LANES) as reopened:
        assert [snapshot.name for snapshot in reopened.snapshots.list("notes")] == ["first"]
    assert not leftover.exists()


def test_what_describes_a_snapshot_is_there_for_people_too(store, filled, tmp_path):
    snapshot = store.snapshots.create(filled, "first")
    described = json.loads(snapshot_file(tmp_path).with_name("snapshot.json").read_text())
    assert described["num_documents"] == 2
    assert described["sha256"] == snapshot.sha256
    assert described["num_bytes"] == snapshot_file(tmp_path).stat().st_size
