"""Collections as calls find them: what takes long for one takes no thread that others need."""

import asyncio
import threading

import pytest

from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.sqlite.store import SqliteStore
from twopass.index.store.store import CollectionStore
from twopass.server.collections import Collections
from twopass.server.request import Request

SCHEMA = CollectionSchema(dimension=4, client_vectors=True)


@pytest.fixture
def lanes():
    lanes = Lanes.for_cpus(1)
    yield lanes
    lanes.close()


async def test_nothing_but_lists_waits_in_a_thread_for_what_is_being_opened(
    lanes, tmp_path, monkeypatch
):
    with CollectionStore(tmp_path, lanes) as store:
        store.create("large", SCHEMA)
        store.create("other", SCHEMA)
    may_open = threading.Event()
    with CollectionStore(tmp_path, lanes, max_open=1) as store:  # opens none at the start
        open_database = store.opened._open_database
        monkeypatch.setattr(
            store.opened, "_open_database", lambda *args: may_open.wait(10) and open_database(*args)
        )
        collections, request = Collections(SqliteStore(store, lanes, lanes.pages)), Request()
        opening = asyncio.create_task(collections.acquire("large", request))
        await asyncio.sleep(0)
        described = [
            asyncio.create_task(collections.summary("large", Request()))
            for _ in range(lanes.reads.num_threads)
        ]
        listed = [
            asyncio.create_task(collections.summaries(Request()))
            for _ in range(lanes.scans.num_threads)
        ]
        copying = Request()
        copied = asyncio.create_task(collections.create_snapshot("large", "copy", copying))
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            assert await lanes.reads.run(str) == ""
            assert await lanes.scans.run(str) == ""
            assert await lanes.snapshots.run(str) == ""
        assert not any(task.done() for task in (opening, copied, *described, *listed))
        may_open.set()
        assert {summary.name for summary in await asyncio.gather(*described)} == {"large"}
        for summaries in await asyncio.gather(*listed):
            assert [summary.name for summary in summaries] == ["large", "other"]
        assert (await copied).name == "copy"
        await opening
        for each in (request, copying):
            each.close()
