"""Documents are written, replaced, changed and deleted: all of a request, or nothing."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from twopass.index.documents import MAX_METADATA_BYTES, OnConflict
from twopass.index.errors import DocumentsExistError, InvalidDocumentError, StoppedError
from twopass.index.filters import FieldCondition, Filter, InRange, OneOf
from twopass.index.metadata import MergeMetadata, ReplaceMetadata
from twopass.index.schema import FieldType, IndexedField, Metric
from twopass.index.stopping import Stop

from .asking import (
    EVERYTHING,
    WHOLE,
    listed,
    metadata_of,
    nearest,
    of_ids,
    texts_of,
    with_words,
    write,
)

ODD_IDS = ["ä", "A", "a b", "%", "'", '"', "🙂", "\u2028", "[1]", "x" * 512, "é" * 256, "\\", "{}"]


async def count(collection):
    return await collection.count(EVERYTHING)


async def test_upsert_inserts_and_replaces(collection, make_document):
    first = await write(collection, make_document("a"), make_document("b"))
    assert (first.num_inserted, first.num_replaced) == (2, 0)
    second = await write(collection, make_document("b", text="new"), make_document("c"))
    assert (second.num_inserted, second.num_replaced) == (1, 1)
    assert (await collection.summary()).num_documents == await count(collection) == 3
    assert await texts_of(collection, "a", "b") == ["text of a", "new"]


async def test_what_was_replaced_is_found_by_what_it_is_now(collection, make_document):
    await write(collection, make_document("a", text="old words"), make_document("b"))
    await write(collection, replace(make_document("c", text="new words"), id="a"))
    assert await with_words(collection, "old", 5) == {}
    assert list(await with_words(collection, "new", 5)) == ["a"]
    assert next(iter(await nearest(collection, make_document("c").vector, 1))) == "a"


async def test_whatever_may_be_written_comes_back(collection, make_document):
    metadata = {
        "n": [2**63 - 1, -(2**63), 2**53 + 1, 0.1, -0.0, 1e300, 5e-324],
        "text": "\0\1 \u2028 ' \" \\ \x7f 🙂 é",
        "deep": [{"a": [[], {}, {"": None}]}],
        "": {"a.b": True},
    }
    documents = [make_document(name, title="ti\ntle", metadata=metadata) for name in ODD_IDS]
    documents.append(make_document("text alone", title="", text="\t tabs\nand \0\1 lines \u00a0"))
    documents.append(make_document("title alone", title="t" * 8192, text=""))
    tokens = np.array([0, 1, 2**31 - 1], np.int32)
    documents.append(make_document("tokens", token_ids=tokens))
    await write(collection, *documents)
    got = await collection.get([document.id for document in documents], WHOLE)
    for given, stored in zip(documents, got, strict=True):
        assert (stored.id, stored.title, stored.text) == (given.id, given.title, given.text)
        assert stored.metadata == given.metadata
        length = np.linalg.norm(given.vector)
        np.testing.assert_allclose(stored.vector, given.vector / length, atol=1e-3)
    assert await count(collection) == len(documents)
    deleted = await collection.delete(of_ids(*ODD_IDS))
    assert deleted.num_deleted == len(ODD_IDS)


async def test_integers_of_metadata_stay_integers_and_floats_floats(collection, make_document):
    given = {"whole": 1, "real": 1.5, "large": 2**53 + 1, "yes": True, "nothing": None}
    await write(collection, make_document("a", metadata=given))
    (found,) = await metadata_of(collection, "a")
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in given.items()
    }


async def test_vectors_of_a_product_collection_come_back_unscaled(store, schema, make_document):
    await store.create("products", replace(schema, metric=Metric.INNER_PRODUCT))
    lease = await store.acquire("products")
    await write(lease.collection, make_document("a", vector=np.array([3, 1, 0, 0], np.float32)))
    (stored,) = await lease.collection.get(["a"], WHOLE)
    np.testing.assert_array_equal(stored.vector, [3, 1, 0, 0])
    assert await nearest(lease.collection, [5, -1, 0, 0], 1) == {"a": 14}
    lease.release()


async def test_a_bad_document_keeps_the_whole_request_out(collection, make_document):
    for bad, where in (
        (make_document("", text="x"), r"documents\[1\].id"),
        (make_document("a" * 513), r"documents\[1\].id"),
        (make_document("b", text=""), r"documents\[1\].text"),
        (make_document("b", title="t" * 8193), r"documents\[1\].title"),
        (make_document("b", vector=np.ones(5, np.float32)), r"documents\[1\].vector"),
        (make_document("b", vector=np.zeros(4, np.float32)), r"documents\[1\].vector"),
        (make_document("b", vector=np.full(4, np.nan, np.float32)), r"documents\[1\].vector"),
        (make_document("b", metadata={"n": 2**63}), r"documents\[1\].metadata"),
        (make_document("b", metadata={"t": "x" * MAX_METADATA_BYTES}), r"documents\[1\].metadata"),
        (make_document("a"), r"documents\[1\].id: 'a' is the id of doc"),
    ):
        with pytest.raises(InvalidDocumentError, match=where):
            await write(collection, make_document("a"), bad)
    assert await count(collection) == 0
    assert (await collection.summary()).sequence.position == 0


async def test_a_refused_document_is_named_by_its_place_in_the_request(collection, make_document):
    documents = [make_document("a"), make_document("b", text="")]
    with pytest.raises(InvalidDocumentError, match=r"documents\[7\].text"):
        await collection.submit_upsert(documents, places=[2, 7])


async def test_a_document_that_is_skipped_leaves_the_earlier_one_as_it_was(
    collection, make_document
):
    first, other = make_document("a"), make_document("c")
    await write(collection, first)
    later = replace(other, id="a", text="later")
    result = await write(collection, later, make_document("b"), on_conflict=OnConflict.SKIP)
    assert (result.num_inserted, result.num_replaced, result.num_skipped) == (1, 0, 1)
    assert await texts_of(collection, "a", "b") == ["text of a", "text of b"]
    assert next(iter(await nearest(collection, first.vector, 1))) == "a"
    assert "a" not in await with_words(collection, "later", 5)


async def test_nothing_is_written_where_an_id_must_be_new_and_is_not(collection, make_document):
    await write(collection, *map(make_document, "abc"))
    before = (await collection.summary()).sequence
    given = [make_document(name, text="later") for name in "xcay"]
    with pytest.raises(DocumentsExistError, match=r"2 of their ids are known .*: 'c', 'a'$") as no:
        await write(collection, *given, on_conflict=OnConflict.FAIL)
    assert no.value.ids == ("c", "a")
    assert await collection.get(["x", "y"], allow_missing=True) == []
    assert await texts_of(collection, "a") == ["text of a"]
    assert (await collection.summary()).sequence == before
    await write(collection, make_document("x"), on_conflict=OnConflict.FAIL)
    assert await texts_of(collection, "x") == ["text of x"]


async def test_writes_of_one_object_take_effect_in_the_order_of_their_submission(
    collection, make_document
):
    waiting = [
        await collection.submit_upsert([make_document("a", text=f"version {number}")], conflict)
        for number, conflict in enumerate(
            [OnConflict.SKIP, OnConflict.FAIL, OnConflict.SKIP, OnConflict.REPLACE]
        )
    ]
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert ended[0].num_inserted == 1
    assert isinstance(ended[1], DocumentsExistError)
    assert ended[2].num_skipped == 1
    assert ended[3].num_replaced == 1
    assert await texts_of(collection, "a") == ["version 3"]


async def test_no_document_awaits_the_state_of_the_writes_before(collection, make_document):
    first = await collection.submit_upsert([make_document("a")])
    state = await (await collection.submit_upsert([]))
    assert (state.num_inserted, state.num_replaced) == (0, 0)
    assert state.sequence.position >= (await first).sequence.position
    assert await texts_of(collection, "a") == ["text of a"]


async def test_every_write_has_a_later_sequence_and_reaching_one_reaches_those_before(
    collection, make_document
):
    written = [(await write(collection, make_document(name))).sequence for name in "abc"]
    written.append((await collection.delete(of_ids("a"))).sequence)
    written.append((await collection.update_metadata(EVERYTHING, MergeMetadata({}))).sequence)
    positions = [sequence.position for sequence in written]
    assert positions == sorted(set(positions))
    assert len({sequence.incarnation for sequence in written}) == 1
    for sequence in written:
        await collection.ensure_reached(str(sequence))
    retrieval = collection.retrieval(min_sequence=str(written[-1]))
    found = await retrieval.nearest(make_document("b").vector, 1)
    assert found.sequence.position >= written[-1].position


async def test_delete_counts_what_was_there(collection, make_document):
    await write(collection, *map(make_document, "abc"))
    assert (await collection.delete(of_ids("a", "c", "nobody", "a"))).num_deleted == 2
    assert (await collection.delete(of_ids("a"))).num_deleted == 0
    assert await listed(collection) == ["b"]
    assert list(await nearest(collection, make_document("a").vector, 10)) == ["b"]
    assert list(await with_words(collection, "text", 10)) == ["b"]


async def test_a_filter_deletes_all_that_pass(collection, make_document):
    await write(
        collection, *(make_document(str(n), metadata={"n": n, "tags": ["x"]}) for n in range(20))
    )
    wanted = Filter(
        must=(FieldCondition("n", InRange(gte=5)),), must_not=(FieldCondition("n", OneOf((7,))),)
    )
    assert (await collection.delete(wanted)).num_deleted == 14
    assert set(await listed(collection)) == {"0", "1", "2", "3", "4", "7"}
    assert (await collection.delete(EVERYTHING)).num_deleted == 6
    assert await count(collection) == 0


@pytest.fixture
async def numbered(store, schema, make_document):
    """Documents "0" to "9" with their number; it is declared, and so has an index."""
    declared = (IndexedField("n", FieldType.NUMBER),)
    await store.create("numbered", replace(schema, indexed_fields=declared))
    lease = await store.acquire("numbered")
    documents = [make_document(str(i), metadata={"n": i, "name": f"d{i}"}) for i in range(10)]
    await write(lease.collection, *documents)
    yield lease.collection
    lease.release()


def below(number):
    return Filter(must=(FieldCondition("n", InRange(lt=number)),))


async def test_metadata_is_changed_and_nothing_else(numbered):
    names = list("0123456789")
    before = await numbered.get(names, WHOLE)
    result = await numbered.update_metadata(below(3), MergeMetadata({"n": 50, "new": True}))
    assert result.num_updated == 3
    after = await numbered.get(names, WHOLE)
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert (new.title, new.text) == (old.title, old.text)
        np.testing.assert_array_equal(new.vector, old.vector)
        changed = {"n": 50, "name": f"d{number}", "new": True}
        assert new.metadata == (changed if number < 3 else old.metadata)
    assert await numbered.count(below(3)) == 0
    assert await numbered.count(Filter(must=(FieldCondition("n", OneOf((50,))),))) == 3
    vector = before[1].vector
    assert next(iter(await nearest(numbered, vector, 1))) == "1"
    assert "1" in await with_words(numbered, "text of 1", 10)


async def test_metadata_is_replaced_whole(numbered):
    await numbered.update_metadata(of_ids("9", "unknown"), ReplaceMetadata({"é": ["東京", None]}))
    assert await metadata_of(numbered, "9", "8") == [{"é": ["東京", None]}, {"n": 8, "name": "d8"}]
    await numbered.update_metadata(of_ids("8"), MergeMetadata({"n": None}))
    assert await metadata_of(numbered, "8") == [{"name": "d8"}]


async def test_no_metadata_is_changed_where_one_document_would_break_a_rule(numbered):
    large = "x" * 60_000
    await numbered.update_metadata(of_ids("7"), MergeMetadata({"large": large}))
    with pytest.raises(InvalidDocumentError, match=r"document '7': 1\d\d,\d{3} bytes as JSON"):
        await numbered.update_metadata(EVERYTHING, MergeMetadata({"more": large}))
    deep = json.loads(40 * '{"d":' + "1" + 40 * "}")
    with pytest.raises(InvalidDocumentError, match=r"nested deeper than 32"):
        await numbered.update_metadata(EVERYTHING, ReplaceMetadata(deep))
    metadata = await metadata_of(numbered, *"0123456789")
    assert all("more" not in each and "d" not in each for each in metadata)


async def test_no_document_is_an_update_too(numbered):
    before = (await numbered.summary()).sequence
    result = await numbered.update_metadata(below(-1), MergeMetadata({"n": 1}))
    assert result.num_updated == 0
    assert result.sequence.position >= before.position


async def test_what_is_stopped_before_its_turn_changes_nothing(numbered):
    stop = Stop()
    stop.set()
    with pytest.raises(StoppedError):
        await numbered.delete(EVERYTHING, stop)
    with pytest.raises(StoppedError):
        await numbered.update_metadata(EVERYTHING, ReplaceMetadata({}), stop)
    assert await count(numbered) == 10
    assert await numbered.count(below(100)) == 10


async def test_writes_at_once_are_all_there(collection, make_document):
    """Each of several callers writes, replaces and deletes, some the same documents."""

    async def caller(number):
        for turn in range(5):
            mine = [make_document(f"{number}-{turn}-{i}") for i in range(3)]
            await write(collection, *mine, make_document("shared", text=f"by {number}"))
            await collection.delete(of_ids(f"{number}-{turn}-0"))

    await asyncio.gather(*(caller(number) for number in range(4)))
    expected = {f"{n}-{turn}-{i}" for n in range(4) for turn in range(5) for i in (1, 2)}
    found = await listed(collection)
    assert len(found) == len(set(found))
    assert set(found) == expected | {"shared"}
    assert (await collection.summary()).num_documents == len(expected) + 1
