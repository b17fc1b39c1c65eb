"""Documents are read by id, page by page and by what a search found; their values are counted."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields
from twopass.index.errors import (
    AnswerTooLargeError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    InvalidQueryError,
)
from twopass.index.facets import FacetValue
from twopass.index.filters import FieldCondition, Filter, InRange, Moment, OneOf

from ..unit.index.naive_filters import keys_of, reached, seconds_of
from .asking import EVERYTHING, NOTHING, WHOLE, listed, of_ids, write


async def test_get_keeps_the_order_and_names_the_first_that_is_missing(collection, make_document):
    await write(collection, *map(make_document, "abc"))
    assert [document.id for document in await collection.get(["c", "a", "c"])] == ["c", "a", "c"]
    with pytest.raises(DocumentNotFoundError, match="'y'") as missing:
        await collection.get(["a", "y", "x"])
    assert missing.value.id == "y"
    there = await collection.get(["x", "b"], allow_missing=True)
    assert [document.id for document in there] == ["b"]
    assert await collection.get([]) == []


async def test_documents_carry_the_fields_asked_for(collection, make_document):
    given = make_document("a", title="t", metadata={"x": [1, {"ü": None}]})
    await write(collection, given)
    (whole,) = await collection.get(["a"], WHOLE)
    assert (whole.title, whole.text, whole.metadata) == ("t", "text of a", given.metadata)
    np.testing.assert_allclose(whole.vector, given.vector / np.linalg.norm(given.vector), atol=1e-3)
    (bare,) = await collection.get(["a"], NOTHING)
    assert (bare.id, bare.title, bare.text, bare.metadata, bare.vector) == ("a", *[None] * 4)
    as_json = DocumentFields(text=False, metadata_as_json=True)
    (written,) = await collection.get(["a"], as_json)
    assert written.metadata is None
    assert written.metadata_json == '{"x":[1,{"ü":null}]}'


async def test_known_ids_are_those_that_documents_have(collection, make_document):
    await write(collection, *map(make_document, "abc"))
    assert await collection.known_ids(["a", "x", "c", "A", "a"]) == {"a", "c"}
    assert await collection.known_ids([]) == frozenset()


async def test_what_is_too_large_for_an_answer_is_refused(collection, make_document):
    await write(collection, *(make_document(name, text=1_000 * "é") for name in "abc"))
    assert len(await collection.get(["a", "b"], max_bytes=5_000)) == 2
    with pytest.raises(AnswerTooLargeError, match="at most 5,000"):
        await collection.get(["a", "b", "c"], max_bytes=5_000)
    with pytest.raises(DocumentTooLargeError, match=r"'\w' has 2,\d{3} bytes"):
        await collection.get(["a"], max_bytes=1_999)


@pytest.mark.parametrize("page_size", [1, 2, 6, 7, 8])
async def test_pages_hold_every_document_once(collection, make_document, page_size):
    await write(collection, *map(make_document, "abcdefg"))
    found = await listed(collection, page_size=page_size)
    assert sorted(found) == list("abcdefg")


async def test_pages_of_a_filter_hold_what_passes(collection, make_document):
    await write(collection, *(make_document(str(n), metadata={"n": n}) for n in range(20)))
    wanted = Filter(must=(FieldCondition("n", InRange(gte=5, lt=18)),))
    found = await listed(collection, wanted, page_size=3)
    assert sorted(found, key=int) == [str(n) for n in range(5, 18)]


async def test_a_listing_survives_the_deletion_of_the_documents_it_stopped_at(
    collection, make_document
):
    await write(collection, *map(make_document, "abcdefgh"))
    first = await collection.list_page(3)
    seen = [document.id for document in first.documents]
    rest = sorted(set("abcdefgh") - set(seen))
    await collection.delete(of_ids(*seen, rest[0]))
    second = await collection.list_page(100, first.next_page_token)
    assert sorted(document.id for document in second.documents) == rest[1:]
    assert second.next_page_token == ""


async def test_a_page_ends_early_where_the_next_document_does_not_fit(collection, make_document):
    await write(collection, *(make_document(name, text=1_000 * "x") for name in "abc"))
    page = await collection.list_page(3, max_bytes=2_500)
    assert len(page.documents) == 2
    rest = await collection.list_page(3, page.next_page_token, max_bytes=2_500)
    assert len(rest.documents) == 1
    with pytest.raises(DocumentTooLargeError):
        await collection.list_page(3, max_bytes=900)


async def test_page_tokens_are_checked(store, collection, schema, make_document):
    await write(collection, *map(make_document, "ab"))
    token = (await collection.list_page(1)).next_page_token
    other = Filter(must=(FieldCondition("n", OneOf((1,))),))
    for bad, wanted in (("x", EVERYTHING), (token + "0" * 20, EVERYTHING), (token, other)):
        with pytest.raises(InvalidQueryError, match="page_token"):
            await collection.list_page(1, bad, wanted=wanted)
    await store.create("other", schema)
    lease = await store.acquire("other")
    with pytest.raises(InvalidQueryError, match="page_token"):
        await lease.collection.list_page(1, token)
    lease.release()
    with pytest.raises(InvalidQueryError, match="page_size"):
        await collection.list_page(0)


async def test_what_a_search_found_is_loaded_and_fetched_by_its_keys(collection, make_document):
    documents = [make_document(name, title=f"title {name}", metadata={"n": 1}) for name in "abcd"]
    await write(collection, *documents)
    retrieval = collection.retrieval()
    found = await retrieval.nearest(documents[2].vector, 4)
    keys = found.ranked.keys
    loaded = await retrieval.load(keys)
    assert loaded.positions.tolist() == [0, 1, 2, 3]
    assert loaded.ids[0] == "c"
    assert {len(ids) for ids in loaded.token_ids} == {1}
    fetched = await retrieval.fetch(keys[::-1], WHOLE)
    assert fetched.keys() == set(keys.tolist())
    for key, name in zip(keys.tolist(), loaded.ids, strict=True):
        stored = fetched[key]
        assert (stored.id, stored.title, stored.metadata) == (name, f"title {name}", {"n": 1})
    assert await retrieval.fetch(keys[:0]) == {}
    assert (await retrieval.load(keys[:0])).ids == ()
    some = await retrieval.load(keys[[3, 0]])
    assert some.ids == (loaded.ids[3], loaded.ids[0])


async def test_what_is_gone_since_it_was_found_is_left_out_or_whole_as_it_was(
    collection, make_document
):
    await write(collection, *map(make_document, "abcd"))
    retrieval = collection.retrieval()
    keys = (await retrieval.nearest(make_document("a").vector, 4)).ranked.keys
    names = (await retrieval.load(keys)).ids
    await write(collection, make_document("b", text="replaced", token_ids=np.arange(9)))
    await collection.delete(of_ids("c"))
    loaded = await retrieval.load(keys)
    fetched = await retrieval.fetch(keys, DocumentFields(metadata=False))
    of_key = dict(zip(keys.tolist(), names, strict=True))
    assert {"a", "d"} <= set(loaded.ids)
    assert {"a", "d"} <= {stored.id for stored in fetched.values()}
    for position, name, tokens in zip(
        loaded.positions.tolist(), loaded.ids, loaded.token_ids, strict=True
    ):
        assert name == names[position]
        assert len(tokens) == 1  # as it was found, never as it is now under the old place
    for key, stored in fetched.items():
        assert stored.id == of_key[key]
        assert stored.text == f"text of {stored.id}"


async def test_as_many_documents_are_read_as_fit_the_first_ones_first(collection, make_document):
    await write(collection, *(make_document(name, text=1_000 * "é") for name in "abcd"))
    retrieval = collection.retrieval()
    keys = (await retrieval.nearest(make_document("b").vector, 4)).ranked.keys
    fields = DocumentFields(metadata=False)
    fetched, bare = await retrieval.fetch_first(keys, fields, 4_500)
    assert bare == frozenset(keys[2:].tolist())
    assert fetched.keys() == set(keys.tolist())
    texts = [fetched[key].text for key in keys.tolist()]
    assert texts == [1_000 * "é"] * 2 + [None] * 2
    assert (await retrieval.load(keys)).ids == tuple(fetched[key].id for key in keys.tolist())
    _, none = await retrieval.fetch_first(keys, fields, 100_000)
    assert none == frozenset()


scalars = st.sampled_from(
    [
        *(None, True, False, 0, 1, 1.0, -1, 0.5, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 1e300),
        *("", "a", "A", "ä", "1", "true", "a\0b", "🙂"),
        *("2024-01-31", "2024-01-31T23:30:00.25-02:00"),
    ]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["x", "y", "x.y"]), inner, max_size=2)
    ),
    max_leaves=6,
)
metadata = st.dictionaries(st.sampled_from(["x", "y", "x.y"]), values, max_size=3)
fields = st.sampled_from(["x", "y", "x.y", "x.x", '"x.y"', "y.x.y", '"x.y".x', "other"])
KINDS = ("NoneType", "bool", "number", "str")


def kind_of(value):
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return type(value).__name__


def counted(documents, field):
    """What a facet says, by plain Python: documents with the field, and each value's documents."""
    num_documents, counts = 0, Counter()
    for one in documents:
        there = list(reached(one, keys_of(field)))
        num_documents += bool(there)
        opened = [e for value in there for e in (value if isinstance(value, list) else [value])]
        counts.update({(kind_of(v), v) for v in opened if not isinstance(v, list | dict)})
    return num_documents, counts


