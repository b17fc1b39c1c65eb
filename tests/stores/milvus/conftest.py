"""A store in Milvus that is emptied in the end, and documents for it."""

import numpy as np
import pytest

from twopass.index.documents import IndexedDocument
from twopass.index.milvus.store import MilvusStore

DIMENSION = 4


@pytest.fixture
async def open_store(milvus_server):
    """Opens stores of one Milvus, each as another server would."""
    stores = []

    async def open_another(options=""):
        stores.append(MilvusStore(milvus_server.url + options))
        await stores[-1].start()
        return stores[-1]

    yield open_another
    if stores:
        for summary in await stores[0].summaries(lambda _: True):
            await stores[0].delete(summary.name)
    for store in stores:
        await store.close()


@pytest.fixture
def make_document():
    """Makes a document whose vector is drawn from its id."""

    def make(name, **fields):
        drawn = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
        given = {
            "text": f"text of {name}",
            "vector": drawn.astype(np.float32),
            "token_ids": np.arange(len(name), dtype=np.int32),
        }
        return IndexedDocument(id=name, **given | fields)

    return make
