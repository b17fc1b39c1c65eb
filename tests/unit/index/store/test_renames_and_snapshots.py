"""Snapshots belong to the collection that they are of, under whatever name."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twopass.index.errors import (
    CollectionExistsError,
    SnapshotNotFoundError,
    SnapshotsKeptError,
    StorageError,
)
from twopass.index.store import snapshots as snapshots_module

from .looking import ids


def test_snapshots_of_a_deleted_collection_keep_their_name(tmp_path, store, docs, schema):
    store.create("gone", schema)
    store.create_snapshot("gone", "kept")
    store.create_snapshot("docs", "mine")
    store.delete("gone")
    with pytest.raises(SnapshotsKeptError, match=r"new_name: .* 'gone' are kept .*: 'kept'"):
        store.rename("docs", "gone")
    assert store.names == ("docs",)
    store.snapshots.delete("gone", "kept")
    store.rename("docs", "gone")
    assert [x.name for x in store.snapshots.list("gone")] == ["mine"]
    assert store.snapshots.list("docs") == ()
    store.delete("gone")
    assert [x.name for x in store.snapshots.list("gone")] == ["mine"]


def test_a_snapshot_under_way_is_the_renamed_collection_s(store, docs, monkeypatch):
    has_begun, is_renamed = threading.Event(), threading.Event()
    copy = docs.copy_into

    def slow(path, stop):
        has_begun.set()
        is_renamed.wait(30)
        copy(path, stop)

    monkeypatch.setattr(docs, "copy_into", slow)
    with ThreadPoolExecutor() as threads:
        made = threads.submit(store.create_snapshot, "docs", "first")
        has_begun.wait(30)
        store.rename("docs", "docs-1")
        is_renamed.set()
        assert made.result().collection == "docs-1"
    assert [x.collection for x in store.snapshots.list("docs-1")] == ["docs-1"]
    with pytest.raises(SnapshotNotFoundError):
        store.restore("docs", "first", "copy")
    assert ids(store.restore("docs-1", "first", "copy")) == ["a"]


def test_a_snapshot_under_way_of_a_deleted_collection_stays_its_own(
    store, docs, schema, make_document, monkeypatch
):
    gone = store.create("gone", schema)
    gone.upsert([make_document("of-gone")]).result()
    is_copied, may_end = threading.Event(), threading.Event()
    describe = snapshots_module._describe

    def slow(*args):
        is_copied.set()
        may_end.wait(30)
        return describe(*args)

    monkeypatch.setattr(snapshots_module, "_describe", slow)
    with ThreadPoolExecutor() as threads:
        made = threads.submit(store.snapshots.create, gone, "kept")
        is_copied.wait(30)
        store.delete("gone")
        try:
            with pytest.raises(
                SnapshotsKeptError, match=r"new_name: .* 'gone' are kept .*: 'kept'"
            ):
                store.rename("docs", "gone")
        finally:
            may_end.set()
        made.result()
    assert [x.name for x in store.snapshots.list("gone")] == ["kept"]
    assert store.snapshots.list("docs") == ()
    store.snapshots.delete("gone", "kept")
    store.rename("docs", "gone")
    assert store.names == ("gone",)


def test_a_snapshot_that_failed_keeps_no_name_from_others(store, docs, schema, monkeypatch):
    gone = store.create("gone", schema)

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(snapshots_module, "_describe", full)
        with pytest.raises(StorageError, match="No space left"):
            store.snapshots.create(gone, "kept")
    store.delete("gone")
    store.rename("docs", "gone")
    assert store.names == ("gone",)


def test_a_collection_can_not_be_restored_under_a_name_that_another_got_meanwhile(
    store, docs, schema, monkeypatch
):
    store.create_snapshot("docs", "first")
    store.create("other", schema)
    copy = store.snapshots.copy_documents

    def renaming(*args):
        copy(*args)
        store.rename("other", "copy")

    monkeypatch.setattr(store.snapshots, "copy_documents", renaming)
    with pytest.raises(CollectionExistsError):
        store.restore("docs", "first", "copy")
    assert store.names == ("copy", "docs")