@pytest.fixture
def refilled(collection, make_document):
    """Writes documents with some metadata in place of those that are there."""

    async def refill(documents):
        await collection.delete(EVERYTHING)
        if documents:
            await write(
                collection,
                *(make_document(str(i), metadata=one) for i, one in enumerate(documents)),
            )
        return collection

    return refill


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(documents=st.lists(metadata, max_size=8), field=fields)
async def test_a_facet_says_what_plain_python_counts(refilled, documents, field):
    facet = await (await refilled(documents)).facet(EVERYTHING, field, 1_000)
    num_documents, counts = counted(documents, field)
    assert facet.num_documents == num_documents
    assert facet.num_values == len(counts) == len(facet.values)
    assert {(kind_of(v.value), v.value): v.num_documents for v in facet.values} == counts
    numbers = [value for kind, value in counts if kind == "number"]
    texts = [value for kind, value in counts if kind == "str"]
    assert facet.numbers == ((min(numbers), max(numbers)) if numbers else None)
    assert facet.texts == ((min(texts), max(texts)) if texts else None)
    moments = [seconds for text in texts if (seconds := seconds_of(text)) is not None]
    if moments:
        earliest, latest = ((m.seconds * 10**9 + m.nanos) for m in facet.times)
        assert (earliest, latest) == (min(moments) * 10**9, max(moments) * 10**9)
    else:
        assert facet.times is None
    order = [(-v.num_documents, KINDS.index(kind_of(v.value))) for v in facet.values]
    assert order == sorted(order)


