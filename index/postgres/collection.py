"""One collection in PostgreSQL, as `Collection` describes it."""

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import Executor
from datetime import datetime

from twopass.index.base.retrieval import Members
from twopass.index.documents import (
    DocumentFields,
    IndexedDocument,
    OnConflict,
    StoredDocument,
)
from twopass.index.errors import CollectionClosedError, InvalidQueryError, StaleSequenceError
from twopass.index.facets import Facet
from twopass.index.filters import Filter
from twopass.index.metadata import MetadataChange
from twopass.index.pages import DocumentPage, key_before, page_token
from twopass.index.postgres.catalogue import Catalogue, CollectionRow
from twopass.index.postgres.connections import Connections
from twopass.index.postgres.encoding import encode_documents
from twopass.index.postgres.filter_sql import CompiledFilter, compile_filter
from twopass.index.postgres.kinds import VectorKind
from twopass.index.postgres.reader import Reader
from twopass.index.postgres.retrieval import PostgresRetrieval, Searched
from twopass.index.postgres.tables import Tables
from twopass.index.postgres.word_clauses import EVERYTHING, Clauses, CompiledMembers
from twopass.index.postgres.writer import Writer
from twopass.index.retrieved import Expected
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.settings import check_settings
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.word_query import WordClauses
from twopass.index.words.analysis import Analyser
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

_DEFAULT_FIELDS = DocumentFields()
_EVERYTHING = Filter()
_NOTHING_SAID = Expected()
# Between two looks at whether a standby has come as far as it must.
_SECONDS_BETWEEN_LOOKS = 0.01

STANDBY = (
    "the PostgreSQL server is a standby, which takes no writes; write through a server whose "
    "--store is the primary"
)
"""Why a collection on a standby is read-only."""


