"""Documents are read within a bound on their bytes."""

from dataclasses import replace

import numpy as np
import pytest

from twopass.index.documents import DocumentFields
from twopass.index.errors import AnswerTooLargeError, DocumentTooLargeError

TEXT = DocumentFields(metadata=False)
NOTHING = DocumentFields(text=False, metadata=False)
EVERYTHING = DocumentFields(vector=True)


@pytest.fixture
def three(collection, make_document):
    """Documents a, b and c, of 10, 20 and 30 bytes with their ids, metadata aside."""
    documents = [
        replace(make_document(name), title="é", text=count * "x", metadata={"n": 1})
        for name, count in (("a", 7), ("b", 17), ("c", 27))
    ]
    collection.upsert(documents).result()
    return collection


def keys(collection):
    return np.array([document.key for document in collection.list_page(10).documents], np.int64)


@pytest.mark.parametrize("wanted", [[], [10**9]], ids=["no key", "a key that is not there"])
def test_of_keys_that_are_not_there_nothing_is_loaded(three, wanted):
    loaded = three.load(np.array(wanted, np.int64))
    assert (len(loaded.positions), loaded.ids, len(loaded.token_ids)) == (0, (), 0)


def pages(collection, max_bytes, fields=TEXT, page_size=10):
    page = collection.list_page(page_size, "", fields, max_bytes=max_bytes)
    yield [document.id for document in page.documents]
    while page.next_page_token:
        page = collection.list_page(page_size, page.next_page_token, fields, max_bytes=max_bytes)
        yield [document.id for document in page.documents]


@pytest.mark.parametrize(
    ("max_bytes", "expected"),
    [
        (60, [["a", "b", "c"]]),
        (59, [["a", "b"], ["c"]]),
        (50, [["a", "b"], ["c"]]),
        (30, [["a", "b"], ["c"]]),
    ],
)
def test_a_page_ends_where_the_next_document_would_not_fit(three, max_bytes, expected):
    assert list(pages(three, max_bytes)) == expected


def test_a_page_holds_at_most_as_many_documents_as_asked_for_however_small(three):
    assert list(pages(three, 1_000, page_size=2)) == [["a", "b"], ["c"]]


def test_a_document_that_no_page_can_hold_is_named_and_has_a_way_out(three):
    listing = pages(three, 29)
    assert next(listing) == ["a"]
    assert next(listing) == ["b"]
    with pytest.raises(DocumentTooLargeError, match=r"'c' has 30 bytes.* at most 29 ") as refused:
        next(listing)
    assert refused.value.id == "c"
    assert list(pages(three, 29, NOTHING)) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("fields", "num_bytes"),
    [
        (NOTHING, 3),
        (TEXT, 60),
        (DocumentFields(text=False), 3 + 3 * len('{"n":1}')),
        (EVERYTHING, 60 + 3 * len('{"n":1}') + 3 * 16),
    ],
    ids=["ids", "text", "metadata", "everything"],
)
def test_what_is_asked_for_counts_and_nothing_else(three, fields, num_bytes):
    found = keys(three)
    assert len(three.fetch(found, fields, max_bytes=num_bytes)) == 3
    assert len(three.get(["a", "b", "c"], fields, max_bytes=num_bytes)) == 3
    for read, what in ((three.fetch, found), (three.get, ["a", "b", "c"])):
        with pytest.raises(AnswerTooLargeError, match=f"{num_bytes:,} bytes.*{num_bytes - 1:,}"):
            read(what, fields, max_bytes=num_bytes - 1)


def test_of_documents_asked_for_by_id_one_too_large_is_named(three):
    with pytest.raises(DocumentTooLargeError) as refused:
        three.get(["a", "c"], TEXT, max_bytes=29)
    assert refused.value.id == "c"
    with pytest.raises(DocumentTooLargeError) as refused:
        three.fetch(keys(three), TEXT, max_bytes=29)
    assert refused.value.id == "c"


def test_a_document_asked_for_twice_counts_twice(three):
    assert len(three.get(["b", "b"], TEXT, max_bytes=40)) == 2
    with pytest.raises(AnswerTooLargeError, match="40 bytes"):
        three.get(["b", "b"], TEXT, max_bytes=39)


@pytest.mark.parametrize(("max_bytes", "num_whole"), [(60, 3), (59, 2), (30, 2), (29, 1), (9, 0)])
def test_of_the_first_documents_as_many_as_fit_are_read_and_of_others_the_ids(
    three, max_bytes, num_whole
):
    found = keys(three)
    documents, bare = three.fetch_first(found, TEXT, max_bytes)
    assert [documents[key].id for key in found.tolist()] == ["a", "b", "c"]
    assert bare == set(found[num_whole:].tolist())
    for key in found[:num_whole].tolist():
        assert documents[key].text
    for key in bare:
        assert (documents[key].title, documents[key].text) == (None, None)


def test_of_documents_that_are_gone_nothing_is_read_however_few_bytes_fit(three):
    found = keys(three)
    three.delete(["b", "c"]).result()
    documents, bare = three.fetch_first(found, TEXT, 5)
    assert [document.id for document in documents.values()] == ["a"]
    assert bare == {int(found[0])}
