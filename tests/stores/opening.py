"""Opens a store as a server does, by its settings alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from twopass.index.base.store import Store
from twopass.index.lanes import Lane, Lanes
from twopass.server.config_loading import load_config
from twopass.server.stores import open_store


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[Store]:
    """A store that was started, and is closed in the end.

    Args:
        url: What `--store` takes; "" for the folder.
        folder: The data folder of a store that has one.
    """
    lanes, encoding = Lanes.for_cpus(2), Lane("encoding", 1)
    settings = {"store": url} if url else {"data": folder}
    store = open_store(
        load_config(settings),
        lanes,
        encoding,
        num_threads=1,
        current_revision=lambda _, schema: schema.encoder_revision,
    ).store
    try:
        await store.start()
        yield store
    finally:
        await store.close()
        encoding.close()
        lanes.close()
