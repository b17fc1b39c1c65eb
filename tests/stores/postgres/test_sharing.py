"""Several servers on one database."""

import asyncio

import asyncpg
import numpy as np
import pytest

from twopass.index.errors import (
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
)
from twopass.index.filters import FieldCondition, Filter, OneOf
from twopass.index.postgres import catalogue

from .opened import SCHEMA, collection_of, document, fetched, write


async def test_servers_that_write_the_same_documents_at_once_all_succeed_one_after_another(
    store, others
):
    await store.create("notes", SCHEMA)
    collections = [await collection_of(each) for each in (store, *others)]
    names = [f"d{n}" for n in range(30)]

    async def write_all(number, collection):
        order = np.random.default_rng(number).permutation(names).tolist()
        return [
            await write(collection, *(document(name, f"by {number}") for name in order))
            for _ in range(5)
        ]

    results = await asyncio.gather(*(write_all(*one) for one in enumerate(collections)))
    positions = [one.sequence.position for each in results for one in each]
    assert sorted(positions) == list(range(1, 21))
    summary = await store.summary("notes")
    assert (summary.num_documents, summary.sequence.position) == (30, 20)
    last = positions.index(20) // 5
    texts = {one.text for one in await collections[0].get(names)}
    assert texts == {f"by {last}"}


async def test_of_servers_that_create_a_collection_at_once_one_does(store, others):
    results = await asyncio.gather(
        *(each.create("notes", SCHEMA) for each in (store, *others)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in results) == 1
    assert sum(isinstance(each, CollectionExistsError) for each in results) == 3


async def test_a_collection_deleted_through_another_server_is_gone_with_its_tables(
    store, others, database_url
):
    count = "SELECT count(*) FROM pg_tables WHERE schemaname = 'twopass'"
    shared = await fetched(database_url, count)
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    await write(collection, document("d"))
    with_one = await fetched(database_url, count)
    assert with_one > shared
    await others[0].delete("notes")
    with pytest.raises(CollectionNotFoundError):
        await store.acquire("notes")
    for call in (
        collection.retrieval().with_words("sky", 3),
        write(collection, document("e")),
        collection.count(Filter(must=(FieldCondition("a", OneOf((1,))),))),
    ):
        with pytest.raises(CollectionClosedError):
            await call
    await others[1].create("notes", SCHEMA)
    assert (await others[1].summary("notes")).num_documents == 0
    assert await fetched(database_url, count) == with_one


async def test_a_deletion_waits_for_no_search_and_breaks_none(store, others):
    for _ in range(5):
        await store.create("notes", SCHEMA)
        collection = await collection_of(store)
        await write(collection, *(document(f"d{n}") for n in range(50)))

        async def search(collection=collection):
            while True:
                try:
                    found = await collection.retrieval().with_words("sky", 50)
                except CollectionClosedError:
                    return
                assert len(found.ranked.keys) == 50

        searches = [asyncio.create_task(search()) for _ in range(4)]
        await asyncio.sleep(0.05)
        await others[0].delete("notes")
        await asyncio.gather(*searches)


async def test_a_read_that_a_change_waits_for_and_that_waits_for_it_is_asked_again(
    store, database_url
):
    other = await asyncpg.connect(database_url)
    await other.execute("CREATE TABLE one (); CREATE TABLE two ()")
    is_waiting, tries = asyncio.Event(), 0

    async def read(connection):
        nonlocal tries
        tries += 1
        if tries == 2:
            return "answered"
        async with connection.transaction():
            await connection.execute("SET LOCAL deadlock_timeout = '50ms'; SELECT * FROM one")
            is_waiting.set()
            return await connection.fetch("SELECT * FROM two")

    async with other.transaction():
        await other.execute("SET LOCAL deadlock_timeout = '60s'; LOCK TABLE two")
        reading = asyncio.create_task(store._connections.run(read))
        await is_waiting.wait()
        await other.execute("LOCK TABLE one")
    assert await reading == "answered"
    assert not store.problem
    await other.execute("DROP TABLE one, two")
    await other.close()


async def test_writes_of_one_server_take_effect_in_the_order_of_their_submission(store):
    await store.create("notes", SCHEMA)
    collection = await collection_of(store)
    submitted = [await collection.submit_upsert([document("d", f"text {n}")]) for n in range(20)]
    results = await asyncio.gather(*submitted)
    assert [one.sequence.position for one in results] == list(range(1, 21))
    (found,) = await collection.get(["d"])
    assert found.text == "text 19"


async def test_schemas_of_few_collections_are_kept_however_many_come_and_go(store, monkeypatch):
    monkeypatch.setattr(catalogue, "MAX_SCHEMAS", 2)
    for number in range(4):
        await store.create(f"notes{number}", SCHEMA)
    assert {each.schema for each in await store.summaries(lambda _: True)} == {SCHEMA}
    assert len(store._catalogue._schemas) <= 2