async def test_the_most_frequent_values_come_first_and_all_are_counted(refilled):
    documents = [{"tag": tag} for tag in "abcabcab"] + [{"tag": 1}, {"tag": True}, {"tag": None}]
    collection = await refilled(documents)
    facet = await collection.facet(EVERYTHING, "tag", 4)
    assert facet.values == tuple(
        FacetValue(*pair) for pair in (("a", 3), ("b", 3), ("c", 2), (None, 1))
    )
    assert (facet.num_values, facet.num_documents) == (6, 11)
    none = await collection.facet(EVERYTHING, "tag", 0)
    assert (none.values, none.num_values, none.texts) == ((), 6, ("a", "c"))


async def test_facets_are_of_the_documents_that_pass(refilled):
    collection = await refilled(
        [{"n": n, "odd": n % 2 == 1, "name": f"d{n}", "at": "2024-03-01"} for n in range(20)]
    )
    wanted = Filter(
        must=(FieldCondition("odd", OneOf((True,))), FieldCondition("n", InRange(lt=10)))
    )
    facet = await collection.facet(wanted, "name", 100)
    assert {v.value for v in facet.values} == {"d1", "d3", "d5", "d7", "d9"}
    facet = await collection.facet(wanted, "at", 100)
    assert facet.times == (Moment(1_709_251_200), Moment(1_709_251_200))


async def test_values_that_would_be_too_many_bytes_are_left_out(refilled):
    collection = await refilled([{"t": 1_000 * "é"}, {"t": 1_000 * "é"}, {"t": "b"}, {"t": 7}])
    most = await collection.facet(EVERYTHING, "t", 100, max_bytes=2_001)
    assert [v.num_documents for v in most.values] == [2, 1, 1]
    none = await collection.facet(EVERYTHING, "t", 100, max_bytes=1_999)
    assert (none.values, none.num_values) == ((), 3)
