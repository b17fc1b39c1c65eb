"""Work ends at its stop; a store that is closed, away or back again says so and recovers."""

import asyncio
from contextlib import AsyncExitStack

import numpy as np
import pytest

from twopass.index.errors import (
    CollectionError,
    StoppedError,
    StoreUnreachableError,
)
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.metadata import MergeMetadata
from twopass.index.stopping import Stop

from .asking import EVERYTHING, listed, nearest, of_ids, with_words, write
from .opening import opened

QUERY = np.ones(4, np.float32)
# Long enough for a machine that does much else; a stop that is not heard takes minutes.
SECONDS = 10.0

READS = {
    "members": lambda collection, stop: collection.members(EVERYTHING, stop),
    "count": lambda collection, stop: collection.count(EVERYTHING, stop),
    "facet": lambda collection, stop: collection.facet(EVERYTHING, "n", 10, stop=stop),
    "get": lambda collection, stop: collection.get(["a"], stop=stop),
    "known ids": lambda collection, stop: collection.known_ids(["a"], stop),
    "page": lambda collection, stop: collection.list_page(10, stop=stop),
    "nearest": lambda collection, stop: collection.retrieval().nearest(QUERY, 3, stop=stop),
    "words": lambda collection, stop: collection.retrieval().with_words("text", 3, stop=stop),
    "deletion": lambda collection, stop: collection.delete(EVERYTHING, stop),
    "update": lambda collection, stop: collection.update_metadata(
        EVERYTHING, MergeMetadata({"n": 1}), stop
    ),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_nothing_begins_once_the_stop_is_set(kind, collection, make_document, read):
    await write(collection, *map(make_document, "abc"))
    stop = Stop()
    stop.set()
    try:
        await read(collection, stop)
    except StoppedError:
        pass
    else:
        assert read is READS["members"]  # a store that only compiles a filter has nothing to end
    assert await collection.count(EVERYTHING) == 3


async def test_what_was_found_is_not_read_once_the_stop_is_set(collection, make_document):
    await write(collection, *map(make_document, "abc"))
    retrieval = collection.retrieval()
    keys = (await retrieval.nearest(QUERY, 3)).ranked.keys
    stop = Stop()
    stop.set()
    for read in (
        lambda: retrieval.load(keys, stop),
        lambda: retrieval.fetch(keys, stop=stop),
        lambda: retrieval.similar(QUERY, keys, stop),
    ):
        # What came along with the hits is there already, and may be given all the same.
        try:
            await read()
        except StoppedError:
            continue


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.05])
async def test_work_that_is_stopped_halfway_harms_no_later_work(collection, make_document, delay):
    numbers = list(range(200))
    await write(
        collection,
        *(make_document(f"d{n}", metadata={"numbers": numbers, "n": n}) for n in range(300)),
    )
    heavy = Filter(
        must=tuple(FieldCondition("numbers", InRange(gte=-n)) for n in range(60)),
        must_not=tuple(FieldCondition("numbers", InRange(lt=-n)) for n in range(60)),
    )
    for read in (
        lambda stop: collection.count(heavy, stop),
        lambda stop: nearest(collection, QUERY.tolist(), 10, heavy, stop),
        lambda stop: collection.delete(heavy, stop),
    ):
        stop = Stop()
        asyncio.get_running_loop().call_later(delay, stop.set)
        try:
            async with asyncio.timeout(SECONDS):
                await read(stop)
        except StoppedError:
            pass
        deleted = await collection.count(EVERYTHING) == 0
        if deleted:
            break
        assert await collection.count(EVERYTHING) == 300
    await write(collection, make_document("later"))
    assert list(await nearest(collection, make_document("later").vector, 1)) == ["later"]


