"""Documents whose ids are known replace, are skipped, or are refused: decided by the write."""

from dataclasses import replace

import numpy as np
import pytest

from twopass.index.documents import IndexedDocument, OnConflict, SplitPassage
from twopass.index.errors import DocumentsExistError, InvalidDocumentError
from twopass.index.schema import Chunking, CollectionSchema


def texts(collection, *ids):
    return [document.text for document in collection.get(ids)]


def test_a_document_that_is_skipped_leaves_the_earlier_one_as_it_was(collection, make_document):
    collection.upsert([make_document("a")]).result()
    before = collection.get(["a"])[0].key
    later = [make_document("a", text="later"), make_document("b")]
    result = collection.upsert(later, OnConflict.SKIP).result()
    assert (result.num_inserted, result.num_replaced, result.num_skipped) == (1, 0, 1)
    assert collection.get(["a"])[0].key == before
    assert texts(collection, "a", "b") == ["text of a", "text of b"]


def test_what_is_skipped_is_found_by_the_vector_it_had(collection, make_document):
    first, other = make_document("a"), make_document("c")
    collection.upsert([first]).result()
    skipped = replace(first, vector=other.vector)
    collection.upsert([skipped, make_document("b")], OnConflict.SKIP).result()
    found = collection.search(first.vector[None], 2).result()
    assert collection.load(found.keys[0]).ids[0] == "a"
    assert found.scores[0][0] == pytest.approx(1, abs=1e-6)


def test_all_documents_may_be_skipped(collection, make_document):
    sequence = collection.upsert([make_document("a")]).result().sequence
    result = collection.upsert([make_document("a")], OnConflict.SKIP).result()
    assert (result.num_inserted, result.num_skipped) == (0, 1)
    assert result.sequence.position > sequence.position
    assert collection.num_documents == 1


def test_nothing_is_written_where_an_id_must_be_new_and_is_not(collection, make_document):
    collection.upsert([make_document(name) for name in "abc"]).result()
    before = collection.sequence
    given = [make_document(name, text="later") for name in "xcay"]
    with pytest.raises(DocumentsExistError, match=r"2 of their ids are known .*: 'c', 'a'$"):
        collection.upsert(given, OnConflict.FAIL).result()
    assert collection.get(["x", "y"], allow_missing=True) == []
    assert texts(collection, "a") == ["text of a"]
    assert collection.sequence == before
    collection.upsert([make_document("x")], OnConflict.FAIL).result()
    assert texts(collection, "x") == ["text of x"]


def test_the_first_ids_are_named_and_all_are_counted(collection, make_document):
    documents = [make_document(f"document {i}") for i in range(100)]
    collection.upsert(documents).result()
    with pytest.raises(DocumentsExistError, match=r"100 of .*'document 9', …$") as refused:
        collection.upsert(documents, OnConflict.FAIL).result()
    assert "'document 10'" not in str(refused.value)
    assert len(refused.value.ids) == 100


def test_writes_that_wait_together_see_each_other(collection, make_document):
    """They share a COMMIT, and each one is decided when its turn comes."""
    futures = [
        collection.upsert([make_document("a", text=f"version {i}")], on_conflict)
        for i, on_conflict in enumerate([OnConflict.SKIP, OnConflict.FAIL, OnConflict.SKIP])
    ]
    assert futures[0].result().num_inserted == 1
    with pytest.raises(DocumentsExistError):
        futures[1].result()
    assert futures[2].result().num_skipped == 1
    assert texts(collection, "a") == ["version 0"]


@pytest.mark.parametrize("on_conflict", OnConflict)
def test_an_id_given_twice_is_refused_whatever_becomes_of_known_ones(
    collection, make_document, on_conflict
):
    with pytest.raises(InvalidDocumentError, match=r"documents\[1\].id: 'a' is the id of doc"):
        collection.upsert([make_document("a"), make_document("a")], on_conflict)


def test_a_refused_document_is_named_by_its_place_in_the_request(collection, make_document):
    with pytest.raises(InvalidDocumentError, match=r"documents\[7\].text"):
        collection.upsert([make_document("a"), make_document("b", text="")], places=[2, 7])


def test_split_documents_are_skipped_with_their_windows(store):
    schema = CollectionSchema(dimension=2, encoder="e", encoder_revision="1", chunking=Chunking(16))
    collection = store.create("split", schema)

    def split(name, *vectors):
        windows = np.array([[0, 16]] * len(vectors), np.int32)
        passage = SplitPassage(windows, np.array(vectors, np.float32))
        return IndexedDocument(id=name, text=name, vector=passage, token_ids=np.arange(16))

    collection.upsert([split("a", [1, 0], [1, 0.1])]).result()
    given = [split("b", [0, 1]), split("a", [-1, 0], [0, 1], [0, -1]), split("c", [0.1, 1])]
    assert collection.upsert(given, OnConflict.SKIP).result().num_skipped == 1
    for query, expected in (([0, 1], ["b", "c", "a"]), ([-1, 0], ["b", "c", "a"])):
        nearest = collection.nearest_by_window(np.array(query, np.float32), 3)
        assert list(collection.load(nearest.ranked.keys).ids) == expected
