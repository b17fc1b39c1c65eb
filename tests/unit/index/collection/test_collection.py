"""What a collection promises its callers, on real SQLite and real faiss."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from twopass.index.documents import DocumentFields
from twopass.index.errors import (
    CollectionClosedError,
    DocumentNotFoundError,
    InvalidDocumentError,
    InvalidQueryError,
    MalformedSequenceError,
    StaleSequenceError,
)
from twopass.index.kinds import Breadth
from twopass.index.schema import Metric

NOTHING = DocumentFields(text=False, metadata=False)
EVERYTHING = DocumentFields(vector=True)


def found_ids(collection, vector, k):
    """Ids that a search finds, best first."""
    keys = collection.search(vector[None], k).result().keys[0]
    return list(collection.load(keys).ids)


def test_a_new_collection_is_empty(collection, schema):
    assert collection.num_documents == 0
    assert collection.sequence.position == 0
    assert collection.schema == schema
    assert abs(datetime.now(UTC) - collection.create_time) < timedelta(minutes=1)
    assert found_ids(collection, np.ones(4, np.float32), 10) == []
    assert collection.list_page(10).documents == []


def test_upsert_inserts_and_replaces(collection, make_document):
    first = collection.upsert([make_document("a"), make_document("b")]).result()
    assert (first.num_inserted, first.num_replaced) == (2, 0)
    second = collection.upsert([make_document("b", text="new"), make_document("c")]).result()
    assert (second.num_inserted, second.num_replaced) == (1, 1)
    assert collection.num_documents == 3
    assert [d.text for d in collection.get(["a", "b"])] == ["text of a", "new"]


def test_delete_counts_what_was_there(collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    assert collection.delete(["a", "c", "nobody", "a"]).result().num_deleted == 2
    assert collection.delete(["a"]).result().num_deleted == 0
    assert collection.num_documents == 1
    assert found_ids(collection, make_document("a").vector, 10) == ["b"]


def test_ids_are_compared_whole(collection, make_document):
    collection.upsert([make_document("a")]).result()
    assert collection.delete(["a\0b", "A", "\ud800", ""]).result().num_deleted == 0


def test_an_acknowledged_write_is_found_by_the_next_search(collection, make_document):
    for name in map(str, range(20)):
        collection.upsert([make_document(name)]).result()
        assert found_ids(collection, make_document(name).vector, 1) == [name]
        collection.delete([name]).result()
        assert name not in found_ids(collection, make_document(name).vector, 5)


def test_a_bad_document_keeps_the_whole_request_out(collection, make_document):
    with pytest.raises(InvalidDocumentError):
        collection.upsert([make_document("a"), make_document("b", text="")])
    assert collection.num_documents == 0


def test_cosine_scores_are_cosines_of_whatever_length(collection, make_document):
    collection.upsert([make_document("a", vector=np.array([3, 0, 0, 0], np.float32))]).result()
    query = np.array([[5, 5, 0, 0]], np.float32)
    assert collection.search(query, 1).result().scores[0, 0] == pytest.approx(0.5**0.5)


def test_inner_product_scores_are_products_of_what_was_given(store, schema, make_document):
    collection = store.create("products", replace(schema, metric=Metric.INNER_PRODUCT))
    collection.upsert([make_document("a", vector=np.array([3, 1, 0, 0], np.float32))]).result()
    assert collection.search(np.array([[5, -1, 0, 0]], np.float32), 1).result().scores[0, 0] == 14
    np.testing.assert_array_equal(collection.get(["a"], EVERYTHING)[0].vector, [3, 1, 0, 0])


def test_k_beyond_the_collection_finds_all_of_it(collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    found = collection.search(np.ones((2, 4), np.float32), 2_048).result()
    assert found.keys.shape == found.scores.shape == (2, 3)
    assert (found.keys > 0).all()


@pytest.mark.parametrize(
    ("vectors", "k", "field"),
    [
        (np.ones((1, 4), np.float32), 0, "retrieve.k"),
        (np.ones((1, 5), np.float32), 1, "vector"),
        (np.ones(4, np.float32), 1, "vector"),
        (np.zeros((1, 4), np.float32), 1, "vector"),
        (np.full((1, 4), np.nan, np.float32), 1, "vector"),
    ],
)
def test_a_query_that_breaks_a_rule_is_refused(collection, vectors, k, field):
    with pytest.raises(InvalidQueryError) as refused:
        collection.search(vectors, k)
    assert refused.value.field == field


@pytest.mark.parametrize("value", [-1, 0, 65_537])
@pytest.mark.parametrize("name", ["ef_search", "nprobe"])
def test_a_breadth_out_of_range_is_refused(collection, name, value):
    with pytest.raises(InvalidQueryError, match=f"must be 1 to 65,536, {value:,} given") as refused:
        collection.search(np.ones((1, 4), np.float32), 1, breadth=Breadth(**{name: value}))
    assert refused.value.field == f"retrieve.{name}"


def test_load_keeps_the_order_and_leaves_out_what_is_gone(collection, make_document):
    collection.upsert([make_document(name) for name in ("a", "bb", "ccc", "dddd")]).result()
    keys = collection.search(make_document("bb").vector[None], 4).result().keys[0]
    ids = collection.load(keys).ids
    collection.delete([ids[0]]).result()
    collection.upsert([make_document(ids[2])]).result()  # a replacement has another key
    candidates = collection.load(keys)
    assert candidates.positions.tolist() == [1, 3]
    assert candidates.ids == (ids[1], ids[3])
    assert [row.tolist() for row in candidates.token_ids] == [
        list(range(len(name))) for name in candidates.ids
    ]
    assert sorted(collection.fetch(keys)) == sorted(keys[[1, 3]].tolist())


def test_load_of_nothing_is_empty(collection):
    candidates = collection.load(np.empty(0, np.int64))
    assert (len(candidates.positions), candidates.ids, len(candidates.token_ids)) == (0, (), 0)


def test_a_document_may_have_no_tokens(collection, make_document):
    none = np.empty(0, np.int32)
    collection.upsert([make_document("a", token_ids=none), make_document("b")]).result()
    keys = np.array([document.key for document in collection.get(["a", "b"])])
    assert collection.load(keys).token_ids.lengths.tolist() == [0, 1]


def test_documents_carry_the_fields_asked_for(collection, make_document):
    given = make_document("a", title="t", metadata={"x": [1, {"ü": None}]})
    collection.upsert([given]).result()
    (whole,) = collection.get(["a"], EVERYTHING)
    assert (whole.title, whole.text, whole.metadata) == ("t", "text of a", given.metadata)
    np.testing.assert_allclose(
        whole.vector, given.vector / np.linalg.norm(given.vector), rtol=2**-22
    )
    (bare,) = collection.get(["a"], NOTHING)
    assert (bare.id, bare.title, bare.text, bare.metadata, bare.vector) == ("a", *[None] * 4)
    (default,) = collection.get(["a"])
    assert (default.text, default.metadata, default.vector) == ("text of a", given.metadata, None)


def test_get_keeps_the_order_and_names_the_first_that_is_missing(collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    assert [document.id for document in collection.get(["c", "a", "c"])] == ["c", "a", "c"]
    with pytest.raises(DocumentNotFoundError, match="'y'") as missing:
        collection.get(["a", "y", "x"])
    assert missing.value.id == "y"


@pytest.mark.parametrize("page_size", [1, 2, 6, 7, 8])
def test_pages_hold_every_document_once(collection, make_document, page_size):
    ids = list("abcdefg")
    collection.upsert([make_document(name) for name in ids]).result()
    listed, token, num_pages = [], "", 0
    while token or not num_pages:
        page = collection.list_page(page_size, token)
        listed += [document.id for document in page.documents]
        token = page.next_page_token
        num_pages += 1
    assert listed == ids
    assert num_pages == -(-len(ids) // page_size)


def test_a_listing_survives_the_deletion_of_the_document_it_stopped_at(collection, make_document):
    collection.upsert([make_document(name) for name in "abcd"]).result()
    token = collection.list_page(2).next_page_token
    collection.delete(["b", "c"]).result()
    assert [document.id for document in collection.list_page(2, token).documents] == ["d"]


def test_page_tokens_are_checked(store, collection, schema, make_document):
    collection.upsert([make_document(name) for name in "ab"]).result()
    token = collection.list_page(1).next_page_token
    for bad in ("x", token + "0" * 20, str(collection.sequence)):
        with pytest.raises(InvalidQueryError, match="page_token"):
            collection.list_page(1, bad)
    with pytest.raises(InvalidQueryError, match="page_token"):
        store.create("other", schema).list_page(1, token)
    with pytest.raises(InvalidQueryError, match="page_size"):
        collection.list_page(0)


def test_every_write_has_its_own_sequence_and_reaching_one_reaches_those_before(
    collection, make_document
):
    written = [collection.upsert([make_document(name)]).result().sequence for name in "abc"]
    written.append(collection.delete(["a"]).result().sequence)
    assert [sequence.position for sequence in written] == [1, 2, 3, 4]
    assert collection.sequence == written[-1]
    assert collection.search(np.ones((1, 4), np.float32), 1).result().sequence == written[-1]
    for sequence in written:
        collection.ensure_reached(str(sequence))


def test_a_sequence_of_another_life_is_stale(store, collection, schema, make_document):
    old = str(collection.upsert([make_document("a")]).result().sequence)
    store.delete("notes")
    recreated = store.create("notes", schema)
    recreated.upsert([make_document("a")]).result()
    with pytest.raises(StaleSequenceError, match="deleted and created again"):
        recreated.ensure_reached(old)
    ahead = str(replace(recreated.sequence, position=2))  # of a file since put back from a copy
    with pytest.raises(StaleSequenceError, match="restored from a copy"):
        recreated.ensure_reached(ahead)
    with pytest.raises(MalformedSequenceError):
        recreated.ensure_reached("2")


def test_reads_in_progress_when_a_collection_is_deleted_end_whole(store, collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    started = threading.Barrier(5)
    endings = []

    def read():
        started.wait()
        try:
            while True:
                assert [stored.id for stored in collection.get(["a", "b"])] == ["a", "b"]
        except BaseException as ending:
            endings.append(type(ending))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    started.wait()
    store.delete("notes")
    for reader in readers:
        reader.join()
    assert endings == [CollectionClosedError] * 4


def test_a_closed_collection_says_so(store, collection, make_document):
    collection.upsert([make_document("a")]).result()
    store.delete("notes")
    ones = np.ones((1, 4), np.float32)
    for call in (
        lambda: collection.upsert([make_document("b")]),
        lambda: collection.delete(["a"]),
        lambda: collection.search(ones, 1),
        lambda: collection.get(["a"]),
        lambda: collection.load(np.array([1])),
    ):
        with pytest.raises(CollectionClosedError, match="'notes' was closed"):
            call()