async def test_a_cancelled_call_harms_no_later_one(collection, make_document):
    await write(collection, *(make_document(f"d{n}", metadata={"n": n}) for n in range(100)))
    for delay in (0.0, 0.001, 0.005):
        calls = [
            asyncio.create_task(collection.count(EVERYTHING)),
            asyncio.create_task(nearest(collection, QUERY.tolist(), 10)),
            asyncio.create_task(with_words(collection, "text", 10)),
            asyncio.create_task(listed(collection)),
        ]
        await asyncio.sleep(delay)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
    assert await collection.count(EVERYTHING) == 100
    assert len(await with_words(collection, "text", 100)) == 100


async def test_a_write_that_nobody_waits_for_is_made_whole_or_not_at_all(collection, make_document):
    writing = asyncio.ensure_future(await collection.submit_upsert([*map(make_document, "ab")]))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    await write(collection, make_document("c"))
    assert sorted(await listed(collection)) in (["a", "b", "c"], ["c"])


async def test_a_closed_store_ends_what_waits_and_refuses_what_comes(
    store_url, connect, schema, make_document, tmp_path
):
    async with AsyncExitStack() as stack:
        keeper = await connect() if store_url else None  # empties the place in the end
        store = await stack.enter_async_context(opened(store_url, tmp_path))
        await store.create("notes", schema)
        lease = await store.acquire("notes")
        submitted = [
            await lease.collection.submit_upsert([make_document(f"d{n}")]) for n in range(5)
        ]
        lease.release()
        await store.close()
        ended = await asyncio.gather(*submitted, return_exceptions=True)
        assert all(not isinstance(each, BaseException) for each in ended)  # close finishes them
        await store.close()
        for call in (
            lambda: store.acquire("notes"),
            lambda: lease.collection.get(["d1"]),
            lambda: write(lease.collection, make_document("late")),
        ):
            with pytest.raises(CollectionError):
                await call()
    async with opened(store_url, tmp_path) as again:
        lease = await again.acquire("notes")
        assert sorted(await listed(lease.collection)) == [f"d{n}" for n in range(5)]
        lease.release()
        await again.delete("notes")
    assert keeper is None or keeper.problem == ""


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_a_store_that_is_away_is_said_and_used_again_once_it_is_back(
    kind, own_server, schema, make_document, tmp_path, end
):
    async with opened(own_server.url, tmp_path) as store:
        await store.create("notes", schema)
        lease = await store.acquire("notes")
        collection = lease.collection
        written = await write(collection, *map(make_document, "abc"))
        getattr(own_server, end)()
        for call in (
            lambda: collection.count(EVERYTHING),
            lambda: collection.retrieval().nearest(QUERY, 1),
            lambda: collection.retrieval().with_words("text", 1),
            lambda: write(collection, make_document("d")),
            lambda: collection.delete(of_ids("a")),
            lambda: store.summaries(lambda _: True),
        ):
            async with asyncio.timeout(SECONDS):
                with pytest.raises(StoreUnreachableError) as away:
                    await call()
            assert away.value.retry_after > 0
            assert kind.name in str(away.value)
            assert str(own_server.port) not in str(away.value)
        assert store.problem
        own_server.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await collection.count(EVERYTHING) == 3
                    break
                except StoreUnreachableError:
                    await asyncio.sleep(0.05)
        await collection.ensure_reached(str(written.sequence))
        after = await write(collection, make_document("d"))
        assert after.sequence.position > written.sequence.position
        assert sorted(await listed(collection)) == list("abcd")
        assert list(await nearest(collection, make_document("d").vector, 1)) == ["d"]
        assert store.problem == ""
        lease.release()


async def test_a_store_that_is_away_at_the_start_is_used_once_it_is_there(
    kind, own_server, schema, tmp_path
):
    own_server.kill()
    async with opened(own_server.url, tmp_path) as store:
        assert store.problem
        with pytest.raises(StoreUnreachableError):
            await store.create("notes", schema)
        own_server.start()
        async with asyncio.timeout(60):
            while True:
                try:
                    await store.create("notes", schema)
                    break
                except StoreUnreachableError:
                    await asyncio.sleep(0.05)
        assert (await store.summary("notes")).num_documents == 0
