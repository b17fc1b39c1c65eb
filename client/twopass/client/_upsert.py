"""Upsert: documents cut into chunks, chunks acknowledged in order."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from twopass.client._channel import STREAMED_MESSAGE_BYTES
from twopass.client._documents import Document, document_message, refuse_single_document
from twopass.client._enums import OnConflict, number_of
from twopass.client._retries import Attempts
from twopass.client._values import positive, text
from twopass.client.errors import InternalError, TwopassError
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2 import UpsertDocumentsStreamRequest as Chunk
from twopass.v1.collection_pb2 import UpsertDocumentsStreamResponse as Acknowledgement

# Chunks sent and not acknowledged: enough that the server prepares some while it writes others, few
# enough that a generator of millions of documents is not read far ahead.
MAX_IN_FLIGHT = 8
_DOCUMENT = re.compile(r"documents\[(\d+)\]")  # begins the path of a document's field in a chunk


@dataclass(frozen=True, slots=True)
class UpsertSummary:
    """What an upsert has written so far, or in all.

    Attributes:
        sequence: The collection's state with these documents in it; see `search`'s `min_sequence`.
            Empty before the first acknowledgement.
        num_chunks: Chunks that are on disk.
        num_documents: Documents in them.
        num_inserted: How many of the documents were new.
        num_replaced: How many replaced a document of the same id.
        num_skipped: Documents that were not written, since their ids were known; they are not in
            `num_documents`.
        num_split: How many were longer than a window, and so were split; see `Schema.chunking`.
    """

    sequence: str = ""
    num_chunks: int = 0
    num_documents: int = 0
    num_inserted: int = 0
    num_replaced: int = 0
    num_skipped: int = 0
    num_split: int = 0


OnProgress: TypeAlias = Callable[[UpsertSummary], None]


class Chunker:
    """Cuts a sequence of documents into chunks, bounded in documents and in bytes.

    A chunk's ids are distinct: a document whose id is in the chunk begins the next chunk, so that
    documents with one id meet one after another, as `on_conflict` says, wherever the cuts fall.
    """

    def __init__(
        self, collection: str, chunk_size: int, on_conflict: OnConflict | None = None
    ) -> None:
        """Begins the first chunk.

        Raises:
            InvalidArgumentError: `chunk_size` is below 1, or `on_conflict` unknown.
        """
        self._chunk_size = positive(chunk_size, "chunk_size")
        self._num_documents = 0
        self._chunk = Chunk(
            collection=text(collection, "collection"),
            on_conflict=number_of(collection_pb2.OnConflict, on_conflict, "on_conflict"),
        )
        self._ids: set[str] = set()
        self._num_bytes = 0

    def chunks(self, documents: Iterable[Document | Mapping[str, Any]]) -> Iterator[Chunk]:
        """Yields the chunks of all documents.

        Raises:
            TypeError: A single document is given; raised at once, unlike the errors of `add`.
        """
        refuse_single_document(documents)
        return self._chunks(documents)

    def _chunks(self, documents: Iterable[Document | Mapping[str, Any]]) -> Iterator[Chunk]:
        for document in documents:
            yield from self.add(document)
        yield from self.rest()

    def add(self, document: Document | Mapping[str, Any]) -> Iterator[Chunk]:
        """Adds a document and yields the chunks that it completes, 0 to 2."""
        message = document_message(document, f"documents[{self._num_documents}]")
        self._num_documents += 1
        size = message.ByteSize()
        if message.id in self._ids or self._num_bytes + size > STREAMED_MESSAGE_BYTES:
            yield from self.rest()
        self._chunk.documents.append(message)
        self._ids.add(message.id)
        self._num_bytes += size
        if len(self._chunk.documents) == self._chunk_size:
            yield from self.rest()

    def rest(self) -> Iterator[Chunk]:
        """Yields the current chunk unless it is empty, and begins the next."""
        if self._chunk.documents:
            chunk, self._chunk = self._chunk, Chunk()
            self._ids = set()
            self._num_bytes = 0
            yield chunk


class Upload:
    """What an upsert has sent and what servers have acknowledged of it, over one stream or several.

    Where a server is lost that has not acknowledged all it was sent, another one is sent the rest.
    It may have written some of that already: then it is written again, as if the caller had
    repeated the upsert from there.
    """

    def __init__(
        self,
        attempts: Attempts,
        on_progress: OnProgress | None,
        on_conflict: OnConflict | None = None,
    ) -> None:
        """Begins with nothing sent.

        Args:
            attempts: Those at the stream.
            on_progress: Called after each acknowledgement.
            on_conflict: As for `Client.upsert`. With "fail" nothing may be sent twice.
        """
        self.attempts = attempts
        self._on_progress = on_progress
        self._may_repeat = on_conflict != "fail"
        self._header: Chunk | None = None
        self._num_sent = 0
        self._waiting: deque[Chunk] = deque()  # sent and not acknowledged
        self._num_written = 0  # documents of the chunks that are
        self._before = UpsertSummary()  # what earlier streams have written
        self._summary = UpsertSummary()

    def send(self, chunk: Chunk) -> None:
        """Counts a chunk as sent."""
        if self._header is None:  # the first chunk says what all are for
            self._header = Chunk(collection=chunk.collection, on_conflict=chunk.on_conflict)
        self._num_sent += 1
        self._waiting.append(chunk)

    def pause_after(self, error: TwopassError) -> float | None:
        """Seconds to wait before another stream takes over; None where none may."""
        cause = error.__cause__
        if not (self._may_repeat and isinstance(cause, grpc.RpcError)):
            return None
        return self.attempts.pause_after(cause)

    def resumed(self) -> Iterator[Chunk]:
        """Yields what another stream is to be sent first: all that is not acknowledged."""
        self._before = self._summary
        header = self._header
        for position, chunk in enumerate(self._waiting):
            if position == 0 and header is not None:
                first = Chunk()  # a copy, since the lost stream's thread may still read the chunk
                first.CopyFrom(chunk)
                first.MergeFrom(header)
                yield first
            else:
                yield chunk

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Adds to an error about one document which of all documents it is, as "position"."""
        try:
            yield
        except TwopassError as error:
            named = _DOCUMENT.match(error.field)
            done = self._summary.num_chunks - self._before.num_chunks
            before = int(error.metadata.get("chunk", 0)) - 1 - done
            if named and 0 <= before < len(self._waiting):
                sizes = [len(chunk.documents) for chunk in self._waiting]
                first = self._num_written + sum(sizes[:before])
                error.metadata["position"] = str(first + int(named[1]))
            raise

    @property
    def is_full(self) -> bool:
        """Whether an acknowledgement must come before another chunk is sent."""
        return len(self._waiting) >= MAX_IN_FLIGHT

    @property
    def is_on_disk(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return self._num_sent > 0 and not self._waiting

    def acknowledge(self, message: Acknowledgement | None) -> None:
        """Takes an acknowledgement and reports the progress.

        Raises:
            InternalError: `message` is None: the server has ended the call.
        """
        if message is None:
            raise self._ended_early()
        before = self._before
        num_new = before.num_chunks + message.num_chunks - self._summary.num_chunks
        for _ in range(min(num_new, len(self._waiting))):
            self._num_written += len(self._waiting.popleft().documents)
        self.attempts.progressed()
        self._summary = UpsertSummary(
            sequence=message.sequence,
            num_chunks=before.num_chunks + message.num_chunks,
            num_documents=before.num_documents + message.num_documents,
            num_inserted=before.num_inserted + message.num_inserted,
            num_replaced=before.num_replaced + message.num_replaced,
            num_skipped=before.num_skipped + message.num_skipped,
            num_split=before.num_split + message.num_split,
        )
        if self._on_progress is not None:
            self._on_progress(self._summary)

    def complete(self) -> UpsertSummary:
        """Returns what was written in all.

        Raises:
            InternalError: The server ended the call before it had acknowledged every chunk.
        """
        if self._summary.num_chunks < self._num_sent:
            raise self._ended_early()
        return self._summary

    def _ended_early(self) -> InternalError:
        return InternalError(
            f"the server ended the call having acknowledged {self._summary.num_chunks} "
            f"of {self._num_sent} chunks"
        )
