"""How neighbours call a server: as callers with a key, counting what became of their calls."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from twopass.client import AsyncClient, TwopassError
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest, UpsertDocumentsStreamResponse
from twopass.v1.document_pb2 import Document

from ..driver import NO_RETRIES

Result = TypeVar("Result")
CALL_SECONDS = 120.0
_MESSAGE_BYTES = 80 * 2**20  # more than a server takes: what it refuses must reach it
_CHUNKS_UNDER_WAY = 4
# What gRPC's client says where the server ended a call while a message was on its way.
_WRITE_FAILED = "Internal error from Core"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a neighbour is told.

    Attributes:
        target: Where the server is, host:port.
        key: The secret of an API key that may do everything.
        collection: The collection that is searched.
        num_documents: In that collection.
        seconds: How long the searches beside it are measured.
    """

    target: str
    key: str
    collection: str
    num_documents: int
    seconds: float


class Calls:
    """Calls of one server, for as long as a block lasts.

    Attributes:
        setting: What is known of the server.
        client: With a key, without retries.
        ended: How many calls ended how.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.ended: Counter[str] = Counter()
        self.client = AsyncClient(
            setting.target, api_key=setting.key, timeout=CALL_SECONDS, options=NO_RETRIES
        )
        self._channels: list[grpc.aio.Channel] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.client.close()
        for channel in self._channels:
            await channel.close()

    def channel(self, max_answer_bytes: int = _MESSAGE_BYTES) -> grpc.aio.Channel:
        """A connection of its own, closed with the others."""
        options = (
            *NO_RETRIES,
            ("grpc.max_send_message_length", _MESSAGE_BYTES),
            ("grpc.max_receive_message_length", max_answer_bytes),
            ("grpc.use_local_subchannel_pool", 1),
        )
        self._channels.append(grpc.aio.insecure_channel(self.setting.target, options))
        return self._channels[-1]

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What shows the key."""
        return (("authorization", f"Bearer {self.setting.key}"),)

    async def made(self, call: Awaitable[Result]) -> Result | None:
        """Awaits a call and counts how it ended; None unless with OK."""
        try:
            result = await call
        except TwopassError as error:
            self.ended[error.code.name] += 1
            return None
        except grpc.aio.AioRpcError as error:
            is_broken_off = error.details() == _WRITE_FAILED
            self.ended["BROKEN_OFF" if is_broken_off else error.code().name] += 1
            return None
        except asyncio.CancelledError:
            self.ended["CANCELLED"] += 1
            raise
        self.ended["OK"] += 1
        return result

    async def fill(self, collection: str, chunks: Iterable[list[Document]]) -> None:
        """Writes chunks in one stream, a few of them at once."""
        free = asyncio.Semaphore(_CHUNKS_UNDER_WAY)

        async def requests() -> AsyncIterator[UpsertDocumentsStreamRequest]:
            for documents in chunks:
                await free.acquire()
                yield UpsertDocumentsStreamRequest(collection=collection, documents=documents)

        upsert: Any = self.channel().stream_stream(
            "/twopass.v1.CollectionService/UpsertDocumentsStream",
            UpsertDocumentsStreamRequest.SerializeToString,
            UpsertDocumentsStreamResponse.FromString,
        )
        async for _ in upsert(requests(), metadata=self.metadata):
            self.ended["OK"] += 1
            free.release()
