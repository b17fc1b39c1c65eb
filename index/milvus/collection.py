"""A collection in Milvus: what is written to it and read of it."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Sequence
from datetime import datetime

from twopass.index.base.retrieval import Members
from twopass.index.collection_name import CollectionName
from twopass.index.document_checks import check_documents
from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict, StoredDocument
from twopass.index.errors import (
    AnswerTooLargeError,
    CollectionNotFoundError,
    DocumentNotFoundError,
    DocumentTooLargeError,
    InvalidQueryError,
    UnsupportedByStoreError,
)
from twopass.index.facets import Facet
from twopass.index.field_names import parse_field_name
from twopass.index.filters import Filter
from twopass.index.metadata import MetadataChange
from twopass.index.milvus.connection import MilvusConnection, NoSuchCollectionError
from twopass.index.milvus.facet_counting import FacetCount
from twopass.index.milvus.facts import MAX_ORDERED
from twopass.index.milvus.filter_expression import (
    EVERYTHING,
    STORE,
    Expression,
    compile_filter,
    literal,
)
from twopass.index.milvus.layout import Description, settings_property
from twopass.index.milvus.names import name_in_milvus
from twopass.index.milvus.paging import id_before, page_token
from twopass.index.milvus.place import Consistency
from twopass.index.milvus.reading import CollectionReader
from twopass.index.milvus.retrieval import MilvusRetrieval, expression_of, refuse_clauses
from twopass.index.milvus.rows import (
    EncodedDocuments,
    content_fields,
    encode_documents,
    num_bytes,
    stored_document,
)
from twopass.index.milvus.writing import CollectionWriter
from twopass.index.pages import DocumentPage
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
_NO_CLAUSES = WordClauses()
_EVERYTHING = Filter()
_NOTHING_SAID = Expected()

MAX_FACET_DOCUMENTS = 1_000_000
"""Documents that a facet is counted over at most: each of them is read for it."""

_LISTED_AT_ONCE = 200
_WHOLE = "part == 0"
_SPLIT = "part == 0 and num_windows > 0"


class MilvusCollection:
    """A collection in Milvus. Belongs to one event loop; `Collection` tells the rest."""

    def __init__(
        self,
        name: str,
        description: Description,
        connection: MilvusConnection,
        consistency: Consistency,
    ) -> None:
        self.shared_name = CollectionName(name)
        self._description = description
        self._reader = CollectionReader(
            self.shared_name, description.incarnation, connection, consistency
        )
        self._has_windows = description.schema.chunking is not None
        self._writer = CollectionWriter(self._reader, connection, has_windows=self._has_windows)
        self._analyser = Analyser(description.schema.word_language)
        self._connection = connection

    def refresh(self, description: Description) -> None:
        """Takes what Milvus tells of it now."""
        self._description = description

    @property
    def name(self) -> str:
        """What it is called now."""
        return str(self.shared_name)

    @property
    def schema(self) -> CollectionSchema:
        """Its schema."""
        return self._description.schema

    @property
    def create_time(self) -> datetime:
        """When it was created, UTC."""
        return self._description.create_time

    @property
    def incarnation(self) -> str:
        """What all its sequences begin with."""
        return self._description.incarnation

    @property
    def num_documents(self) -> int | None:
        """None: Milvus would have to be asked."""
        return None

    @property
    def may_be_split(self) -> bool:
        """Whether any document may be split into windows."""
        return self._has_windows

    @property
    def settings(self) -> str:
        """What the server keeps with it, as of the last call that looked it up."""
        return self._description.settings

    @property
    def sequence(self) -> SequenceToken:
        """The last write that was acknowledged through this server."""
        return self._reader.sequence

    async def summary(self, stop: Stop = NEVER) -> CollectionSummary:
        """Describes the collection as it is now."""
        num_documents = await self._reader.count(self._documents(EVERYTHING), stop)
        num_split = 0
        if self._has_windows:
            num_split = await self._reader.count(Expression(_SPLIT), stop)
        return CollectionSummary(
            name=self.name,
            schema=self.schema,
            create_time=self.create_time,
            num_documents=num_documents,
            num_split=num_split,
            sequence=self.sequence,
            read_only_reason="",
            settings=self.settings,
        )

    async def ensure_reached(self, sequence: str, stop: Stop = NEVER) -> None:
        """Makes sure that retrievals see a write; they wait for it themselves, within Milvus."""
        stop.check()
        self._reader.position_of(sequence)

    def retrieval(
        self, expected: Expected = _NOTHING_SAID, min_sequence: str = ""
    ) -> MilvusRetrieval:
        """Begins the use of the collection by one search."""
        position = self._reader.position_of(min_sequence) if min_sequence else 0
        return MilvusRetrieval(
            self._reader, self.schema, self.incarnation, self._analyser, expected, position
        )

    async def members(self, wanted: Filter, stop: Stop = NEVER) -> Expression:
        """The documents that pass a filter, as an expression."""
        expression = self._compiled(wanted)
        await self._ensure_exact(expression, stop)
        return expression

    async def members_with_words(
        self, clauses: WordClauses, members: Members | None = None, stop: Stop = NEVER
    ) -> Expression:
        """Refuses clauses that bound what is found: Milvus has none with the same meaning."""
        stop.check()
        refuse_clauses(WordClauses(required=clauses.required, excluded=clauses.excluded))
        return expression_of(members)

    async def submit_upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
        stop: Stop = NEVER,
    ) -> Awaitable[UpsertResult]:
        """Checks documents and gives their write its turn, as `Collection` says.

        What is known under `OnConflict.SKIP` and `FAIL` is looked up before it is written. Writes
        through this server are in turn, so that it holds among them; another server may write a
        document of the same id in between, which is then replaced.
        """
        if not documents:
            return self._writer.submit(self._writer.nothing())
        encoded = await asyncio.to_thread(self._encoded, documents, places)
        stop.check()
        return self._writer.submit(self._writer.upsert(encoded, on_conflict))

    async def delete(self, wanted: Filter, stop: Stop = NEVER) -> DeleteResult:
        """Deletes all documents that pass a filter."""
        expression = self._compiled(wanted)
        await self._ensure_exact(expression, stop)
        return await self._writer.submit(self._writer.delete(self._documents(expression), stop))

    async def update_metadata(
        self, wanted: Filter, change: MetadataChange, stop: Stop = NEVER
    ) -> UpdateResult:
        """Changes the metadata of all documents that pass a filter.

        All are looked at before the first is changed; a lost connection may leave some changed.
        """
        expression = self._compiled(wanted)
        await self._ensure_exact(expression, stop)
        return await self._writer.submit(
            self._writer.update_metadata(self._documents(expression), change, stop)
        )

    async def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Those of some ids that documents have."""
        return await self._writer.known_ids(ids, stop=stop)

    async def set_settings(self, settings: str, stop: Stop = NEVER) -> None:
        """Replaces the settings in the collection's properties, which every call reads."""
        check_settings(settings)
        stop.check()
        change = self._connection.change(
            "alter_collection_properties",
            name_in_milvus(self.name),
            properties=settings_property(settings),
        )
        try:
            await asyncio.shield(asyncio.ensure_future(change))
        except NoSuchCollectionError as error:
            raise CollectionNotFoundError(self.name) from error
        self._description = dataclasses.replace(self._description, settings=settings)

    async def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        """Counts the documents that pass a filter."""
        expression = await self.members(wanted, stop)
        return await self._reader.count(self._documents(expression), stop)

    async def facet(
        self,
        wanted: Filter,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a metadata field, by reading the metadata of all that pass.

        What is written meanwhile may be counted or not.
        """
        keys = parse_field_name(field)
        passing = self._documents(await self.members(wanted, stop))
        number = await self._reader.count(passing, stop)
        if number > MAX_FACET_DOCUMENTS:
            raise UnsupportedByStoreError(
                STORE,
                f"a facet of {number:,} documents",
                f"bound them by a filter to at most {MAX_FACET_DOCUMENTS:,}",
                "filter",
            )
        counted = FacetCount(keys)
        async for rows in self._reader.pages(passing, ["id", "metadata"], stop):
            for row in rows:
                counted.add(row["metadata"])
        return counted.facet(field, limit, max_bytes)

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
        rows = await self._reader.with_ids(ids, self._output(fields), stop)
        found = {row["id"]: row for row in rows}
        wanted = []
        for one in ids:
            if one in found:
                wanted.append(found[one])
            elif not allow_missing:
                raise DocumentNotFoundError(self.name, one)
        if max_bytes is not None:
            sizes = [num_bytes(row, fields) for row in wanted]
            for row, size in zip(wanted, sizes, strict=True):
                if size > max_bytes:
                    raise DocumentTooLargeError(row["id"], size, max_bytes)
            if (total := sum(sizes)) > max_bytes:
                raise AnswerTooLargeError(len(sizes), total, max_bytes)
        return [stored_document(row, fields, self.schema.dimension) for row in wanted]

    async def list_page(
        self,
        page_size: int,
        token: str = "",
        fields: DocumentFields = _DEFAULT_FIELDS,
        wanted: Filter = _EVERYTHING,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> DocumentPage:
        """Reads a page of documents, by id."""
        if page_size < 1:
            raise InvalidQueryError(
                "page_size", f"must be at least 1, {page_size} given", limit=1, value=page_size
            )
        after = id_before(token, self.incarnation, wanted)
        passing = self._documents(await self.members(wanted, stop))
        documents: list[StoredDocument] = []
        left = max_bytes
        while True:
            # One more than asked for tells whether others follow.
            limit = min(page_size - len(documents) + 1, _LISTED_AT_ONCE)
            following = passing.also(f"id > {literal(after)}" if after else "")
            rows = await self._reader.query(following, self._output(fields), stop, limit=limit)
            for row in rows:
                size = num_bytes(row, fields)
                if left is not None and size > left and not documents:
                    raise DocumentTooLargeError(row["id"], size, max_bytes or 0)
                if len(documents) == page_size or (left is not None and size > left):
                    return DocumentPage(documents, page_token(self.incarnation, after, wanted))
                documents.append(stored_document(row, fields, self.schema.dimension))
                left = None if left is None else left - size
                after = row["id"]
            if not rows:
                return DocumentPage(documents, "")

    async def finish_writes(self) -> None:
        """Waits for all writes that were submitted."""
        await self._writer.finish()

    def _encoded(
        self, documents: Sequence[IndexedDocument], places: Sequence[int] | None
    ) -> EncodedDocuments:
        checked = check_documents(documents, self.schema, places)
        return encode_documents(
            checked.documents, self._analyser, places, has_windows=self._has_windows
        )

    def _compiled(self, wanted: Filter) -> Expression:
        id_field = "document" if self._has_windows else "id"
        return compile_filter(wanted, self.schema.indexed_fields, id_field)

    def _documents(self, expression: Expression) -> Expression:
        """The rows that stand for documents, one for each."""
        return expression.also(_WHOLE if self._has_windows else "")

    def _output(self, fields: DocumentFields) -> list[str]:
        names = ["id", "version", *content_fields(fields)]
        return [*names, "num_windows"] if self._has_windows else names

    async def _ensure_exact(self, expression: Expression, stop: Stop) -> None:
        """Makes sure that an expression says of every document what its filter does.

        Raises:
            UnsupportedByStoreError: A document has more values than intervals see.
        """
        for fact, field in expression.exact_unless:
            more = Expression(f"array_contains(facts, {literal(fact)})")
            if await self._reader.has_any(more, stop):
                raise UnsupportedByStoreError(
                    STORE,
                    f"an interval with two ends, or a prefix, of {field!r}, of which a document "
                    f"has more than {MAX_ORDERED} distinct values",
                    "give one end of the interval, test whether a value is one of some, or keep "
                    "fewer values in a list",
                    "filter",
                )
