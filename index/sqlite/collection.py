"""A collection of the data folder as calls use it: each call in the lane of its kind."""

import asyncio
from collections.abc import Awaitable, Generator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from twopass.index.base.retrieval import Members
from twopass.index.collection.collection import Collection
from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict, StoredDocument
from twopass.index.facets import Facet
from twopass.index.filters import Filter, selects_all
from twopass.index.lanes import Lane, Lanes
from twopass.index.metadata import MetadataChange
from twopass.index.pages import DocumentPage
from twopass.index.retrieved import Expected
from twopass.index.schema import CollectionSchema
from twopass.index.sqlite.retrieval import SqliteMembers, SqliteRetrieval, keys_of
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.word_query import WordClauses
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

T = TypeVar("T")

_DEFAULT_FIELDS = DocumentFields()
_EVERYTHING = Filter()
_NOTHING_SAID = Expected()
# More ids than this are read where no search waits.
_FEW_IDS = 32


class SqliteCollection:
    """A collection that is open as long as its lease is held."""

    def __init__(self, collection: Collection, lanes: Lanes, encoding: Lane) -> None:
        """Takes what does the work.

        Args:
            collection: The open collection.
            lanes: Lanes for what blocks.
            encoding: A lane of one thread, in which documents are checked and encoded in the order
                of their writes.
        """
        self._collection = collection
        self._lanes = lanes
        self._encoding = encoding

    @property
    def name(self) -> str:
        """Its own name."""
        return self._collection.name

    @property
    def schema(self) -> CollectionSchema:
        """Its schema."""
        return self._collection.schema

    @property
    def create_time(self) -> datetime:
        """When it was created, UTC."""
        return self._collection.create_time

    @property
    def incarnation(self) -> str:
        """What tells its lives apart."""
        return self._collection.sequence.incarnation

    @property
    def num_documents(self) -> int:
        """Documents that a search sees now."""
        return self._collection.num_documents

    @property
    def may_be_split(self) -> bool:
        """Whether any document is split."""
        return self._collection.num_split > 0

    @property
    def settings(self) -> str:
        """What the server keeps with it, as it is now."""
        return self._collection.settings

    async def summary(self, stop: Stop = NEVER) -> CollectionSummary:  # noqa: ARG002  # at hand
        """Describes the collection as it is now."""
        return self._collection.summary()

    async def ensure_reached(
        self,
        sequence: str,
        stop: Stop = NEVER,  # noqa: ARG002  # writes are acknowledged once they are found
    ) -> None:
        """Makes sure that the collection was in a state; there is never anything to wait for."""
        self._collection.ensure_reached(sequence)

    def retrieval(
        self,
        expected: Expected = _NOTHING_SAID,  # noqa: ARG002  # each read is a short one
        min_sequence: str = "",  # noqa: ARG002  # every search sees every write before it
    ) -> SqliteRetrieval:
        """Begins a search."""
        return SqliteRetrieval(self._collection, self._lanes)

    async def members(self, wanted: Filter, stop: Stop = NEVER) -> SqliteMembers:
        """Looks up the keys of the documents that pass a filter."""
        matching = self._collection.matching
        return SqliteMembers(await self._lanes.scans.run(matching, wanted, stop, stop=stop))

    async def members_with_words(
        self, clauses: WordClauses, members: Members | None = None, stop: Stop = NEVER
    ) -> SqliteMembers:
        """Looks up the keys of the documents whose words are admitted."""
        matching = self._collection.matching_words
        return SqliteMembers(
            await self._lanes.scans.run(matching, clauses, keys_of(members), stop, stop=stop)
        )

    async def submit_upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
        stop: Stop = NEVER,
    ) -> Awaitable[UpsertResult]:
        """Checks documents and queues their write."""
        if not documents:
            return _Awaited(self._collection.after_writes())
        return _Awaited(
            await self._encoding.run(
                self._collection.upsert, documents, on_conflict, places, stop=stop
            )
        )

    async def delete(self, wanted: Filter, stop: Stop = NEVER) -> DeleteResult:
        """Deletes the documents that pass a filter."""
        return await asyncio.wrap_future(self._collection.delete_matching(wanted, stop))

    async def update_metadata(
        self, wanted: Filter, change: MetadataChange, stop: Stop = NEVER
    ) -> UpdateResult:
        """Changes the metadata of the documents that pass a filter."""
        return await asyncio.wrap_future(self._collection.update_metadata(wanted, change, stop))

    async def set_settings(self, settings: str, stop: Stop = NEVER) -> None:
        """Replaces the settings, as a write among others."""
        stop.check()
        await asyncio.shield(asyncio.wrap_future(self._collection.set_settings(settings)))

    async def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Finds known ids, in the threads of long reads."""
        return await self._lanes.pages.run(self._collection.known_ids, ids, stop, stop=stop)

    async def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        """Counts the documents that pass a filter."""
        return await self._lanes.scans.run(self._collection.count, wanted, stop, stop=stop)

    async def facet(
        self,
        wanted: Filter,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a field."""
        return await self._lanes.scans.run(
            self._collection.facet, wanted, field, limit, max_bytes, stop, stop=stop
        )

    async def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields = _DEFAULT_FIELDS,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
        *,
        allow_missing: bool = False,
    ) -> list[StoredDocument]:
        """Reads documents by id; many of them where no search waits."""
        lane = self._lanes.reads if len(ids) <= _FEW_IDS else self._lanes.pages

        def read() -> list[StoredDocument]:
            return self._collection.get(ids, fields, stop, max_bytes, allow_missing=allow_missing)

        return await lane.run(read, stop=stop)

    async def list_page(
        self,
        page_size: int,
        token: str = "",
        fields: DocumentFields = _DEFAULT_FIELDS,
        wanted: Filter = _EVERYTHING,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> DocumentPage:
        """Reads a page of documents."""
        # A filter may look at every document before it finds the first of the page.
        lane = self._lanes.pages if selects_all(wanted) else self._lanes.scans
        return await lane.run(
            self._collection.list_page,
            page_size,
            token,
            fields,
            wanted,
            stop,
            max_bytes,
            stop=stop,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Awaited(Generic[T]):
    """What another thread will set, to be awaited or not."""

    future: Future[T]

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self.future).__await__()