class PostgresCollection:
    """A collection, the same object for all calls that use it at the same time.

    What it tells without asking is as of the last call that looked it up in the catalogue.
    """

    def __init__(
        self, row: CollectionRow, connections: Connections, catalogue: Catalogue, encoding: Executor
    ) -> None:
        """Takes what it works with.

        Args:
            row: It, as the catalogue describes it.
            connections: Of the store.
            catalogue: Of the store.
            encoding: Threads in which documents are analysed.
        """
        self._row = row
        self._connections = connections
        self._catalogue = catalogue
        self._encoding = encoding
        schema = catalogue.schema
        tables = Tables.of(schema, row.id)
        kind = VectorKind.parse(row.schema)
        analyser = Analyser(row.schema.word_language)
        self._reader = Reader(connections, tables, kind, schema)
        self._writer = Writer(connections, schema, tables, row.id, row.sequence.incarnation)
        self._searched = Searched(
            connections, schema, row.id, row.schema, tables, kind, analyser, self._reader
        )

    def refresh(self, row: CollectionRow) -> None:
        """Takes what the catalogue tells now."""
        self._row = row

    @property
    def name(self) -> str:
        """Its own name, as of the last look."""
        return self._row.name

    @property
    def schema(self) -> CollectionSchema:
        """Its schema."""
        return self._row.schema

    @property
    def create_time(self) -> datetime:
        """When it was created, UTC."""
        return self._row.create_time

    @property
    def incarnation(self) -> str:
        """What all its sequences begin with."""
        return self._row.sequence.incarnation

    @property
    def num_documents(self) -> int | None:
        """Documents that a search sees, as of the last look."""
        return self._row.num_documents

    @property
    def may_be_split(self) -> bool:
        """Whether any document may be split into windows."""
        return self.schema.chunking is not None

    @property
    def settings(self) -> str:
        """What the server keeps with it, as of the last look."""
        return self._row.settings

    @property
    def read_only_reason(self) -> str:
        """Why it takes no writes; "" if it takes them."""
        return STANDBY if self._connections.is_standby else ""

    async def summary(self, stop: Stop = NEVER) -> CollectionSummary:
        """Describes the collection as it is now."""
        row = await self._looked_up(stop)
        return row.summary(self.read_only_reason)

    async def ensure_reached(self, sequence: str, stop: Stop = NEVER) -> None:
        """Makes sure that what begins now sees a write; on a standby, waits until it does.

        Raises:
            MalformedSequenceError: `sequence` is not a sequence.
            StaleSequenceError: `sequence` belongs to another life of the collection.
        """
        given = SequenceToken.parse(sequence)
        if self._is_reached(given, self._row):
            return
        while not self._is_reached(given, await self._looked_up(stop)):
            seen = self._row.sequence
            if given.incarnation != seen.incarnation or not self._connections.is_standby:
                raise StaleSequenceError(self.name, sequence)
            stop.check()
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    @staticmethod
    def _is_reached(given: SequenceToken, row: CollectionRow) -> bool:
        seen = row.sequence
        return given.incarnation == seen.incarnation and given.position <= seen.position

    async def _looked_up(self, stop: Stop) -> CollectionRow:
        row = await self._connections.run(
            lambda connection: self._catalogue.read(connection, self._row.id, self.name), stop
        )
        self._row = row
        return row

    def retrieval(
        self,
        expected: Expected = _NOTHING_SAID,
        min_sequence: str = "",  # noqa: ARG002  # every statement sees all that was committed
    ) -> PostgresRetrieval:
        """Begins the use of the collection by one search."""
        row = self._row
        return PostgresRetrieval(self._searched, row.name, row.num_split, row.num_vectors, expected)

    async def members(self, wanted: Filter, stop: Stop = NEVER) -> CompiledMembers:
        """The documents that pass a filter, as a condition; asks nothing."""
        stop.check()
        return CompiledMembers(filters=(self._compiled(wanted),))

    async def members_with_words(
        self, clauses: WordClauses, members: Members | None = None, stop: Stop = NEVER
    ) -> CompiledMembers:
        """The documents that the required and excluded clauses admit, as a condition."""
        stop.check()
        assert members is None or isinstance(members, CompiledMembers)
        return (members or EVERYTHING).with_clauses(Clauses.of(clauses, self._searched.analyser))

    async def submit_upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
        stop: Stop = NEVER,
    ) -> Awaitable[UpsertResult]:
        """Checks documents, and takes their place in the order of this object's writes."""
        if self._connections.is_closed:
            raise CollectionClosedError(self.name)
        encoded = []
        if documents:
            encoded = await asyncio.get_running_loop().run_in_executor(
                self._encoding,
                encode_documents,
                documents,
                self.schema,
                self._searched.analyser,
                places,
            )
        stop.check()
        return asyncio.shield(self._writer.upsert(self.name, encoded, on_conflict))

    async def delete(self, wanted: Filter, stop: Stop = NEVER) -> DeleteResult:
        """Deletes all documents that pass a filter when the deletion's turn comes."""
        return await self._writer.delete(self.name, self._compiled(wanted), stop)

    async def update_metadata(
        self, wanted: Filter, change: MetadataChange, stop: Stop = NEVER
    ) -> UpdateResult:
        """Changes the metadata of all documents that pass a filter, of all or of none."""
        return await self._writer.update_metadata(self.name, self._compiled(wanted), change, stop)

    async def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Finds those of some ids that documents have."""
        return await self._reader.known_ids(ids, stop, self.name)

    async def set_settings(self, settings: str, stop: Stop = NEVER) -> None:
        """Replaces the settings in the catalogue, where every server looks a collection up."""
        check_settings(settings)
        self._row = await self._connections.change(
            lambda connection: self._catalogue.set_settings(
                connection, self._row.id, self.name, settings
            ),
            stop,
            self.name,
        )

    async def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        """Counts the documents that pass a filter, as they are at one moment."""
        compiled = self._compiled(wanted)
        if compiled.passes_everything:
            return (await self._looked_up(stop)).num_documents
        return await self._reader.count(compiled, stop, self.name)

    async def facet(
        self,
        wanted: Filter,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a metadata field, as they are at one moment."""
        compiled = self._compiled(wanted)
        return await self._reader.facet(compiled, field, limit, max_bytes, stop, self.name)

    async def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields = _DEFAULT_FIELDS,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
        *,
        allow_missing: bool = False,
    ) -> list[StoredDocument]:
        """Reads documents by id, in the order of the ids."""
        return await self._reader.get(
            ids, fields, stop, self.name, max_bytes, allow_missing=allow_missing
        )

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
        if page_size < 1:
            raise InvalidQueryError(
                "page_size", f"must be at least 1, {page_size} given", limit=1, value=page_size
            )
        after = key_before(token, self.incarnation, wanted)
        page = await self._reader.after(
            after, page_size, fields, self._compiled(wanted), stop, self.name, max_bytes
        )
        following = ""
        if page.last_key is not None:
            following = page_token(self.incarnation, page.last_key, wanted)
        return DocumentPage(page.documents, following)

    @property
    def is_busy(self) -> bool:
        """Whether writes are under way."""
        return self._writer.is_busy

    async def finish(self) -> None:
        """Waits for every write that was submitted."""
        await self._writer.finish()

    def _compiled(self, wanted: Filter) -> CompiledFilter:
        return compile_filter(wanted, self.schema.indexed_fields, self._catalogue.schema)
