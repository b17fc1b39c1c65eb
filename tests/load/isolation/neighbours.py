"""What goes on beside the searches: calls of those who have a key."""

import asyncio
import itertools
from abc import ABC, abstractmethod
from typing import ClassVar

import grpc

from twopass.client import Schema
from twopass.client._rpcs import LIST_DOCUMENTS
from twopass.v1.collection_pb2 import ListDocumentsRequest
from twopass.v1.document_pb2 import Document, DocumentFields

from .calls import Calls
from .corpus import CHUNK, DIMENSION, chunk, heavy_filter, query

_VECTOR_SCHEMA = Schema(dimension=DIMENSION, client_vectors=True)
_GRAPH_SCHEMA = Schema(dimension=DIMENSION, client_vectors=True, index_kind="HNSW32")


class Neighbour(ABC):
    """One kind of calls beside the searches that are measured.

    Attributes:
        name: On the command line and in the report.
        leaves_work: Whether the server has reason to go on when the callers are gone: what was
            written must be merged.
        allowed: Statuses that its calls may end with.
    """

    name: ClassVar[str]
    leaves_work: ClassVar[bool] = False
    allowed: ClassVar[frozenset[str]] = frozenset({"OK", "CANCELLED"})

    async def prepare(self, calls: Calls) -> None:  # noqa: B027  # by default there is nothing to do
        """Makes what is needed, before anything is measured."""

    @abstractmethod
    async def beside(self, calls: Calls) -> None:
        """Calls while the searches are measured, until it is cancelled."""

    async def clean_up(self, calls: Calls) -> None:  # noqa: B027  # by default there is nothing to do
        """Removes what was made, so that the next neighbour finds the server as it was."""


class AbandonedFilters(Neighbour):
    """Waves of heavy filters whose callers are gone after 200 ms, by deadline or by cancel."""

    name = "abandoned-filters"
    allowed = frozenset({"OK", "CANCELLED", "DEADLINE_EXCEEDED"})
    _CALLERS, _WAVES, _PATIENCE = 8, 4, 0.2

    async def beside(self, calls: Calls) -> None:
        pause = max(0.0, calls.setting.seconds / self._WAVES - self._PATIENCE)
        for _ in range(self._WAVES):
            await asyncio.gather(*(self._abandon(calls, number) for number in range(self._CALLERS)))
            await asyncio.sleep(pause)

    async def _abandon(self, calls: Calls, number: int) -> None:
        search = calls.client.search(
            calls.setting.collection,
            vector=query(number).values,
            retrieve="dense",
            rerank=False,
            filter=heavy_filter(number),
            timeout=self._PATIENCE if number % 2 else None,
        )
        try:
            async with asyncio.timeout(None if number % 2 else self._PATIENCE):
                await calls.made(search)
        except TimeoutError:
            pass


class LiveFilters(Neighbour):
    """Heavy filters whose callers wait for their answers, and search again."""

    name = "heavy-filters"
    # A filter that is too much work may be refused, or end with the call's deadline.
    allowed = frozenset({"OK", "CANCELLED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED"})
    _CALLERS = 4

    async def beside(self, calls: Calls) -> None:
        await asyncio.gather(*(self._search(calls, number) for number in range(self._CALLERS)))

    async def _search(self, calls: Calls, first: int) -> None:
        for number in itertools.count(first, self._CALLERS):
            search = calls.client.search(
                calls.setting.collection,
                vector=query(number).values,
                retrieve="dense",
                rerank=False,
                filter=heavy_filter(number % 64),
            )
            await calls.made(search)


class Snapshots(Neighbour):
    """Eight snapshots of the whole collection at once, again and again."""

    name = "snapshots"
    _AT_ONCE = 8

    async def beside(self, calls: Calls) -> None:
        for _ in itertools.count():
            await asyncio.gather(*(self._create(calls, n) for n in range(self._AT_ONCE)))
            await self.clean_up(calls)

    async def clean_up(self, calls: Calls) -> None:
        for snapshot in await calls.client.list_snapshots(calls.setting.collection):
            await calls.client.delete_snapshot(calls.setting.collection, snapshot.name)

    async def _create(self, calls: Calls, number: int) -> None:
        collection = calls.setting.collection
        await calls.made(calls.client.create_snapshot(collection, f"copy-{number}"))


class Uploads(Neighbour):
    """Two streams that write documents with metadata without end."""

    name = "uploads"
    leaves_work = True
    _STREAMS, _CHUNKS = 2, 4

    async def prepare(self, calls: Calls) -> None:
        self._chunks = [chunk(number) for number in range(self._STREAMS * self._CHUNKS)]
        for number in range(self._STREAMS):
            await calls.client.create_collection(f"uploads-{number}", _VECTOR_SCHEMA)

    async def beside(self, calls: Calls) -> None:
        await asyncio.gather(
            *(
                calls.fill(f"uploads-{n}", itertools.cycle(self._chunks[n :: self._STREAMS]))
                for n in range(self._STREAMS)
            )
        )

    async def clean_up(self, calls: Calls) -> None:
        for number in range(self._STREAMS):
            await calls.client.delete_collection(f"uploads-{number}")


