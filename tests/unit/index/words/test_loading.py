"""How words begin: from their folder where it is sound, from the documents where it is not."""

import dataclasses
import shutil
import threading

import apsw
import numpy as np
import pytest

from twopass.index.collection import opening
from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore
from twopass.index.words import analysis, building, flushing, loading
from twopass.index.words.base_folder import numbered, read_header, save_header
from twopass.index.words.flushing import FlushPolicy

from ....waiting import wait_until
from ..conftest import DIMENSION, LANES

NEVER = FlushPolicy(min_documents=10**9, worth_saving=10**9)

SCHEMA = CollectionSchema(dimension=DIMENSION, client_vectors=True)


def document(name):
    return IndexedDocument(
        id=name,
        text=f"every document has words, {name} is this one's",
        vector=np.ones(DIMENSION, np.float32),
        token_ids=np.arange(3, dtype=np.int32),
    )


def names(start, end):
    """Words of letters alone, so that each is one term."""
    return [f"d{chr(97 + number // 20)}{chr(97 + number % 20)}" for number in range(start, end)]


def write(collection, start, end):
    collection.upsert([document(name) for name in names(start, end)]).result()


def check(collection, expected):
    """Exactly these documents are found, each by its own word."""
    assert collection.num_documents == len(expected)
    everything = collection.search_words("every", 1_000).keys
    assert len(everything) == len(expected)
    found = [collection.search_words(name, 10).keys for name in expected]
    assert [len(keys) for keys in found] == [1] * len(expected)
    assert list(collection.load(np.concatenate(found)).ids) == expected


@pytest.fixture(autouse=True)
def _bases_for_few(monkeypatch):
    """Lets fifty documents have a base."""
    monkeypatch.setattr(loading, "MAX_FRESH_ALONE", 20)


@pytest.fixture
def data(tmp_path):
    """A folder whose collection has 50 documents in the base of its words."""
    with CollectionStore(tmp_path, LANES, flush_policy=NEVER) as store:
        collection = store.create(
            "notes", CollectionSchema(dimension=DIMENSION, client_vectors=True)
        )
        write(collection, 0, 50)
        collection.flush_words().result()
    return tmp_path


@pytest.fixture
def open_store(caplog):
    """Opens a store and tells how the words of its one collection were loaded."""
    opened = []

    def open_and_tell(folder):
        caplog.clear()
        caplog.set_level("INFO", "twopass.index")
        opened.append(CollectionStore(folder, LANES, flush_policy=NEVER))
        (line,) = [record for record in caplog.records if record.message == "words loaded"]
        return opened[-1].get("notes"), line

    yield open_and_tell
    for store in opened:
        store.close()


def notes(folder):
    return folder / "collections" / "notes"


def base(folder):
    (only,) = numbered(notes(folder)).values()
    return only


def test_a_sound_base_is_taken_and_brought_up_to_date(data, open_store):
    with CollectionStore(data, LANES, flush_policy=NEVER) as store:
        write(store.get("notes"), 10, 15)  # replaces five
        write(store.get("notes"), 50, 60)
        store.get("notes").delete(names(0, 1) + names(59, 60)).result()
    collection, line = open_store(data)
    assert (line.num_in_base, line.num_from_documents, line.num_gone) == (50, 14, 6)
    assert line.levelname == "INFO"
    check(collection, names(1, 59))


def test_a_small_collection_has_no_folder(tmp_path, open_store):
    with CollectionStore(tmp_path, LANES, flush_policy=NEVER) as store:
        write(store.create("notes", SCHEMA), 0, 20)
    collection, line = open_store(tmp_path)
    assert (line.num_in_base, line.num_from_documents, line.levelname) == (0, 20, "INFO")
    assert numbered(notes(tmp_path)) == {}
    check(collection, names(0, 20))


def test_documents_of_an_older_server_get_a_base_when_they_are_opened(data, open_store):
    shutil.rmtree(base(data))
    collection, line = open_store(data)
    assert (line.num_in_base, line.num_from_documents, line.levelname) == (50, 0, "INFO")
    check(collection, names(0, 50))


def remove_the_header(folder):
    (base(folder) / "header.json").unlink()


def cut_the_header(folder):
    (base(folder) / "header.json").write_text('{"format_version": 1, "incar')


def remove_the_commit(folder):
    (base(folder) / "meta.json").unlink()


def cut_a_file(folder):
    (file,) = base(folder).glob("*.idx")
    file.write_bytes(file.read_bytes()[:-20])


def flip_a_bit(folder):
    (file,) = base(folder).glob("*.term")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def remove_a_file(folder):
    (file,) = base(folder).glob("*.fast")
    file.unlink()


def take_that_of_another_collection(folder):
    with CollectionStore(folder, LANES, flush_policy=NEVER) as store:
        other = store.create("other", SCHEMA)
        write(other, 0, 50)
        other.flush_words().result()
    (theirs,) = numbered(notes(folder).with_name("other")).values()
    shutil.rmtree(base(folder))
    shutil.copytree(theirs, notes(folder) / theirs.name)
    shutil.rmtree(notes(folder).with_name("other"))


