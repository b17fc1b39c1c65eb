"""Milvus is killed under writes: what was acknowledged is there, once."""

import asyncio
import random

import pytest

from twopass.index.documents import DocumentFields
from twopass.index.errors import StoreUnreachableError
from twopass.index.milvus.store import MilvusStore
from twopass.index.schema import CollectionSchema

from ..servers import MilvusServer, ServerNotInstalledError
from .conftest import DIMENSION

KILLS = 4
WRITERS = 3


async def until_it_answers(call):
    while True:
        try:
            return await call()
        except StoreUnreachableError:
            await asyncio.sleep(0.1)


async def ids_of(collection):
    found, token = [], ""
    while True:
        page = await collection.list_page(1_000, token, DocumentFields(text=False, metadata=False))
        found += [document.id for document in page.documents]
        token = page.next_page_token
        if not token:
            return found


@pytest.mark.slow
async def test_nothing_acknowledged_is_lost_or_doubled(make_document):
    try:
        server = MilvusServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    acknowledged, drawn = set(), random.Random(1)
    with server:
        store = MilvusStore(server.url)
        schema = CollectionSchema(dimension=DIMENSION, client_vectors=True)
        await until_it_answers(lambda: store.create("notes", schema))
        collection = (await store.acquire("notes")).collection
        for kill in range(KILLS):
            over = asyncio.Event()

            async def write(number, kill=kill, over=over):
                turn = 0
                while not over.is_set():
                    names = [f"{kill}-{number}-{turn}-{i}" for i in range(5)]
                    try:
                        await (await collection.submit_upsert(list(map(make_document, names))))
                        acknowledged.update(names)
                        turn += 1  # else the same again: a write may be repeated
                    except StoreUnreachableError:
                        await asyncio.sleep(0.05)

            writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
            await asyncio.sleep(drawn.uniform(0.1, 0.6))
            server.kill()
            await asyncio.sleep(0.1)
            server.start()
            await until_it_answers(lambda: collection.known_ids(["nobody"]))
            over.set()
            await asyncio.gather(*writers)
            found = await ids_of(collection)
            assert len(found) == len(set(found))
            assert acknowledged <= set(found)
        assert len(acknowledged) > KILLS
        await store.close()
