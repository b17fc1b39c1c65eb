"""Calls without end by one client, and what came of each."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from twopass.client import AsyncClient, Document, TwopassError

from .servers import COLLECTION, TEXTS

QUESTION = "Why are there tides?"
UNKNOWN = -1
WRITTEN = 2  # documents of an upsert


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a call.

    Attributes:
        kind: "search", "rerank", "embed" or "upsert".
        phase: In which it ended.
        began_in: In which it began.
        seconds: How long it took, with all attempts.
        status: The gRPC status.
        server: Number of the server that answered, which searches alone tell; `UNKNOWN` else.
        fell_back: Whether a search came without its second pass.
    """

    kind: str
    phase: str
    began_in: str
    seconds: float
    status: str = "OK"
    server: int = UNKNOWN
    fell_back: bool = False


class Load:
    """Keeps so many calls under way, of all kinds that servers with equal documents can share.

    Attributes:
        phase: What calls that end now are counted under.
        ended: All calls that have ended.
        num_under_way: Calls that have not.
        acknowledged: Ids of documents that were written.
        tells_servers: Whether searches tell which server has answered.
    """

    def __init__(self, client: AsyncClient, concurrency: int, *, writes: bool) -> None:
        self.phase = ""
        self.ended: list[Ended] = []
        self.num_under_way = 0
        self.acknowledged: list[str] = []
        self.tells_servers = not writes
        self._num_written = 0
        self._client = client
        self._is_over = False
        last = self._upsert if writes else self._embed
        kinds = (self._search, self._rerank, self._search, last)
        self._tasks = [
            asyncio.create_task(self._call_on(kinds[i % len(kinds)])) for i in range(concurrency)
        ]

    def silent(self, num_servers: int) -> set[int]:
        """Numbers of the servers that have answered no search in this phase."""
        answered = {call.server for call in self.ended if call.phase == self.phase}
        return set(range(num_servers)) - answered

    async def end(self) -> None:
        """Lets the calls under way end, and makes no more."""
        self._is_over = True
        await asyncio.gather(*self._tasks)

    async def _call_on(self, call: Callable[[], Awaitable[tuple[int, bool]]]) -> None:
        while not self._is_over:
            began, began_in = time.perf_counter(), self.phase
            self.num_under_way += 1
            status, server, fell_back = "OK", UNKNOWN, False
            try:
                server, fell_back = await call()
            except TwopassError as error:
                status = error.code.name
            self.num_under_way -= 1
            seconds = time.perf_counter() - began
            kind = call.__name__.removeprefix("_")
            self.ended.append(Ended(kind, self.phase, began_in, seconds, status, server, fell_back))

    async def _search(self) -> tuple[int, bool]:
        result = await self._client.search(COLLECTION, QUESTION, top_n=3)
        metadata = result.hits[0].metadata
        server = metadata.get("server") if metadata else None
        return (
            server if isinstance(server, int) else UNKNOWN,
            result.rerank_status != "complete",
        )

    async def _rerank(self) -> tuple[int, bool]:
        result = await self._client.rerank(QUESTION, TEXTS)
        assert len(result.hits) == len(TEXTS)
        return UNKNOWN, False

    async def _embed(self) -> tuple[int, bool]:
        result = await self._client.embed(TEXTS[:2])
        assert len(result.vectors) == 2
        return UNKNOWN, False

    async def _upsert(self) -> tuple[int, bool]:
        """Writes documents that nobody has written before."""
        ids = [f"w{self._num_written + number}" for number in range(WRITTEN)]
        self._num_written += WRITTEN
        summary = await self._client.upsert(COLLECTION, [Document(each, each) for each in ids])
        assert summary.num_documents == WRITTEN
        self.acknowledged += ids
        return UNKNOWN, False
