"""Reads of a collection that Milvus has not in memory."""

from typing import Any

import pytest

pytest.importorskip("pymilvus")

from twopass.index.collection_name import CollectionName
from twopass.index.errors import StoreUnreachableError
from twopass.index.milvus.connection import NotLoadedError
from twopass.index.milvus.place import Consistency
from twopass.index.milvus.reading import CollectionReader


class Released:
    """A connection to a Milvus that has a collection in memory after so many loads."""

    def __init__(self, num_loads: int) -> None:
        self.num_loads = num_loads

    async def read(self, verb: str, *_: Any, **__: Any) -> list[Any]:
        if self.num_loads > 0:
            raise NotLoadedError(verb)
        return []

    async def change(self, verb: str, *_: Any) -> None:
        assert verb == "load_collection"
        self.num_loads -= 1


def reader_of(connection: Released) -> CollectionReader:
    name, life = CollectionName("notes"), "0" * 32
    return CollectionReader(name, life, connection, Consistency.STRONG)  # type: ignore[arg-type]


async def test_a_released_collection_is_loaded_and_read():
    connection = Released(1)
    assert await reader_of(connection).with_ids(["a"], ["id"]) == []
    assert connection.num_loads == 0


async def test_one_that_is_not_in_memory_after_it_was_loaded_may_be_there_later():
    with pytest.raises(StoreUnreachableError, match="taking the collection into memory"):
        await reader_of(Released(2)).with_ids(["a"], ["id"])
