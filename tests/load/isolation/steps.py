"""Runs the steps of a neighbour, in the process from which it sends."""

import asyncio
from collections import Counter

from twopass.client import Schema

from .calls import Calls, Setting
from .corpus import CHUNK, DIMENSION, chunk
from .neighbours import (
    AbandonedFilters,
    Deletions,
    Exports,
    LargeDocuments,
    LiveFilters,
    Merges,
    Neighbour,
    Snapshots,
    Uploads,
)
from .strangers import RefusedSets, UnknownCaller, UnknownCallers

NEIGHBOURS: tuple[Neighbour, ...] = (
    AbandonedFilters(),
    LiveFilters(),
    Snapshots(),
    Uploads(),
    Exports(),
    Merges(),
    Deletions(),
    UnknownCallers(),
    RefusedSets(),
    LargeDocuments(),
)
_BY_NAME = {neighbour.name: neighbour for neighbour in (*NEIGHBOURS, UnknownCaller())}


def run_step(name: str, step: str, setting: Setting) -> Counter[str]:
    """Runs one step of a neighbour, "prepare", "beside" or "clean_up"; returns how calls ended."""
    return asyncio.run(_run_step(name, step, setting))


def fill_corpus(setting: Setting) -> None:
    """Writes the collection that is searched."""
    asyncio.run(_fill_corpus(setting))


async def _run_step(name: str, step: str, setting: Setting) -> Counter[str]:
    neighbour = _BY_NAME[name]
    async with Calls(setting) as calls:
        if step != "beside":
            await getattr(neighbour, step)(calls)
        else:
            try:
                async with asyncio.timeout(setting.seconds):
                    await neighbour.beside(calls)
            except TimeoutError:  # its time is over: what is under way is given up
                pass
    return calls.ended


async def _fill_corpus(setting: Setting) -> None:
    count = setting.num_documents
    sizes = [min(CHUNK, count - start) for start in range(0, count, CHUNK)]
    async with Calls(setting) as calls:
        schema = Schema(dimension=DIMENSION, client_vectors=True)
        await calls.client.create_collection(setting.collection, schema)
        chunks = (chunk(number, size) for number, size in enumerate(sizes))
        await calls.fill(setting.collection, chunks)
