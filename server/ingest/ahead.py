"""Works ahead of whoever reads: several items under way at once, their results in order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def in_order(
    source: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, limit: int
) -> AsyncGenerator[R, None]:
    """Yields the result of `work` for every item of `source`, in order.

    What `source` or `work` raises is raised here after all results before it. Close it
    (`contextlib.aclosing`) where it is not read to its end: what is under way is then cancelled.

    Args:
        source: Its next item is read as soon as there is room.
        work: Begun for one item after another, in order.
        limit: Most items, from when they are read until their results are.
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
        except Exception as error:  # whatever it is, it belongs to the reader
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
    """What nobody has waited for."""
    items = [begun.get_nowait() for _ in range(begun.qsize())]
    return [item for item in items if item is not None]


async def _cancel(futures: Sequence[asyncio.Future[Any]]) -> None:
    """Cancels what is not done; what it comes to is nobody's concern any more."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