def put_documents_back(folder):
    """As from a backup made before the base was."""
    database = notes(folder) / "documents.sqlite"
    backup = folder / "backup.sqlite"
    with CollectionStore(folder, LANES, flush_policy=NEVER) as store:
        write(store.get("notes"), 60, 61)
        apsw.Connection(str(database)).execute("VACUUM INTO ?", (str(backup),))
        write(store.get("notes"), 0, 50)
        store.get("notes").flush_words().result()
    backup.rename(database)


def claim_more_than_there_is(folder):
    """The base lacks documents of its time: only a bug could do that."""
    with CollectionStore(folder, LANES, flush_policy=NEVER) as store:
        write(store.get("notes"), 50, 52)
    header = read_header(base(folder))
    save_header(base(folder), dataclasses.replace(header, position=2, last_key=52))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (remove_the_header, "it has no header"),
        (cut_the_header, "its header can't be read"),
        (remove_the_commit, "No such file"),
        (cut_a_file, ".idx was cut off"),
        (flip_a_bit, ".term is damaged: its checksum does not match"),
        (remove_a_file, "words can't be read"),
        (take_that_of_another_collection, "it is of another life of the collection"),
        (put_documents_back, "it is of position 3, the documents are of 2: they were put back"),
        (claim_more_than_there_is, "it lacks 2 documents, key 51 among them"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_base_in_doubt_is_built_anew_and_the_log_says_why(data, open_store, damage, said):
    damage(data)
    connection = apsw.Connection(str(notes(data) / "documents.sqlite"))
    stored = [name for (name,) in connection.execute("SELECT id FROM documents ORDER BY key")]
    connection.close()
    collection, line = open_store(data)
    assert (line.levelname, said in line.reason) == ("WARNING", True)
    assert str(notes(data)) in line.reason
    assert (line.num_in_base, line.num_from_documents) == (len(stored), 0)
    check(collection, stored)


def test_a_commit_whose_header_was_lost_is_taken_as_it_is(data, open_store):
    """A crash between the two: the base has documents that its header does not tell of."""
    before = read_header(base(data))
    with CollectionStore(data, LANES, flush_policy=NEVER) as store:
        write(store.get("notes"), 40, 60)
        store.get("notes").flush_words().result()
        write(store.get("notes"), 0, 1)
    after = read_header(base(data))
    save_header(base(data), dataclasses.replace(before, position=after.position))
    collection, line = open_store(data)
    assert (line.num_in_base, line.num_from_documents, line.levelname) == (60, 1, "INFO")
    write(collection, 60, 62)
    collection.flush_words().result()
    check(collection, names(1, 60) + names(0, 1) + names(60, 62))


def test_a_restored_snapshot_gets_words_of_its_own(data):
    with CollectionStore(data, LANES, flush_policy=NEVER) as store:
        store.create_snapshot("notes", "today")
        store.get("notes").delete(names(0, 50)).result()
        check(store.restore("notes", "today", "again"), names(0, 50))
        assert not list((data / "snapshots").glob("**/words-*"))


def test_a_deleted_collection_leaves_nothing(data):
    with CollectionStore(data, LANES, flush_policy=NEVER) as store:
        store.get("notes")
        store.delete("notes")
    assert list((data / "collections").iterdir()) == []


class OtherAnalyser(analysis.Analyser):
    """Cuts as the other, and calls it another analysis."""

    def __init__(self, language=""):
        super().__init__(language)
        self.version += " and more"


@pytest.fixture
def _analysed_otherwise(monkeypatch, data):
    monkeypatch.setattr(opening, "Analyser", OtherAnalyser)


@pytest.mark.usefixtures("_analysed_otherwise")
def test_another_analysis_builds_the_words_anew_while_the_old_ones_serve(data, open_store):
    collection, line = open_store(data)
    assert line.num_in_base == 50  # the old ones
    check(collection, names(0, 50))
    write(collection, 50, 55)
    collection.delete(names(0, 3)).result()
    wait_until(lambda: list(numbered(notes(data))) == [2])
    check(collection, names(3, 55))
    assert read_header(base(data)).analysis.endswith(" and more")
    collection.flush_words().result()
    check(collection, names(3, 55))
    assert read_header(base(data)).last_key == 55


@pytest.mark.usefixtures("_analysed_otherwise")
def test_what_was_begun_is_finished_after_a_restart(data, open_store, monkeypatch):
    monkeypatch.setattr(building, "_PAGE_DOCUMENTS", 10)
    monkeypatch.setattr(flushing, "_SECONDS_OF_A_STEP", 0.0)  # a page each time
    closing = threading.Event()
    steps = []
    rebuild = flushing.Flusher.rebuild

    def step(self, *arguments):
        if len(steps) == 2:
            closing.set()
            return None
        steps.append(rebuild(self, *arguments))
        return steps[-1]

    monkeypatch.setattr(flushing.Flusher, "rebuild", step)
    with CollectionStore(data, LANES, flush_policy=NEVER) as store:
        assert closing.wait(30)
        check(store.get("notes"), names(0, 50))
    begun = read_header(numbered(notes(data))[2])
    assert (begun.is_complete, begun.last_key) == (False, 20)
    monkeypatch.setattr(flushing.Flusher, "rebuild", rebuild)
    collection, _ = open_store(data)
    wait_until(lambda: list(numbered(notes(data))) == [2])
    check(collection, names(0, 50))
