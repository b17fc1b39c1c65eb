"""How an index begins: from its file where that is sound, from the documents where it is not."""

import dataclasses
import shutil

import apsw
import numpy as np
import pytest

from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.base_file import load_base, save_base
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment

from ..conftest import LANES

DIMENSION = 8
NEVER = MergePolicy(min_changes=10**9)


def document(name):
    drawn = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
    return IndexedDocument(
        id=name,
        text=f"text of {name}",
        vector=drawn.astype(np.float32),
        token_ids=np.arange(3, dtype=np.int32),
    )


def names(start, end):
    return [f"d{number}" for number in range(start, end)]


def schema(kind="Flat"):
    return CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)


def write(collection, start, end):
    collection.upsert([document(name) for name in names(start, end)]).result()


def check(collection, expected):
    """Exactly these documents are found, each by its own vector."""
    assert collection.num_documents == len(expected)
    queries = np.stack([document(name).vector for name in expected])
    found = collection.search(queries, 1).result().keys[:, 0]
    assert list(collection.load(found).ids) == expected


@pytest.fixture
def data(tmp_path):
    """A folder whose collection has 50 documents in its saved base."""
    with CollectionStore(tmp_path, LANES, merge_policy=NEVER) as store:
        collection = store.create("notes", schema())
        write(collection, 0, 50)
        collection.merge().result()
    return tmp_path


@pytest.fixture
def open_store(caplog):
    """Opens a store and tells how its one index was loaded."""
    opened = []

    def open_and_tell(folder):
        caplog.clear()
        caplog.set_level("INFO", "twopass.index")
        opened.append(CollectionStore(folder, LANES, merge_policy=NEVER))
        (line,) = [r for r in caplog.records if r.message.startswith("index ")]
        return opened[-1].get("notes"), line

    yield open_and_tell
    for store in opened:
        store.close()


def base_file(folder):
    return folder / "collections" / "notes" / "vectors.base"


def test_a_sound_file_is_taken_and_brought_up_to_date(data, open_store):
    with CollectionStore(data, LANES, merge_policy=NEVER) as store:
        write(store.get("notes"), 10, 15)  # replaces five
        write(store.get("notes"), 50, 60)
        store.get("notes").delete(["d0", "d59"]).result()
    collection, line = open_store(data)
    assert line.message == "index loaded from its file"
    assert (line.num_in_file, line.num_from_documents, line.num_gone) == (44, 14, 6)
    check(collection, names(1, 59))


def test_a_collection_too_small_for_a_file_is_nothing_to_warn_of(tmp_path, open_store):
    with CollectionStore(tmp_path, LANES) as store:
        write(store.create("notes", schema()), 0, 10)
    collection, line = open_store(tmp_path)
    assert (line.levelname, line.num_from_documents) == ("INFO", 10)
    check(collection, names(0, 10))


def cut_off(folder):
    base_file(folder).write_bytes(base_file(folder).read_bytes()[:100])


def flip_a_bit(folder):
    content = bytearray(base_file(folder).read_bytes())
    content[len(content) // 2] ^= 4
    base_file(folder).write_bytes(content)


def take_that_of_another_collection(folder):
    with CollectionStore(folder, LANES, merge_policy=NEVER) as store:
        other = store.create("other", schema())
        write(other, 0, 50)
        other.merge().result()
    shutil.copy(base_file(folder).parent.with_name("other") / "vectors.base", base_file(folder))


def put_documents_back(folder):
    """As from a backup made before the base was."""
    database = base_file(folder).with_name("documents.sqlite")
    backup = folder / "backup.sqlite"
    with CollectionStore(folder, LANES, merge_policy=NEVER) as store:
        write(store.get("notes"), 60, 61)
        apsw.Connection(str(database)).execute("VACUUM INTO ?", (str(backup),))
        write(store.get("notes"), 0, 50)
        store.get("notes").merge().result()
    backup.rename(database)


def forget_a_document(folder):
    """The base lacks a document of its time: only a bug could do that."""
    base, header = load_base(base_file(folder))
    base.index.remove_ids(np.array([7]))
    keys = np.delete(base.keys, 7)
    less = Segment(base.kind, base.index, keys, np.zeros(len(keys), np.bool_))
    save_base(base_file(folder), less, dataclasses.replace(header, num_vectors=len(keys)))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, "its checksum does not match: it is damaged"),
        (flip_a_bit, "its checksum does not match: it is damaged"),
        (take_that_of_another_collection, "it is of another life of the collection"),
        (put_documents_back, "it is of position 3, the documents are of 2: they were put back"),
        (forget_a_document, "it lacks 1 documents, key 8 among them"),
    ],
    ids=["cut", "flipped", "foreign", "newer", "lacking"],
)
def test_a_file_in_doubt_is_left_aside_and_the_log_says_why(data, open_store, damage, said):
    damage(data)
    with CollectionStore(data, LANES, merge_policy=NEVER) as store:
        stored = [d.id for d in store.get("notes").list_page(1_000).documents]
    if damage is take_that_of_another_collection:
        shutil.rmtree(data / "collections" / "other")
    collection, line = open_store(data)
    assert line.message == "index read from the documents"
    assert (line.levelname, said in line.reason) == ("WARNING", True)
    assert str(base_file(data)) in line.reason
    check(collection, stored)


@pytest.mark.parametrize("kind", ["HNSW16", "IVF2,Flat", "SQfp16"])
def test_every_kind_starts_from_its_file(tmp_path, open_store, kind):
    with CollectionStore(tmp_path, LANES, merge_policy=NEVER) as store:
        collection = store.create("notes", schema(kind))
        write(collection, 0, 200)
        collection.merge().result()
        write(collection, 200, 210)
    collection, line = open_store(tmp_path)
    assert (line.num_in_file, line.num_from_documents) == (200, 10)
    check(collection, names(0, 210))
