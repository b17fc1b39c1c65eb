"""Waits for what tells nobody when it has come about; as long as the busiest machine may need."""

import asyncio
import time
from collections.abc import Callable

SECONDS = 120


def wait_until(is_so: Callable[[], object]) -> None:
    """Fails where something is not so in time."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, f"not within {SECONDS} s"
        time.sleep(0.005)


async def until(is_so: Callable[[], object]) -> None:
    """Waits likewise, while the event loop goes on."""
    async with asyncio.timeout(SECONDS):
        while not is_so():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.002)
