"""Streaming calls for asyncio, written and read at once; counterparts of `_sync_streams`."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from twopass.client import _sync_streams
from twopass.client._channel import Connection
from twopass.client._documents import Document, refuse_single_document
from twopass.client._rerank import CandidateSet, pieces
from twopass.client._rerank_results import SetResult
from twopass.client._rpcs import Request, Response
from twopass.client._upsert import Chunker
from twopass.client._values import positive, refuse_single
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest as Chunk
from twopass.v1.rerank_pb2 import RerankStreamRequest, RerankStreamResponse

Item = TypeVar("Item")


class Duplex(Generic[Request, Response]):
    """A streaming call that its user writes and reads in any order.

    It uses gRPC's API for threads. gRPC's API for asyncio reports INTERNAL in place of the server's
    own status when a call ends while a message is being written (grpc/grpc#36066), as happens when
    the server refuses a chunk. Here writing only queues, and reading waits in the stream's own
    thread.
    """

    def __init__(
        self,
        start: Callable[[Iterator[Request]], Any],
        connection: Connection,
        timeout: float | None,
    ) -> None:
        """Starts the call: `start` takes the iterator of requests and returns gRPC's call.

        `connection` and `timeout` are the call's, for errors.
        """
        self._stream: _sync_streams.Duplex[Request, Response] = _sync_streams.Duplex(
            start, connection, timeout
        )
        self._reader = ThreadPoolExecutor(1, "twopass-stream")
        self.write = self._stream.write
        self.done_writing = self._stream.done_writing

    @property
    def is_done(self) -> bool:
        """Whether the server has ended the call, successfully or not."""
        return self._stream.is_done

    async def read(self) -> Response | None:
        """Waits for the next response; None after the last.

        Raises:
            TwopassError: The call failed.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, self._stream.read)

    def close(self) -> None:
        """Cancels the call if it is under way, and lets the threads end."""
        self._stream.close()
        self._reader.shutdown(wait=False)


class Feed:
    """The requests of a reranking stream, at most `max_in_flight` sets ahead of the answers."""

    def __init__(
        self,
        sets: Iterable[CandidateSet] | AsyncIterable[CandidateSet],
        piece_size: int,
        max_in_flight: int,
    ) -> None:
        refuse_single(sets, "sets", str, CandidateSet)
        self._sets = sets
        self._piece_size = positive(piece_size, "piece_size")
        self._places = asyncio.Semaphore(positive(max_in_flight, "max_in_flight"))
        self._failure: Exception | None = None

    async def write_to(self, stream: Duplex[RerankStreamRequest, RerankStreamResponse]) -> None:
        """Writes the pieces of every set; runs in a task of its own."""
        try:
            sets = each(self._sets)
            while await self._places.acquire():
                candidates = await anext(sets, None)
                if candidates is None:
                    break
                for piece in pieces(candidates, self._piece_size):
                    stream.write(piece)
        except Exception as failure:  # raised where the answers are read, not in this task
            self._failure = failure
        stream.done_writing()

    def answered(self, result: SetResult) -> SetResult:
        """Returns the answer; the last answer to a set makes room for another set."""
        if result.is_last:
            self._places.release()
        return result

    def raise_failure(self) -> None:
        """Raises the exception that the caller's iterable of sets raised, if any."""
        if self._failure is not None:
            raise self._failure


def chunks_of(
    chunker: Chunker,
    documents: Iterable[Document | Mapping[str, Any]] | AsyncIterable[Document | Mapping[str, Any]],
) -> AsyncIterator[Chunk]:
    """Yields the chunks of all documents.

    Raises:
        TypeError: A single document is given; raised at once.
    """
    refuse_single_document(documents)
    return _chunks_of(chunker, documents)


async def _chunks_of(
    chunker: Chunker,
    documents: Iterable[Document | Mapping[str, Any]] | AsyncIterable[Document | Mapping[str, Any]],
) -> AsyncIterator[Chunk]:
    async for document in each(documents):
        for chunk in chunker.add(document):
            yield chunk
    for chunk in chunker.rest():
        yield chunk


async def each(items: Iterable[Item] | AsyncIterable[Item]) -> AsyncIterator[Item]:
    """Yields the items of either kind of iterable."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
