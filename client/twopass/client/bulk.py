"""One batch of many texts, for code that embeds them batch by batch, as adapters of frameworks do.

A single call that the server has no room for, or whose key has used up its rate, raises
OverloadedError at once, which is right for a question that somebody waits for. Of many batches the
last would fail the whole: these functions wait as long as the server says, and try again.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from twopass.client._asyncio import AsyncClient
from twopass.client._embed import EmbedResult
from twopass.client._sync import Client
from twopass.client.errors import OverloadedError

MAX_WAIT = 60.0
"""Most seconds that one batch waits in all; a server that has no room for longer is overloaded."""

# A server that says 0 is not asked in a tight loop.
_LEAST_PAUSE = 0.02


def embed_batch(client: Client, texts: Iterable[str], **options: Any) -> EmbedResult:
    """Embeds texts by one call, which is made again while the server has no room for it.

    Args:
        client: Makes the call.
        texts: As for `Client.embed`.
        options: Those of `Client.embed`; its `timeout` is that of each attempt.

    Raises:
        OverloadedError: There was no room within `MAX_WAIT` seconds, or waiting does not help.
    """
    listed, waited = list(texts), 0.0
    while True:
        try:
            return client.embed(listed, **options)
        except OverloadedError as error:
            pause = _pause(error, waited)
        time.sleep(pause)
        waited += pause


async def embed_batch_async(
    client: AsyncClient, texts: Iterable[str], **options: Any
) -> EmbedResult:
    """Embeds texts, as `embed_batch` does, without blocking the event loop."""
    listed, waited = list(texts), 0.0
    while True:
        try:
            return await client.embed(listed, **options)
        except OverloadedError as error:
            pause = _pause(error, waited)
        await asyncio.sleep(pause)
        waited += pause


def _pause(error: OverloadedError, waited: float) -> float:
    """Seconds to wait before the next attempt; raises the error where there is to be none."""
    if error.retry_after is None:
        raise error
    pause = max(_LEAST_PAUSE, error.retry_after)
    if waited + pause > MAX_WAIT:
        raise error
    return pause