class Exports(Neighbour):
    """Two callers that page through the whole collection, vectors and all."""

    name = "exports"
    _CALLERS, _PAGE = 2, 1_000

    async def beside(self, calls: Calls) -> None:
        await asyncio.gather(*(self._export(calls) for _ in range(self._CALLERS)))

    async def _export(self, calls: Calls) -> None:
        list_documents = calls.channel().unary_unary(
            LIST_DOCUMENTS.path, LIST_DOCUMENTS.serialize, LIST_DOCUMENTS.parse
        )
        token = ""
        while True:
            request = ListDocumentsRequest(
                collection=calls.setting.collection,
                page_size=self._PAGE,
                page_token=token,
                fields=DocumentFields(text=True, metadata=True, vector=True),
            )
            page = await calls.made(list_documents(request, metadata=calls.metadata))
            token = "" if page is None else page.next_page_token


class Merges(Neighbour):
    """Documents replaced without end in a collection whose index is a graph, and so costly."""

    name = "merges"
    leaves_work = True
    _SHARE = 5  # of the documents of the collection that is searched

    async def prepare(self, calls: Calls) -> None:
        count = max(2, calls.setting.num_documents // self._SHARE // CHUNK)
        self._chunks = [chunk(number) for number in range(count)]
        await calls.client.create_collection(self.name, _GRAPH_SCHEMA)
        await calls.fill(self.name, self._chunks)

    async def beside(self, calls: Calls) -> None:
        await calls.fill(self.name, itertools.cycle(self._chunks))

    async def clean_up(self, calls: Calls) -> None:
        await calls.client.delete_collection(self.name)


class Deletions(Neighbour):
    """Copies of the collection, with writes that no merge has reached yet, deleted one by one."""

    name = "deletions"
    _COPIES = 3

    async def prepare(self, calls: Calls) -> None:
        client, collection = calls.client, calls.setting.collection
        await client.create_snapshot(collection, "origin")
        for number in range(self._COPIES):
            await client.restore_snapshot(collection, "origin", self._copy(number))
            await calls.fill(self._copy(number), [chunk(0)])

    async def beside(self, calls: Calls) -> None:
        for number in range(self._COPIES):
            await calls.made(calls.client.delete_collection(self._copy(number)))
            await asyncio.sleep(calls.setting.seconds / (self._COPIES + 1))

    async def clean_up(self, calls: Calls) -> None:
        await calls.client.delete_snapshot(calls.setting.collection, "origin")
        kept = {collection.name for collection in await calls.client.list_collections()}
        for number in range(self._COPIES):
            if self._copy(number) in kept:
                await calls.client.delete_collection(self._copy(number))

    def _copy(self, number: int) -> str:
        return f"copy-{number}"


class LargeDocuments(Neighbour):
    """Documents of 250 KB, of which no message holds all: fetched, listed, exported, searched."""

    name = "large-documents"
    # Too much for one answer is an error that says so; nothing else may go wrong.
    allowed = frozenset({"OK", "CANCELLED", "RESOURCE_EXHAUSTED", "INVALID_ARGUMENT"})
    _COUNT, _WORD, _WORDS = 300, "x" * 124, 2_000
    _ORDINARY_BYTES = 4 * 2**20  # what gRPC's clients receive by default

    async def prepare(self, calls: Calls) -> None:
        await calls.client.create_collection(self.name, _VECTOR_SCHEMA)
        text = " ".join([self._WORD] * self._WORDS)
        documents = [
            Document(id=f"large {n}", text=text, vector=query(n)) for n in range(self._COUNT)
        ]
        await calls.fill(self.name, [documents[n : n + 4] for n in range(0, self._COUNT, 4)])

    async def beside(self, calls: Calls) -> None:
        client = calls.client
        ids = [f"large {number}" for number in range(self._COUNT)]
        vector = query(0).values
        generous, ordinary = calls.channel(), calls.channel(self._ORDINARY_BYTES)
        while True:
            await calls.made(client.get(self.name, ids))
            await calls.made(
                client.search(
                    self.name, vector=vector, retrieve="dense", rerank=False, top_n=self._COUNT
                )
            )
            await self._export(calls, generous, page_size=1_000)
            await self._export(calls, ordinary, page_size=0)

    async def clean_up(self, calls: Calls) -> None:
        await calls.client.delete_collection(self.name)

    async def _export(self, calls: Calls, channel: grpc.aio.Channel, page_size: int) -> None:
        list_documents = channel.unary_unary(
            LIST_DOCUMENTS.path, LIST_DOCUMENTS.serialize, LIST_DOCUMENTS.parse
        )
        token = ""
        while True:
            request = ListDocumentsRequest(
                collection=self.name, page_size=page_size, page_token=token
            )
            page = await calls.made(list_documents(request, metadata=calls.metadata))
            token = "" if page is None else page.next_page_token
            if not token:
                return
