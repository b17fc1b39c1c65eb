"""Working ahead: in order, by so many, and with every error at its place."""

import asyncio
from contextlib import aclosing

import pytest

from twopass.server.ingest.ahead import in_order


class Source:
    """Makes numbers, and remembers how many; fails before one of them, if so told."""

    def __init__(self, count, fails_before=None):
        self.count = count
        self.fails_before = fails_before
        self.num_made = 0

    async def __aiter__(self):
        for number in range(self.count):
            await asyncio.sleep(0)
            if number == self.fails_before:
                raise ValueError(f"number {number}")
            self.num_made += 1
            yield number


class Work:
    """Squares numbers, each when it is told to."""

    def __init__(self):
        self.begun = []
        self.cancelled = []
        self.may_end = asyncio.Event()

    async def __call__(self, number):
        self.begun.append(number)
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        if number == 13:
            raise ValueError("unlucky")
        return number * number


async def square(number):
    """The later, the quicker, so that they end in another order."""
    await asyncio.sleep(0.01 / (1 + number))
    return number * number


async def idle():
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.mark.parametrize("limit", [1, 2, 7, 100])
async def test_results_come_in_order_and_none_is_lost(limit):
    found = [item async for item in in_order(aiter(Source(50)), square, limit=limit)]
    assert found == [number * number for number in range(50)]
    assert [item async for item in in_order(aiter(Source(0)), square, limit=limit)] == []


async def test_as_many_are_under_way_as_the_limit_says():
    source, work = Source(50), Work()
    async with aclosing(in_order(aiter(source), work, limit=3)) as results:
        first = asyncio.create_task(anext(results))
        await idle()
        assert work.begun == [0, 1, 2]
        assert source.num_made == 3
        work.may_end.set()
        assert await first == 0
        await idle()
        assert work.begun == [0, 1, 2, 3]


async def test_an_error_of_the_source_comes_after_all_results_before_it():
    results = in_order(aiter(Source(50, fails_before=3)), square, limit=5)
    for number in range(3):
        await idle()
        assert await anext(results) == number * number
    with pytest.raises(ValueError, match="number 3"):
        await anext(results)


async def test_an_error_of_the_work_comes_at_its_place_and_what_follows_is_cancelled():
    work = Work()
    results = in_order(aiter(Source(50)), work, limit=14)
    first = asyncio.create_task(anext(results))
    await idle()
    work.may_end.set()
    assert await first == 0
    assert [await anext(results) for _ in range(12)] == [n * n for n in range(1, 13)]
    work.may_end.clear()
    await idle()
    with pytest.raises(ValueError, match="unlucky"):
        await anext(results)
    assert work.cancelled
    assert set(work.begun) == set(range(14)) | set(work.cancelled)


async def test_who_reads_no_further_ends_the_work():
    source, work = Source(50), Work()
    async with aclosing(in_order(aiter(source), work, limit=3)) as results:
        first = asyncio.create_task(anext(results))
        await idle()
        work.may_end.set()
        await first
        work.may_end.clear()
        await idle()
    assert work.begun == [0, 1, 2, 3]
    assert work.cancelled == [3]
    await idle()
    assert source.num_made == 4
