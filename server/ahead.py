"""An asynchronous iterator that works ahead of whoever reads it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception


async def one_ahead(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """Yields what `source` does, in order, while the next item is already made.

    At most one item waits and one more is being made. What `source` raises is raised here after all
    items before it. Close it (`contextlib.aclosing`) where it is not read to its end.
    """
    made: asyncio.Queue[T | _Failure | None] = asyncio.Queue(maxsize=1)

    async def make() -> None:
        try:
            async for item in source:
                await made.put(item)
            await made.put(None)
        except Exception as error:  # whatever it is, it belongs to the reader
            await made.put(_Failure(error))

    making = asyncio.create_task(make())
    try:
        while (item := await made.get()) is not None:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        making.cancel()
