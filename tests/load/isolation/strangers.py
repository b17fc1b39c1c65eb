"""What goes on beside the searches: messages that a server should not have to bear."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from twopass.client._rpcs import RERANK, RERANK_STREAM
from twopass.v1.rerank_pb2 import Candidate, RerankRequest, RerankSet, RerankStreamRequest

from .calls import CALL_SECONDS, Calls
from .neighbours import Neighbour

_TEXT = (
    "a passage that a stranger sends, of about a hundred bytes, one of so many in a message " * 2
)


def large_message(num_bytes: int) -> bytes:
    """A request of Rerank as large as that, of as many small candidates as it takes."""
    one = RerankRequest(candidates=[Candidate(text=_TEXT)]).SerializeToString()
    head = RerankRequest(query="why?").SerializeToString()
    return head + one * ((num_bytes - len(head)) // len(one))


class UnknownCallers(Neighbour):
    """Four callers without a key that send 46 MB messages."""

    name = "unknown-callers"
    allowed = frozenset({"UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "CANCELLED"})
    _CALLERS, _MESSAGE_BYTES = 4, 46_000_000

    async def beside(self, calls: Calls) -> None:
        message = large_message(self._MESSAGE_BYTES)
        await asyncio.gather(*(self._send(calls, message) for _ in range(self._CALLERS)))

    async def _send(self, calls: Calls, message: bytes) -> None:
        rerank: Any = calls.channel().unary_unary(RERANK.path, None, None)
        while True:
            await calls.made(rerank(message))


class UnknownCaller(Neighbour):
    """One caller without a key that sends messages of almost 64 MiB, one after another."""

    name = "one-unknown-caller"
    allowed = frozenset({"UNAUTHENTICATED", "RESOURCE_EXHAUSTED"})
    NUM_MESSAGES = 10
    _MESSAGE_BYTES = 64 * 2**20 - 1024

    async def beside(self, calls: Calls) -> None:
        rerank: Any = calls.channel().unary_unary(RERANK.path, None, None)
        message = large_message(self._MESSAGE_BYTES)
        for _ in range(self.NUM_MESSAGES):
            await calls.made(rerank(message))


class RefusedSets(Neighbour):
    """Streams of sets that are refused, each with another id of megabytes."""

    name = "refused-sets"
    allowed = frozenset({"OK", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "BROKEN_OFF", "CANCELLED"})
    _SETS, _ID_BYTES = 200, (10_000_000, 2_000_000)

    async def beside(self, calls: Calls) -> None:
        await asyncio.gather(*(self._send(calls, num_bytes) for num_bytes in self._ID_BYTES))

    async def _send(self, calls: Calls, id_bytes: int) -> None:
        """Sends all sets, in another stream where one has been ended."""
        numbers = iter(range(self._SETS))
        stream: Any = calls.channel().stream_stream(
            RERANK_STREAM.path, RERANK_STREAM.serialize, RERANK_STREAM.parse
        )

        async def requests() -> AsyncIterator[RerankStreamRequest]:
            for number in numbers:
                yield RerankStreamRequest(
                    set_id=f"{number} ".ljust(id_bytes, "x"),
                    set=RerankSet(query="why?", num_candidates=2**30),
                )
            await asyncio.sleep(CALL_SECONDS)  # the stream stays open, and with it what is kept

        async def refused() -> None:
            async for _ in stream(requests(), metadata=calls.metadata):
                calls.ended["INVALID_ARGUMENT"] += 1

        while calls.ended.total() < len(self._ID_BYTES) * self._SETS:
            await calls.made(refused())
