"""A collection's settings in its SQLite file: none in files of before, and there after a crash."""

import shutil

import apsw
import pytest

from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore

SCHEMA = CollectionSchema(dimension=2, client_vectors=True)


@pytest.fixture
def lanes():
    made = Lanes.for_cpus(2)
    yield made
    made.close()


def opened(folder, lanes):
    return CollectionStore(folder, lanes)


def test_they_are_there_when_the_folder_is_opened_again(tmp_path, lanes):
    with opened(tmp_path, lanes) as store:
        store.create("notes", SCHEMA).set_settings("kept").result()
    with opened(tmp_path, lanes) as store:
        assert store.get("notes").settings == "kept"
        assert store.summary("notes").settings == "kept"


def test_a_closed_collection_tells_them(tmp_path, lanes):
    with CollectionStore(tmp_path, lanes, max_open=1) as store:
        store.create("notes", SCHEMA).set_settings("kept").result()
        store.create("other", SCHEMA)
        assert store.summary("notes").settings == "kept"


def test_what_was_acknowledged_is_in_a_copy_of_the_files_as_they_are(tmp_path, lanes):
    with opened(tmp_path / "live", lanes) as store:
        store.create("notes", SCHEMA).set_settings("kept").result()
        # What a machine that loses power leaves: nothing is closed, the log is not checkpointed.
        shutil.copytree(tmp_path / "live", tmp_path / "left")
    with opened(tmp_path / "left", lanes) as store:
        assert store.get("notes").settings == "kept"


def test_a_file_of_before_has_none_and_one_with_them_is_of_the_same_format(tmp_path, lanes):
    with opened(tmp_path, lanes) as store:
        store.create("notes", SCHEMA)
    connection = apsw.Connection(str(tmp_path / "collections/notes/documents.sqlite"))
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    connection.close()
    assert "settings" not in meta
    with opened(tmp_path, lanes) as store:
        store.get("notes").set_settings("kept").result()
    connection = apsw.Connection(str(tmp_path / "collections/notes/documents.sqlite"))
    after = dict(connection.execute("SELECT name, value FROM meta"))
    connection.close()
    assert after["format_version"] == meta["format_version"]


def test_a_write_of_them_that_fails_changes_nothing(tmp_path, lanes, monkeypatch):
    def full(connection, settings):
        raise apsw.FullError

    with opened(tmp_path, lanes) as store:
        collection = store.create("notes", SCHEMA)
        collection.set_settings("kept").result()
        monkeypatch.setattr("twopass.index.collection.writer.write_settings", full)
        with pytest.raises(Exception, match="the disk is full"):
            collection.set_settings("lost").result()
        assert collection.settings == "kept"
        monkeypatch.undo()
        collection.set_settings("again").result()
        assert collection.settings == "again"
