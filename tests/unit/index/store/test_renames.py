"""Renames: one step on disk, noticed by those alone who use the old name."""

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from twopass.index import aliases as aliases_module
from twopass.index.collection_name import CollectionName
from twopass.index.errors import (
    AliasExistsError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidAliasError,
    InvalidRenameError,
    InvalidSchemaError,
    StorageError,
)
from twopass.index.store.store import CollectionStore

from ..conftest import LANES
from .looking import alias, folders, ids


def test_an_open_collection_stays_open_and_is_found_by_its_new_name_alone(
    store, docs, make_document
):
    before = str(docs.sequence)
    store.rename("docs", "docs-1")
    assert store.get("docs-1") is docs
    assert docs.name == docs.summary().name == "docs-1"
    assert store.names == ("docs-1",)
    docs.ensure_reached(before)
    docs.upsert([make_document("b")]).result()
    assert ids(docs) == ["a", "b"]
    assert docs.search(make_document("b").vector[None], 1).result().keys.shape == (1, 1)
    with pytest.raises(CollectionNotFoundError, match="'docs' does not exist"):
        store.get("docs")


def test_what_an_open_collection_says_and_logs_has_its_new_name(store, docs, caplog):
    caplog.set_level("INFO", "twopass.index")
    store.rename("docs", "docs-1")
    assert caplog.records[-1].collection == "docs-1"
    assert caplog.records[-1].from_collection == "docs"
    with pytest.raises(Exception, match="collection 'docs-1' has no document 'x'"):
        docs.get(["x"])
    docs.close()
    with pytest.raises(CollectionClosedError, match="collection 'docs-1' was closed"):
        docs.get(["a"])
    with pytest.raises(CollectionClosedError, match="collection 'docs-1' was closed"):
        docs.delete(["a"])


def test_a_closed_collection_is_renamed_without_being_opened(tmp_path, schema, make_document):
    with CollectionStore(tmp_path, LANES, max_open=1) as store:
        store.create("docs", schema).upsert([make_document("a")]).result()
        store.create("other", schema)
        num_opened = store.opened.num_opened
        assert store.summary("docs").name == "docs"
        store.rename("docs", "docs-1")
        assert store.summary("docs-1").name == "docs-1"
        assert store.known_summary("docs-1").num_documents == 1
        assert store.opened.num_opened == num_opened
        assert ids(store.get("docs-1")) == ["a"]


def test_its_folder_has_its_name_after_a_start_and_older_servers_read_what_is_there(
    tmp_path, store, docs
):
    store.rename("docs", "docs-1", keep_alias=True)
    assert folders(tmp_path) == ["docs"]
    assert json.loads((tmp_path / "aliases.json").read_text())["format_version"] == 2
    store.close()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert folders(tmp_path) == ["docs-1"]
        assert ids(reopened.get("docs")) == ids(reopened.get("docs-1")) == ["a"]
    assert json.loads((tmp_path / "aliases.json").read_text()) == {
        "format_version": 1,
        "aliases": {"docs": "docs-1"},
    }


def test_its_old_name_is_free_for_another_before_and_after_a_start(
    tmp_path, store, docs, schema, make_document
):
    store.create_snapshot("docs", "first")
    store.rename("docs", "docs-1")
    again = store.create("docs", schema)
    again.upsert([make_document("new")]).result()
    store.create_snapshot("docs", "first")
    store.rename("docs-1", "docs-2")
    for _ in range(2):
        assert (ids(store.get("docs")), ids(store.get("docs-2"))) == (["new"], ["a"])
        assert [x.name for x in store.snapshots.list("docs-2")] == ["first"]
        assert ids(store.restore("docs", "first", "copy")) == ["new"]
        assert ids(store.restore("docs-2", "first", "copy-2")) == ["a"]
        store.delete("copy")
        store.delete("copy-2")
        store.close()
        store = CollectionStore(tmp_path, LANES)
    store.close()
    assert folders(tmp_path) == folders(tmp_path, "snapshots") == ["docs", "docs-2"]


