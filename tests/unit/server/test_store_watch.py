"""What is told of a store: as it was when it was last asked, and it is asked from time to time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from twopass.index.device_use import DeviceUse
from twopass.index.errors import StoreUnreachableError
from twopass.server.store_watch import StoreWatch

from ...waiting import until


class Remote:
    """A store that answers as a test wants."""

    kind, place = "remote", "remote://host"

    def __init__(self) -> None:
        self.problem = ""
        self.is_away = self.is_silent = self.has_bug = False
        self.num_asked = 0

    async def summaries(self, may_use: Callable[[str], bool], *, stop: object) -> list[object]:
        del may_use, stop
        self.num_asked += 1
        if self.has_bug:
            raise KeyError("entity")
        if self.is_silent:
            await asyncio.Event().wait()
        self.problem = "it is away" if self.is_away else ""
        if self.is_away:
            raise StoreUnreachableError(self.kind, self.problem)
        return []


class Known(Remote):
    """A store that knows what it holds."""

    device_use = DeviceUse(num_fallbacks=3)

    def counts(self) -> None:
        raise AssertionError


@asynccontextmanager
async def watched(timeout_seconds: float) -> AsyncIterator[tuple[Remote, StoreWatch]]:
    store = Remote()
    watch = StoreWatch(store, probe_seconds=0.002, timeout_seconds=timeout_seconds)
    watching = asyncio.create_task(watch.watch())
    yield store, watch
    watching.cancel()


async def test_a_store_that_goes_and_comes_back_is_noticed_without_a_call(caplog):
    caplog.set_level(logging.INFO, "twopass.server")
    async with watched(timeout_seconds=60) as (store, watch):
        assert watch.problem == ""
        store.is_away = True
        await until(lambda: watch.problem == "it is away")
        await until(lambda: "the store can't be used" in caplog.messages)
        store.is_away = False
        await until(lambda: watch.problem == "")
        await until(lambda: "the store can be used again" in caplog.messages)
    assert len([line for line in caplog.messages if "the store can" in line]) == 2


async def test_a_store_that_does_not_answer_is_told_as_silent_until_it_does():
    async with watched(timeout_seconds=0.05) as (store, watch):
        store.is_silent = True
        await until(lambda: watch.problem == "it has not answered for 0.05 s")
        store.is_silent = False
        await until(lambda: watch.problem == "")


async def test_a_store_is_asked_again_after_a_bug_of_its_driver():
    async with watched(timeout_seconds=60) as (store, watch):
        store.has_bug = True
        await until(lambda: watch.problem == "asking it failed: KeyError")
        store.has_bug = False
        await until(lambda: watch.problem == "")


async def test_a_store_that_knows_what_it_holds_is_never_asked():
    store = Known()
    watch = StoreWatch(store, probe_seconds=0.001, timeout_seconds=1)
    await watch.watch()  # ends at once
    assert store.num_asked == 0
    assert (watch.kind, watch.problem, watch.num_vector_fallbacks) == ("remote", "", 3)
