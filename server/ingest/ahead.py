"""Works on several items of a stream at once, and yields the results in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    source: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, limit: int
) -> AsyncGenerator[R, None]:
    """Yields the result of `work` for every item of `source`, in order.

    An error of `source` or `work` is raised here, after all results before it. Where the generator
    is not read to its end, close it (`contextlib.aclosing`): work under way is then cancelled.

    Args:
        source: The items; the next one is read as soon as there is room.
        work: Begun for one item after another, in order.
        limit: Most items under way, from when an item is read until its result is taken.
    """
    room = asyncio.Semaphore(limit)
    begun: asyncio.Queue[asyncio.Future[R] | None] = asyncio.Queue()

    async def begin() -> None:
        try:
            await room.acquire()
            async for item in source:
                begun.put_nowait(asyncio.ensure_future(work(item)))
                await room.acquire()
            begun.put_nowait(None)
        except Exception as error:  # whatever it is, the reader of the results gets it
            failed: asyncio.Future[R] = asyncio.get_running_loop().create_future()
            failed.set_exception(error)
            begun.put_nowait(failed)

    beginning = asyncio.create_task(begin())
    try:
        while (result := await begun.get()) is not None:
            value = await result
            room.release()
            yield value
    finally:
        await _cancel([beginning, *_left(begun)])


def _left(begun: asyncio.Queue[asyncio.Future[R] | None]) -> list[asyncio.Future[R]]:
    """Takes the futures that nobody has waited for."""
    items = [begun.get_nowait() for _ in range(begun.qsize())]
    return [item for item in items if item is not None]


async def _cancel(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Cancels futures and waits for their end; results and errors are dropped."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