def test_two_that_exchange_their_names_keep_what_they_hold(tmp_path, store, schema, make_document):
    for name in ("blue", "green"):
        store.create(name, schema).upsert([make_document(name)]).result()
        store.create_snapshot(name, f"of-{name}")
    store.rename("blue", "x")
    store.rename("green", "blue")
    store.rename("x", "green")
    for _ in range(2):
        assert (ids(store.get("blue")), ids(store.get("green"))) == (["green"], ["blue"])
        assert [x.name for x in store.snapshots.list("blue")] == ["of-green"]
        assert [x.collection for x in store.snapshots.list("green")] == ["green"]
        store.close()
        store = CollectionStore(tmp_path, LANES)
    store.close()
    assert folders(tmp_path) == folders(tmp_path, "snapshots") == ["blue", "green"]
    assert json.loads((tmp_path / "aliases.json").read_text())["format_version"] == 1


def test_its_aliases_stay_and_its_old_name_becomes_one_where_asked(store, docs):
    alias(store, "live", "docs")
    store.rename("docs", "docs-1", keep_alias=True)
    assert dict(store.aliases.items()) == {"docs": "docs-1", "live": "docs-1"}
    assert store.get("docs") is store.get("live") is store.get("docs-1") is docs
    store.rename("docs-1", "docs-2")
    assert dict(store.aliases.items()) == {"docs": "docs-2", "live": "docs-2"}


def test_an_alias_of_its_own_can_become_its_name(store, docs):
    store.rename("docs", "docs-1", keep_alias=True)
    store.rename("docs-1", "docs")
    assert dict(store.aliases.items()) == {}
    assert store.names == ("docs",)
    alias(store, "live", "docs")
    store.rename("docs", "live", keep_alias=True)
    assert dict(store.aliases.items()) == {"docs": "live"}
    assert store.get("docs") is store.get("live") is docs


