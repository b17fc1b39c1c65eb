"""Bits rot: what is damaged is named, the rest is served, and nothing is written."""

import re
from dataclasses import replace

import apsw
import numpy as np
import pytest

from twopass.index.documents import DocumentFields, SplitPassage
from twopass.index.errors import CollectionDamagedError, StoppedError, StorageError
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.schema import Chunking
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.merging import MergePolicy

from ..conftest import LANES, StopsAfter

NUM_DOCUMENTS = 200
PAGE_BYTES = 8_192
EVERYTHING = DocumentFields(vector=True)
EAGER = MergePolicy(min_changes=NUM_DOCUMENTS)


def name_of(number):
    return f"d{number:03}"


@pytest.fixture
def documents(make_document):
    """Of every tenth, the text fills several pages."""
    return [
        make_document(
            name_of(n),
            text=f"text of {name_of(n)} " * (2_000 if n % 10 == 0 else 10),
            metadata={"number": n},
            # One vector and one row of token ids that can be told in the file.
            **(
                {
                    "vector": np.full(4, 0.25, np.float32),
                    "token_ids": np.array([7, 8, 9], np.int32),
                }
                if n == 44
                else {}
            ),
        )
        for n in range(NUM_DOCUMENTS)
    ]


@pytest.fixture(params=["base file", "no base file"])
def data(request, tmp_path, schema, documents):
    """A folder with a collection `notes` that will be damaged, and a sound one."""
    with CollectionStore(tmp_path, LANES, merge_policy=EAGER) as store:
        for name in ("notes", "sound"):
            collection = store.create(name, schema)
            collection.upsert(documents).result()
            collection.merge().result()
    if request.param == "no base file":
        (tmp_path / "collections" / "notes" / "vectors.base").unlink()
    return tmp_path


def flip_bits(data, marker):
    """Changes the file of `notes` where a marker stands, in pages that are free too."""
    file = documents_file(data)
    content = bytearray(file.read_bytes())
    places = [match.start() for match in re.finditer(re.escape(marker), content)]
    assert places
    for where in places:
        content[where] ^= 1
    file.write_bytes(content)


def wipe_page(data, number):
    content = bytearray(documents_file(data).read_bytes())
    content[(number - 1) * PAGE_BYTES : number * PAGE_BYTES] = b"\xff" * PAGE_BYTES
    documents_file(data).write_bytes(content)


def wipe_leaf(data):
    """Wipes a page of the table that holds some twenty rows."""
    wipe_page(data, ask(data, "SELECT pageno FROM dbstat WHERE name = 'documents' AND ncell > 15"))


def documents_file(data):
    return data / "collections" / "notes" / "documents.sqlite"


def ask(data, question):
    """The first answer, read without changing the file."""
    connection = apsw.Connection(str(documents_file(data)))
    try:
        return connection.execute(question).fetchall()[0][0]
    finally:
        connection.close()


def check_served(collection, documents, damaged):
    """Everything but the damaged is read, listed and found."""
    sound = [document for document in documents if document.id not in damaged]
    read = collection.get([document.id for document in sound], EVERYTHING)
    assert [(r.text, r.metadata) for r in read] == [(d.text, d.metadata) for d in sound]
    page, listed = collection.list_page(7), []
    while True:
        listed += [document.id for document in page.documents]
        if not page.next_page_token:
            break
        page = collection.list_page(7, page.next_page_token)
    assert listed == [document.id for document in sound]
    found = collection.search(np.stack([document.vector for document in sound]), 1).result()
    assert collection.load(found.keys[:, 0]).ids == tuple(document.id for document in sound)


def check_read_only(collection, make_document, damaged):
    with pytest.raises(CollectionDamagedError, match=f"{len(damaged)} documents are damaged"):
        collection.upsert([make_document("new")]).result()
    with pytest.raises(CollectionDamagedError, match="is read-only"):
        collection.delete(["d001"]).result()
    for document_id in damaged:
        with pytest.raises(CollectionDamagedError, match=f"document '{document_id}' is damaged"):
            collection.get([document_id])


@pytest.mark.parametrize(
    "marker",
    [
        b"text of d017 text",
        b"of d070 text of d070",
        b'{"number":33}',
        np.float32(0.5).tobytes() * 3,
        b"\x07\x00\x00\x00\x08\x00\x00\x00\x09\x00\x00\x00",
    ],
    ids=["text", "text on an overflow page", "metadata", "embedding", "token ids"],
)
def test_one_changed_bit_is_found_by_reading_and_named(data, documents, make_document, marker):
    flip_bits(data, marker)
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        collection = store.get("notes")
        collection.list_page(NUM_DOCUMENTS)
        damaged = collection.check_every_document()
        assert len(damaged) == 1
        check_served(collection, documents, damaged)
        check_read_only(collection, make_document, damaged)
        store.get("sound").upsert([make_document("new")]).result()


