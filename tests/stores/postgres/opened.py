"""Documents, collections and looks into the database, for all tests of this store."""

import asyncio

import asyncpg
import numpy as np

from twopass.index.documents import IndexedDocument
from twopass.index.schema import CollectionSchema

DIMENSION = 8
SCHEMA = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind="HNSW16")


def document(name, text="the blue sky", vector=None, **metadata):
    if vector is None:
        drawn = np.random.default_rng([*name.encode()]).standard_normal(DIMENSION)
        vector = drawn.astype(np.float32)
    tokens = np.arange(len(name), dtype=np.int32)
    return IndexedDocument(id=name, text=text, vector=vector, token_ids=tokens, metadata=metadata)


async def collection_of(store, name="notes"):
    return (await store.acquire(name)).collection


async def write(collection, *documents):
    return await (await collection.submit_upsert(documents))


async def fetched(url, statement):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def until(url, statement, expected):
    for _ in range(600):
        if await fetched(url, statement) == expected:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(statement)
