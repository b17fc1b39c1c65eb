"""Upsert: documents cut into chunks, chunks acknowledged in order."""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from twopass.client._channel import STREAMED_MESSAGE_BYTES
from twopass.client._documents import Document, document_message, refuse_single_document
from twopass.client._enums import OnConflict, number_of
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
    """What one call has sent and what the server has acknowledged of it."""

    def __init__(self, on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._num_sent = 0
        self._sizes: deque[int] = deque()  # documents of each chunk that is not acknowledged
        self._num_written = 0  # documents of the chunks that are
        self._summary = UpsertSummary()

    def send(self, chunk: Chunk) -> None:
        """Counts a chunk as sent."""
        self._num_sent += 1
        self._sizes.append(len(chunk.documents))

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Adds to an error about one document which of all documents it is, as "position"."""
        try:
            yield
        except TwopassError as error:
            named = _DOCUMENT.match(error.field)
            before = int(error.metadata.get("chunk", 0)) - 1 - self._summary.num_chunks
            if named and 0 <= before < len(self._sizes):
                first = self._num_written + sum(list(self._sizes)[:before])
                error.metadata["position"] = str(first + int(named[1]))
            raise

    @property
    def is_full(self) -> bool:
        """Whether an acknowledgement must come before another chunk is sent."""
        return self._num_sent - self._summary.num_chunks >= MAX_IN_FLIGHT

    def acknowledge(self, message: Acknowledgement | None) -> None:
        """Takes an acknowledgement and reports the progress.

        Raises:
            InternalError: `message` is None: the server has ended the call.
        """
        if message is None:
            raise self._ended_early()
        for _ in range(min(message.num_chunks - self._summary.num_chunks, len(self._sizes))):
            self._num_written += self._sizes.popleft()
        self._summary = UpsertSummary(
            sequence=message.sequence,
            num_chunks=message.num_chunks,
            num_documents=message.num_documents,
            num_inserted=message.num_inserted,
            num_replaced=message.num_replaced,
            num_skipped=message.num_skipped,
            num_split=message.num_split,
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