def test_a_wiped_page_takes_its_documents_and_no_others(data, documents, make_document):
    wipe_leaf(data)
    for _ in range(2):  # and it stays so
        with CollectionStore(data, LANES, merge_policy=EAGER) as store:
            assert store.failed == {}
            collection = store.get("notes")
            collection.list_page(NUM_DOCUMENTS)
            damaged = collection.check_every_document()
            assert 15 < len(damaged) < 40
            check_served(collection, documents, damaged)
            check_read_only(collection, make_document, damaged)
            assert str(data) not in collection.read_only_reason  # it is the callers' to read
            assert repr(damaged[0]) in collection.read_only_reason
            assert "restore a snapshot" in collection.read_only_reason
            with pytest.raises(CollectionDamagedError):
                store.snapshots.create(collection)
            store.get("sound").upsert([make_document("new")]).result()


def test_filters_pass_by_what_can_not_be_read(data, documents):
    wipe_leaf(data)
    wanted = Filter(must=(FieldCondition("number", InRange(gte=100)),))
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        collection = store.get("notes")
        matching = collection.matching(wanted)
        damaged = collection.check_every_document()
        left = [d.id for d in documents if d.metadata["number"] >= 100 and d.id not in damaged]
        assert collection.load(matching).ids == tuple(left)
        listed = collection.list_page(NUM_DOCUMENTS, wanted=wanted).documents
        assert [document.id for document in listed] == left
        assert collection.count(wanted) == len(left)
        facet = collection.facet(wanted, "number", limit=1)
        assert (facet.num_documents, facet.num_values) == (len(left), len(left))
        none = Filter(must=(FieldCondition("number", InRange(gte=10**9)),))
        assert collection.facet(none, "number", limit=1).num_documents == 0
        found = collection.search(documents[150].vector[None], NUM_DOCUMENTS, matching).result()
        assert set(collection.load(found.keys[0]).ids) == set(left)


def test_a_sound_collection_says_nothing(data):
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        collection = store.get("sound")
        collection.list_page(NUM_DOCUMENTS)
        assert (collection.read_only_reason, collection.check_every_document()) == ("", ())


def test_a_write_that_meets_damage_first_is_refused_and_changes_nothing(data, make_document):
    wipe_leaf(data)
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        collection = store.get("notes")
        before = collection.sequence
        with pytest.raises(StorageError, match=r"collection 'notes': it is damaged|is read-only"):
            collection.upsert([make_document(name_of(n)) for n in range(NUM_DOCUMENTS)]).result()
        collection.check_every_document()
        with pytest.raises(CollectionDamagedError, match="documents are damaged"):
            collection.upsert([make_document("new")]).result()
        assert collection.sequence == before
        assert collection.list_page(NUM_DOCUMENTS).documents[-1].id == "d199"


def test_a_damaged_index_of_ids_keeps_the_collection_out(data):
    """Nothing can be named without it: as any file that SQLite can't read."""
    root = "SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_documents_1'"
    wipe_page(data, ask(data, root))
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        assert "it is damaged; restore it from a backup" in store.failed["notes"]
        assert store.get("sound").num_documents == NUM_DOCUMENTS


def test_a_damaged_window_is_named_by_its_document_and_not_found(tmp_path, schema, make_document):
    with_encoder = replace(schema, client_vectors=False, encoder="e", encoder_revision="0")
    split = replace(with_encoder, chunking=Chunking(16))
    vectors = np.eye(4, dtype=np.float32)
    windows = np.array([[0, 9], [7, 16]], np.int32)
    documents = [
        make_document("a", vector=SplitPassage(windows, vectors[:2])),
        make_document("b", vector=SplitPassage(windows, vectors[2:])),
    ]
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", split).upsert(documents).result()
    flip_bits(tmp_path, vectors[3].tobytes())
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.get("notes")
        assert collection.check_every_document() == ("b",)
        assert "'b'" in collection.read_only_reason
        for vector in vectors[:3]:
            (key,) = collection.nearest_by_window(vector, 1).ranked.keys
            assert collection.load(np.array([key])).ids == (("b" if vector[2] else "a"),)
        with pytest.raises(CollectionDamagedError):
            collection.delete(["a"]).result()


def test_the_reads_of_a_damaged_collection_end_at_a_stop(data):
    wipe_leaf(data)
    wanted = Filter(must=(FieldCondition("number", InRange(gte=0)),))
    with CollectionStore(data, LANES, merge_policy=EAGER) as store:
        collection = store.get("notes")
        keys = collection.matching(wanted)
        for read in (
            lambda stop: collection.matching(wanted, stop),
            lambda stop: collection.list_page(NUM_DOCUMENTS, wanted=wanted, stop=stop),
            lambda stop: collection.fetch(keys, stop=stop),
        ):
            for times in (1, 2, 5):
                with pytest.raises(StoppedError):
                    read(StopsAfter(times))
