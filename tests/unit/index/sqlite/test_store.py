"""The data folder behind the interface of stores: leases, keys, and what is opened when."""

import asyncio
import threading

import numpy as np
import pytest

from twopass.index.base.collection import Collection
from twopass.index.base.retrieval import HybridRetrieval
from twopass.index.base.store import InspectableStore, SnapshotStore, Store
from twopass.index.errors import InvalidDocumentError, StoppedError
from twopass.index.filters import Filter, IdCondition
from twopass.index.lanes import Lane
from twopass.index.sqlite.store import SqliteStore
from twopass.index.stopping import Stop
from twopass.index.store.store import CollectionStore

from ..conftest import LANES

ENCODING = Lane("encoding", 1)


def same_type(store: Store, collection: Collection) -> tuple[Store, Collection]:
    """For mypy: the classes have every method of the interface."""
    return store, collection


@pytest.fixture
def folder(tmp_path):
    with CollectionStore(tmp_path, LANES, max_open=1) as opened:
        yield opened


@pytest.fixture
def sqlite(folder):
    return SqliteStore(folder, LANES, ENCODING)


async def test_it_copies_collections_and_knows_what_it_holds(sqlite, schema):
    await sqlite.create("notes", schema)
    assert isinstance(sqlite, SnapshotStore)
    assert isinstance(sqlite, InspectableStore)
    assert sqlite.counts().num_known == 1
    assert [each.name for each in sqlite.counts().summaries] == ["notes"]
    lease = await sqlite.acquire("notes")
    assert not isinstance(lease.collection.retrieval(), HybridRetrieval)
    lease.release()


async def test_a_collection_stays_open_as_long_as_its_lease_is_held(sqlite, folder, schema):
    for name in ("first", "second"):
        await sqlite.create(name, schema)
    held = await sqlite.acquire("first")
    assert folder.opened.num_open == 1
    with pytest.raises(Exception, match="1 are open and in use"):
        await sqlite.acquire("second")
    held.release()
    held.release()  # nothing more happens
    (await sqlite.acquire("second")).release()


async def test_a_lease_that_is_waited_for_no_more_holds_nothing(
    sqlite, folder, schema, monkeypatch
):
    for name in ("first", "second"):
        await sqlite.create(name, schema)
    may_open = threading.Event()
    really = folder.opened._open_database
    monkeypatch.setattr(
        folder.opened, "_open_database", lambda *args: may_open.wait(10) and really(*args)
    )
    stop = Stop()
    stopped = asyncio.create_task(sqlite.acquire("first", stop))
    cancelled = asyncio.create_task(sqlite.acquire("first"))
    await asyncio.sleep(0)
    stop.set()
    cancelled.cancel()
    with pytest.raises(StoppedError):
        await stopped
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    may_open.set()
    (await sqlite.acquire("first")).release()  # its opening went on
    (await sqlite.acquire("second")).release()  # takes the place that nobody holds


async def test_a_start_that_is_interrupted_ends_once_what_it_opened_is_open(
    tmp_path, schema, monkeypatch
):
    with CollectionStore(tmp_path, LANES) as store:
        store.create("notes", schema)
    with CollectionStore(tmp_path, LANES, opens_collections=False) as store:
        may_open, opening = threading.Event(), threading.Event()
        really = store.opened._open_database

        def open_slowly(*arguments):
            opening.set()
            may_open.wait(10)
            return really(*arguments)

        monkeypatch.setattr(store.opened, "_open_database", open_slowly)
        starting = asyncio.create_task(SqliteStore(store, LANES, ENCODING).start())
        await asyncio.to_thread(opening.wait, 10)
        starting.cancel()
        await asyncio.sleep(0)
        assert not starting.done()
        may_open.set()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert store.opened.num_open == 1


async def test_a_search_finds_reads_and_orders_by_the_keys_that_it_gave_out(
    sqlite, schema, make_document
):
    await sqlite.create("notes", schema)
    lease = await sqlite.acquire("notes")
    same_type(sqlite, lease.collection)
    notes = lease.collection
    documents = [make_document(f"d{i}", text=f"word{i} common") for i in range(5)]
    result = await (await notes.submit_upsert(documents))
    assert result.num_inserted == notes.num_documents == 5
    retrieval = notes.retrieval()
    vector = documents[3].vector
    nearest = await retrieval.nearest(vector, 2)
    words = await retrieval.with_words("word4", 2)
    assert nearest.sequence == words.sequence == result.sequence
    read = await retrieval.fetch(np.concatenate([nearest.ranked.keys, words.ranked.keys]))
    assert read[int(nearest.ranked.keys[0])].id == "d3"
    assert read[int(words.ranked.keys[0])].id == "d4"
    everything = await retrieval.nearest(vector, 5)
    backwards = await retrieval.similar(vector, everything.ranked.keys[::-1])
    assert backwards.ranked.keys.tolist() == everything.ranked.keys.tolist()
    assert not len((await retrieval.similar(vector, everything.ranked.keys[:0])).ranked.keys)
    loaded = await retrieval.load(everything.ranked.keys)
    assert loaded.ids == tuple(read_id for read_id in await ids(retrieval, everything))
    lease.release()


async def ids(retrieval, found):
    read = await retrieval.fetch(found.ranked.keys)
    return [read[key].id for key in found.ranked.keys.tolist()]


async def test_members_of_a_filter_bound_the_lists_of_every_search(sqlite, schema, make_document):
    await sqlite.create("notes", schema)
    first, second = [await sqlite.acquire("notes") for _ in range(2)]
    documents = [make_document(f"d{i}", text="common") for i in range(5)]
    await (await first.collection.submit_upsert(documents))
    two = Filter(must=(IdCondition(("d1", "d2")),))
    members = await first.collection.members(two)
    for lease in (first, second):
        retrieval = lease.collection.retrieval()
        nearest = await retrieval.nearest(documents[0].vector, 5, members)
        words = await retrieval.with_words("common", 5, members)
        assert (
            set(await ids(retrieval, nearest)) == set(await ids(retrieval, words)) == {"d1", "d2"}
        )
        lease.release()


async def test_writes_take_effect_in_the_order_in_which_they_were_submitted(
    sqlite, schema, make_document
):
    await sqlite.create("notes", schema)
    lease = await sqlite.acquire("notes")
    notes = lease.collection
    submitted = [
        await notes.submit_upsert([make_document("same", text=f"version {number}")])
        for number in range(20)
    ]
    last = await notes.submit_upsert([])
    results = await asyncio.gather(*submitted)
    assert [result.num_inserted for result in results] == [1] + [0] * 19
    assert (await last).sequence.position > results[-1].sequence.position
    (read,) = await notes.get(["same"])
    assert read.text == "version 19"
    with pytest.raises(InvalidDocumentError):
        await notes.submit_upsert([make_document("")])
    assert (await notes.summary()).num_documents == 1
    lease.release()