@pytest.mark.parametrize(
    ("name", "new_name", "error", "said"),
    [
        ("docs", "other", CollectionExistsError, "'other' exists already; rename or delete it"),
        ("docs", "of-other", AliasExistsError, "'of-other' is an alias of collection 'other'; rem"),
        ("docs", "docs", InvalidRenameError, "new_name: 'docs' is its name already; choose"),
        ("docs", "../x", InvalidSchemaError, "new_name: '../x' given; 1 to 64 of a-z"),
        ("docs", "", InvalidSchemaError, "new_name: '' given; 1 to 64 of a-z"),
        ("of-docs", "x", InvalidRenameError, "name: 'of-docs' is an alias of collection 'docs'"),
        ("nowhere", "x", CollectionNotFoundError, "collection 'nowhere' does not exist"),
        ("", "x", CollectionNotFoundError, "collection '' does not exist"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    tmp_path, store, docs, schema, name, new_name, error, said
):
    store.create("other", schema)
    alias(store, "of-other", "other")
    alias(store, "of-docs", "docs")
    before = (tmp_path / "aliases.json").read_bytes()
    with pytest.raises(error, match=said):
        store.rename(name, new_name, keep_alias=True)
    assert store.names == ("docs", "other")
    assert (tmp_path / "aliases.json").read_bytes() == before


def test_an_alias_too_many_is_refused(store, docs, monkeypatch):
    alias(store, "live", "docs")
    monkeypatch.setattr(aliases_module, "MAX_ALIASES", 1)
    with pytest.raises(InvalidAliasError, match="keep_alias: 2 aliases in all would be there"):
        store.rename("docs", "docs-1", keep_alias=True)
    store.rename("docs", "docs-1")
    assert store.names == ("docs-1",)


def test_at_no_moment_of_a_rename_is_a_collection_listed_twice_or_missed(store, docs):
    seen = []

    class Watched(dict):
        """Looks at the names of the store before and after each step of a rename."""

        def __setitem__(self, name, known):
            super().__setitem__(name, known)
            seen.append(store.names)

        def __delitem__(self, name):
            seen.append(store.names)
            super().__delitem__(name)
            seen.append(store.names)

    change = CollectionName.change

    def watched(name, new_name):
        for listed in (store.names, store.names):
            seen.append(listed)
            assert [x.name for x in store.summaries(listed)] == list(listed)
        change(name, new_name)
        seen.append(store.names)
        assert len(store.summaries(store.names)) == 1

    store._names.known = Watched(store._names.known)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CollectionName, "change", watched)
        store.rename("docs", "docs-1")
    assert set(seen) == {("docs",), ("docs-1",)}


def test_of_renames_at_once_one_succeeds(store, docs):
    def rename(number):
        try:
            store.rename("docs", f"docs-{number}")
        except CollectionNotFoundError:
            return None
        return f"docs-{number}"

    with ThreadPoolExecutor(8) as threads:
        (renamed,) = filter(None, threads.map(rename, range(8)))
    assert store.names == (renamed,)


def test_nobody_misses_a_collection_whose_old_name_becomes_an_alias(store, docs):
    alias(store, "live", "docs")
    is_over = threading.Event()

    def look(name):
        num_looks = 0
        while not is_over.is_set():
            pin = store.pin(name)
            assert pin.collection is docs
            pin.release()
            num_looks += 1
        return num_looks

    with ThreadPoolExecutor() as threads:
        looking = [threads.submit(look, name) for name in ("docs", "docs", "live", "live")]
        for turn in range(100):
            store.rename("docs", f"docs-{turn}", keep_alias=True)
            store.rename(f"docs-{turn}", "docs")
        is_over.set()
        assert all(each.result() > 0 for each in looking)


def test_writes_and_merges_under_way_go_on(store, docs, make_document):
    numbers = iter(range(10_000))
    is_over = threading.Event()

    def write():
        written = []
        while not is_over.is_set():
            written += [docs.upsert([make_document(f"n{next(numbers)}")])]
            docs.merge().result()
        return [future.result().sequence for future in written]

    with ThreadPoolExecutor() as threads:
        writing = threads.submit(write)
        for turn in range(50):
            store.rename(store.names[0], f"docs-{turn}")
        is_over.set()
        sequences = writing.result()
    for sequence in sequences:
        docs.ensure_reached(str(sequence))
    assert len(ids(docs)) == 1 + len(sequences)


def test_a_collection_that_can_not_be_opened_can_make_room_for_another(tmp_path, store, docs):
    store.create_snapshot("docs", "first")
    store.close()
    (tmp_path / "collections" / "docs" / "documents.sqlite").write_bytes(b"no database" * 1_000)
    with CollectionStore(tmp_path, LANES) as reopened:
        assert list(reopened.failed) == ["docs"]
        reopened.rename("docs", "broken")
        assert list(reopened.failed) == ["broken"]
        with pytest.raises(StorageError, match="collection 'broken' could not be opened"):
            reopened.get("broken")
        assert ids(reopened.restore("broken", "first", "docs")) == ["a"]
        reopened.delete("broken")
        assert folders(tmp_path) == ["docs.again-2"]
    with CollectionStore(tmp_path, LANES) as reopened:
        assert folders(tmp_path) == ["docs"]
        assert ids(reopened.get("docs")) == ["a"]


def test_a_deleted_collection_leaves_nothing_of_its_names(tmp_path, store, docs, schema):
    store.rename("docs", "docs-1")
    store.delete("docs-1")
    store.create("docs-1", schema)
    store.create("docs", schema)
    store.close()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert reopened.names == ("docs", "docs-1")
        assert ids(reopened.get("docs")) == ids(reopened.get("docs-1")) == []


def test_without_its_file_of_names_no_collection_is_lost(tmp_path, store, docs, schema):
    store.rename("docs", "docs-1")
    store.create("docs", schema)
    store.close()
    (tmp_path / "aliases.json").unlink()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert reopened.names == ("docs", "docs.again-2")
        assert ids(reopened.get("docs")) == ["a"]
        reopened.rename("docs", "docs-1")
        reopened.rename("docs.again-2", "docs")
    with CollectionStore(tmp_path, LANES) as reopened:
        assert ids(reopened.get("docs-1")) == ["a"]
        assert ids(reopened.get("docs")) == []


def test_a_rename_that_the_disk_refuses_is_none(tmp_path, store, docs, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="aliases: No space left on device; free some"):
            store.rename("docs", "docs-1", keep_alias=True)
    assert store.names == ("docs",)
    assert dict(store.aliases.items()) == {}
    store.rename("docs", "docs-1")
    assert store.get("docs-1") is docs


def test_a_rename_that_is_on_disk_in_spite_of_an_error_is_one(tmp_path, store, docs, monkeypatch):
    sync = os.fsync

    def refuse_folders(descriptor):
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(5, "Input/output error")
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", refuse_folders)
        with pytest.raises(StorageError, match="Input/output error"):
            store.rename("docs", "docs-1", keep_alias=True)
    assert store.names == ("docs-1",)
    assert store.get("docs") is docs


def test_a_closed_store_renames_none(store, docs):
    store.close()
    with pytest.raises(CollectionClosedError):
        store.rename("docs", "docs-1")
