"""Working ahead: in order, by one, and with every error at its place."""

import asyncio
from contextlib import aclosing

import pytest

from twopass.server.ahead import one_ahead


class Source:
    """Makes numbers, and remembers how many; fails before one of them, if so told."""

    def __init__(self, count, fails_before=None):
        self.count = count
        self.fails_before = fails_before
        self.num_made = 0
        self.was_cancelled = False

    async def __aiter__(self):
        try:
            for number in range(self.count):
                await asyncio.sleep(0)
                if number == self.fails_before:
                    raise ValueError(f"number {number}")
                self.num_made += 1
                yield number
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise


async def idle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_items_come_in_order_and_none_is_lost():
    assert [item async for item in one_ahead(aiter(Source(50)))] == list(range(50))
    assert [item async for item in one_ahead(aiter(Source(0)))] == []


async def test_the_next_item_is_made_meanwhile_and_no_more_than_that():
    source = Source(50)
    async with aclosing(one_ahead(aiter(source))) as items:
        assert await anext(items) == 0
        await idle()
        assert source.num_made == 3  # one waits, one more wants to
        assert await anext(items) == 1
        await idle()
        assert source.num_made == 4


async def test_an_error_comes_after_all_items_before_it():
    items = one_ahead(aiter(Source(50, fails_before=3)))
    for number in range(3):
        await idle()
        assert await anext(items) == number
    with pytest.raises(ValueError, match="number 3"):
        await anext(items)


async def test_who_reads_no_further_ends_the_work():
    source = Source(50)
    async with aclosing(one_ahead(aiter(source))) as items:
        await anext(items)
    await idle()
    num_made = source.num_made
    await idle()
    assert source.num_made == num_made < 50
