"""Streams of texts: many under way at once, answered in the order in which they came.

What waits is bounded in number and in bytes. Where it is too much, the next message is not read,
and gRPC's flow control holds the client back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from google.protobuf.message import Message

from twopass.server.errors import OverloadedError, QuotaError, WouldBeLateError, at_place
from twopass.server.ingest.ahead import in_order
from twopass.server.request import Request

MessageT = TypeVar("MessageT", bound=Message)
T = TypeVar("T")

# Enough texts for the largest batches of a GPU, and to have the next ones tokenised meanwhile.
_MAX_UNDER_WAY = 256
# Messages and the answers expected of them, of one stream.
_MAX_BYTES = 16 * 1024 * 1024


class Waiting:
    """Counts the bytes that wait in a stream."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._num_bytes = 0
        self._less = asyncio.Event()

    def keep(self, num_bytes: int) -> None:
        """Counts bytes as kept, until `drop`.

        Raises:
            OverloadedError: With the bytes of all other calls, the server's limit is exceeded.
        """
        self._request.reserve_bytes(num_bytes)
        self._num_bytes += num_bytes

    def drop(self, num_bytes: int) -> None:
        """Stops counting bytes as kept."""
        self._request.release_bytes(num_bytes)
        self.set_aside(num_bytes)

    def set_aside(self, num_bytes: int) -> None:
        """Counts bytes as kept until the call ends, and waiting for nothing."""
        self._num_bytes -= num_bytes
        self._less.set()

    async def room(self) -> None:
        """Waits until fewer bytes are kept than a stream may have waiting."""
        while self._num_bytes >= _MAX_BYTES:
            self._less.clear()
            await self._less.wait()


async def answers_in_order(
    messages: AsyncIterator[MessageT],
    answer: Callable[[MessageT, Request], Awaitable[Message]],
    request: Request,
    answer_bytes: Callable[[MessageT], int],
) -> AsyncIterator[Message]:
    """Yields the answer to each message, in the order of the messages.

    Args:
        messages: The stream.
        answer: Answers one message, given the part of the call that it is.
        request: The call.
        answer_bytes: How large the answer to a message may be, which is kept until the client has
            read those before it.

    Raises:
        RequestError: A message was refused or failed; those before it have been answered.
    """
    waiting = Waiting(request)

    async def kept() -> AsyncIterator[tuple[int, MessageT, int]]:
        number = 0
        async for message in messages:
            number += 1
            num_bytes = request.message_bytes + answer_bytes(message)
            waiting.keep(num_bytes)
            yield number, message, num_bytes
            await waiting.room()

    async def answered(item: tuple[int, MessageT, int]) -> tuple[Message, int]:
        number, message, num_bytes = item
        # Its time counts from now on; cancelling the task closes it when the call ends.
        part = Request(id=request.id, deadline=request.deadline, caller=request.caller)
        try:
            return await when_admitted(lambda: answer(message, part)), num_bytes
        except Exception as error:
            raise at_place(error, message=number) from error
        finally:
            part.close()

    async with aclosing(in_order(kept(), answered, limit=_MAX_UNDER_WAY)) as all_answers:
        async for made, num_bytes in all_answers:
            yield made
            waiting.drop(num_bytes)


async def when_admitted(work: Callable[[], Awaitable[T]]) -> T:
    """Does work of a stream that the server has no room for as soon as it has.

    A stream is long, and whoever sends it waits anyway: as in TEI, a queue that is full for a
    moment does not end it. What no later try mends is raised.

    Raises:
        OverloadedError: The work is larger than the queue, the caller's quota is used up, or the
            deadline would pass first.
    """
    while True:
        try:
            return await work()
        except (QuotaError, WouldBeLateError):
            raise
        except OverloadedError as error:
            if error.retry_after is None:
                raise
            await asyncio.sleep(error.retry_after)
