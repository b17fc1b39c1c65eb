"""Several servers on one store at once: each sees what the others wrote."""

import asyncio

import pytest

from twopass.index.aliases import AliasChange
from twopass.index.documents import OnConflict
from twopass.index.errors import (
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    DocumentsExistError,
    FolderInUseError,
    MalformedSequenceError,
    StaleSequenceError,
)
from twopass.index.filters import FieldCondition, Filter, OneOf
from twopass.index.metadata import MergeMetadata

from .asking import EVERYTHING, listed, metadata_of, nearest, of_ids, texts_of, with_words, write


def any_collection(_):
    """Lets every collection be used."""


@pytest.fixture
async def fronts(kind, connect):
    """Two stores of one place."""
    if not kind.has("fronts"):
        pytest.skip(f"{kind.title} has one server alone")
    return await connect(), await connect()


@pytest.fixture
async def both(fronts, schema):
    """One collection, `notes`, as each of two servers has it."""
    await fronts[0].create("notes", schema)
    leases = [await store.acquire("notes") for store in fronts]
    yield tuple(lease.collection for lease in leases)
    for lease in leases:
        lease.release()


async def test_a_place_that_one_server_holds_alone_refuses_another(kind, store, connect):
    if kind.has("fronts"):
        pytest.skip(f"{kind.title} has any number of servers")
    with pytest.raises(FolderInUseError):
        await connect()


async def test_a_write_is_seen_through_the_other_by_its_sequence(both, make_document):
    here, there = both
    for number in range(5):
        name = f"d{number}"
        written = await write(here, make_document(name, text=f"word{number}"))
        await there.ensure_reached(str(written.sequence))
        retrieval = there.retrieval(min_sequence=str(written.sequence))
        found = await retrieval.nearest(make_document(name).vector, 1)
        assert (await retrieval.load(found.ranked.keys)).ids == (name,)
        assert found.sequence.position >= written.sequence.position
        words = await retrieval.with_words(f"word{number}", 1)
        assert (await retrieval.load(words.ranked.keys)).ids == (name,)
    gone = await there.delete(of_ids("d0"))
    await here.ensure_reached(str(gone.sequence))
    retrieval = here.retrieval(min_sequence=str(gone.sequence))
    found = await retrieval.nearest(make_document("d0").vector, 10)
    assert "d0" not in (await retrieval.load(found.ranked.keys)).ids


async def test_documents_and_metadata_are_read_as_the_other_left_them(both, make_document):
    here, there = both
    await write(here, *(make_document(str(n), metadata={"n": n}) for n in range(6)))
    assert await there.count(EVERYTHING) == 6
    assert sorted(await listed(there)) == list("012345")
    await there.update_metadata(of_ids("3"), MergeMetadata({"n": 30, "by": "there"}))
    assert await metadata_of(here, "3") == [{"n": 30, "by": "there"}]
    assert await here.count(Filter(must=(FieldCondition("n", OneOf((30,))),))) == 1
    await write(there, make_document("3", text="replaced"))
    assert await texts_of(here, "3") == ["replaced"]
    assert list(await with_words(here, "replaced", 5)) == ["3"]
    with pytest.raises(DocumentsExistError):
        await write(here, make_document("3"), on_conflict=OnConflict.FAIL)


async def test_sequences_of_the_one_are_those_of_the_other(both, make_document):
    here, there = both
    positions = []
    for number in range(6):
        written = await write((here, there)[number % 2], make_document(str(number)))
        positions.append(written.sequence.position)
    assert positions == sorted(set(positions))
    with pytest.raises(MalformedSequenceError):
        await there.ensure_reached("2")
    with pytest.raises(StaleSequenceError):
        await there.ensure_reached("0" * 32 + ".1")


async def test_names_and_aliases_are_those_of_the_other(fronts, schema, make_document):
    first, second = fronts
    await first.create("docs", schema)
    assert [each.name for each in await second.summaries(lambda _: True)] == ["docs"]
    with pytest.raises(CollectionExistsError):
        await second.create("docs", schema)
    await second.update_aliases([AliasChange("current", "docs")], any_collection)
    lease = await first.acquire("current")
    await write(lease.collection, make_document("a"))
    await second.rename("docs", "papers", keep_alias=True)
    assert dict((await first.aliases()).items()) == {"current": "papers", "docs": "papers"}
    # What is in use goes on under its new name.
    await write(lease.collection, make_document("b"))
    assert (await second.summary("docs")).num_documents == 2
    await second.update_aliases(
        [AliasChange("current", None), AliasChange("docs", None)], any_collection
    )
    await second.delete("papers")
    with pytest.raises((CollectionClosedError, CollectionNotFoundError)):
        await lease.collection.get(["a"])
    lease.release()
    with pytest.raises(CollectionNotFoundError):
        await first.acquire("papers")


async def test_a_collection_made_anew_by_the_other_is_another(fronts, schema, make_document):
    first, second = fronts
    await first.create("docs", schema)
    lease = await first.acquire("docs")
    old = (await write(lease.collection, make_document("a"))).sequence
    lease.release()
    await second.delete("docs")
    await second.create("docs", schema)
    lease = await first.acquire("docs")
    assert await lease.collection.count(EVERYTHING) == 0
    with pytest.raises(StaleSequenceError):
        await lease.collection.ensure_reached(str(old))
    await write(lease.collection, make_document("b"))
    assert list(await nearest(lease.collection, make_document("b").vector, 5)) == ["b"]
    lease.release()


async def test_both_write_at_once_and_lose_and_double_nothing(both, make_document):
    async def caller(collection, number):
        for turn in range(5):
            mine = [make_document(f"{number}-{turn}-{i}") for i in range(3)]
            await write(collection, *mine, make_document("shared", text=f"by {number}"))
            await collection.delete(of_ids(f"{number}-{turn}-0"))
            await collection.update_metadata(of_ids("shared"), MergeMetadata({str(number): turn}))

    await asyncio.gather(*(caller(both[number % 2], number) for number in range(4)))
    expected = {f"{n}-{turn}-{i}" for n in range(4) for turn in range(5) for i in (1, 2)}
    for collection in both:
        found = await listed(collection)
        assert len(found) == len(set(found))
        assert set(found) == expected | {"shared"}
        assert (await collection.summary()).num_documents == len(expected) + 1
    assert list(await with_words(both[0], "shared", 50)) == list(
        await with_words(both[1], "shared", 50)
    )


async def test_of_two_that_write_one_new_id_at_once_one_is_told(kind, both, make_document):
    if not kind.has("transactions"):
        pytest.skip(f"{kind.title} has no transactions")
    for number in range(8):
        ended = await asyncio.gather(
            *(write(one, make_document(f"d{number}"), on_conflict=OnConflict.FAIL) for one in both),
            return_exceptions=True,
        )
        kinds = sorted(type(each).__name__ for each in ended)
        assert kinds == ["DocumentsExistError", "UpsertResult"]
