"""A collection: what it holds, what is written to it and what is found in it."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.collection.encoding import EncodedDocuments, encode_documents
from twopass.index.collection.windows import NearestDocuments, WindowIndex
from twopass.index.collection.writer import (
    Delete,
    SetSettings,
    UpdateMetadata,
    Upsert,
    Writer,
)
from twopass.index.collection_name import CollectionName
from twopass.index.documents import (
    DocumentFields,
    IndexedDocument,
    OnConflict,
    StoredDocument,
)
from twopass.index.errors import InvalidQueryError, StaleSequenceError
from twopass.index.facets import Facet
from twopass.index.filters import Filter, IdCondition
from twopass.index.key_sets import intersection
from twopass.index.kinds import Breadth
from twopass.index.metadata import MetadataChange
from twopass.index.metric import scale
from twopass.index.pages import DocumentPage, key_before, page_token
from twopass.index.passages import StoredPassages
from twopass.index.ranked_list import WordMatches
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import Identity
from twopass.index.rows.filter_sql import SqlCondition, compile_filter
from twopass.index.rows.reader import DocumentReader
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.settings import check_settings
from twopass.index.stopping import NEVER, Stop, wait_for
from twopass.index.summary import CollectionSummary
from twopass.index.vectors.vector_index import Neighbours, VectorIndex
from twopass.index.word_query import WordClauses
from twopass.index.words.analysis import Analyser
from twopass.index.words.word_index import WordIndex
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

_DEFAULT = DocumentFields()
_DEFAULT_BREADTH = Breadth()
_EVERYTHING = Filter()
_NO_CLAUSES = WordClauses()


class Collection:
    """An open collection. Every method may be called from any thread.

    Futures resolve in threads of the lanes `writes` and `vectors`. Methods that return no future
    block for the disk and are to be called in a lane of their kind. Every method raises
    `StorageError` when the disk fails, and `CollectionClosedError` after `close`. Methods that take
    a `stop` end with `StoppedError` soon after it is set.
    """

    def __init__(
        self,
        name: CollectionName,
        identity: Identity,
        connections: ReadConnections,
        writer: Writer,
        vectors: VectorIndex,
        words: WordIndex,
        analyser: Analyser,
        damage: Damage,
    ) -> None:
        self._name = name
        self.schema: CollectionSchema = identity.schema
        self.create_time: datetime = identity.create_time
        self._connections = connections
        self._reader = DocumentReader(name, connections, damage)
        self._words = words
        self._analyser = analyser
        self._writer = writer
        self._vectors = vectors
        self._has_windows = identity.schema.chunking is not None
        self._windows = WindowIndex(connections)
        self._damage = damage

    @property
    def name(self) -> str:
        """What it is called now; it may be renamed at any time."""
        return str(self._name)

    @property
    def num_documents(self) -> int:
        """Documents that a search sees now."""
        return self._writer.num_documents

    @property
    def num_split(self) -> int:
        """How many of the documents are split, and found by their windows."""
        return self._writer.num_split

    @property
    def sequence(self) -> SequenceToken:
        """The state that a search sees now."""
        return self._vectors.sequence

    @property
    def read_only_reason(self) -> str:
        """Why it takes no writes, and the way out; empty if it takes writes."""
        return self._damage.reason

    @property
    def settings(self) -> str:
        """What the server keeps with it; "" for nothing."""
        return self._writer.settings

    def summary(self) -> CollectionSummary:
        """Describes the collection as it is now; after `close`, as it was then."""
        return CollectionSummary(
            name=self.name,
            schema=self.schema,
            create_time=self.create_time,
            num_documents=self.num_documents,
            num_split=self.num_split,
            sequence=self.sequence,
            read_only_reason=self.read_only_reason,
            settings=self.settings,
        )

    def check_every_document(self) -> tuple[str, ...]:
        """If damage was met, waits until every document is checked; returns the damaged ids."""
        self._damage.wait_until_checked()
        return self._damage.ids

    def ensure_reached(self, sequence: str) -> None:
        """Makes sure that a search that begins now sees the write whose sequence this is.

        Writes are acknowledged after they can be found, so there is never anything to wait for.

        Raises:
            MalformedSequenceError: `sequence` is not a sequence.
            StaleSequenceError: `sequence` belongs to another life of the collection.
        """
        given = SequenceToken.parse(sequence)
        seen = self.sequence
        if given.incarnation != seen.incarnation or given.position > seen.position:
            raise StaleSequenceError(self.name, sequence)

    def upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
    ) -> Future[UpsertResult]:
        """Writes documents, all or none.

        Checks in the calling thread. The future resolves when the documents are on disk and every
        search that begins later can find them. It raises `DocumentsExistError` where ids are known
        that may not be.

        Args:
            documents: At least one.
            on_conflict: What becomes of documents whose ids are known when their turn comes.
            places: Where each stands in the request, for error messages; None where they are all
                of it.

        Raises:
            InvalidDocumentError: A document, or the ids together, break a rule.
        """
        encoded = encode_documents(documents, self.schema, self._analyser, places)
        return self._submit_upsert(encoded, on_conflict)

    def after_writes(self) -> Future[UpsertResult]:
        """A future of the state that holds every write submitted before; it writes no document."""
        return self._submit_upsert(EncodedDocuments.none(self.schema.dimension))

    def _submit_upsert(
        self, documents: EncodedDocuments, on_conflict: OnConflict = OnConflict.REPLACE
    ) -> Future[UpsertResult]:
        write = Upsert(self.name, documents, self._has_windows, on_conflict)
        self._writer.submit(write)
        return write.future

    def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Finds those of some ids that documents have; blocks."""
        return self._reader.known_ids(ids, stop)

    def delete(self, ids: Sequence[str]) -> Future[DeleteResult]:
        """Deletes documents by id; unknown ids are ignored.

        The future resolves when the deletion is on disk and no search that begins later finds them.
        """
        return self.delete_matching(Filter(must=(IdCondition(tuple(ids)),)))

    def delete_matching(self, wanted: Filter, stop: Stop = NEVER) -> Future[DeleteResult]:
        """Deletes all documents that pass a filter when the deletion's turn comes, as `delete`.

        Args:
            wanted: Which documents to delete.
            stop: Ends the deletion before its turn and while documents are looked for: the future
                raises `StoppedError`, and nothing is deleted. Later it has no effect.
        """
        write = Delete(self._compiled(wanted), self.schema.dimension, self._has_windows, stop)
        self._writer.submit(write)
        return write.future

    def update_metadata(
        self, wanted: Filter, change: MetadataChange, stop: Stop = NEVER
    ) -> Future[UpdateResult]:
        """Changes the metadata of all documents that pass a filter when the update's turn comes.

        All or none are changed. Documents keep their keys, texts, tokens and vectors: a search
        under way may have found a document by its old metadata and read the new.

        Args:
            wanted: Which documents.
            change: What becomes of their metadata.
            stop: Ends the update before its turn, while documents are looked for and while they
                are changed: the future raises `StoppedError`, and nothing is changed. Later it has
                no effect.

        Returns:
            A future that resolves when the new metadata is on disk and every search that begins
            later filters by it. It raises `InvalidDocumentError` where a document's metadata would
            break a rule.
        """
        write = UpdateMetadata(
            self._compiled(wanted), change, self.schema.dimension, self._damage, stop
        )
        self._writer.submit(write)
        return write.future

    def set_settings(self, settings: str) -> Future[None]:
        """Replaces the settings; the future resolves when they are on disk.

        Raises:
            InvalidSettingsError: They are too large.
        """
        check_settings(settings)
        write = SetSettings(settings, self.schema.dimension)
        self._writer.submit(write)
        return write.future

    def matching(self, wanted: Filter, stop: Stop = NEVER) -> Int64s:
        """Finds the keys of all documents that pass, int64 `[num_keys]`, ascending; blocks.

        The test of a field that the schema declares as indexed takes time in proportion to what it
        finds; the test of another field reads every document.

        Raises:
            InvalidFilterError: A test can't pass any value of its field's declared type. Methods
                that take a filter raise it likewise.
        """
        return self._reader.matching(self._compiled(wanted), stop)

    def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        """Counts the documents that pass, as they are at one moment; blocks as `matching` does."""
        return self._reader.count(self._compiled(wanted), stop)

    def facet(
        self,
        wanted: Filter,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a metadata field, as they are at one moment; blocks.

        Args:
            wanted: Which documents.
            field: The field's name, as filters have it.
            limit: Most values to return.
            max_bytes: Most bytes of texts among the values; None for any number.
            stop: Ends the reading.
        """
        return self._reader.facet(self._compiled(wanted), field, limit, max_bytes, stop)

    def search_words(
        self,
        query: str,
        k: int,
        members: Int64s | None = None,
        stop: Stop = NEVER,
        clauses: WordClauses = _NO_CLAUSES,
    ) -> WordMatches:
        """Finds the `k` documents whose titles and texts fit the words of the query best, by BM25.

        Blocks for the disk; Tantivy works without the GIL. Sees every write acknowledged before.

        Args:
            query: Any text. A document that holds none of its words, and none of the required and
                optional clauses, is not found.
            k: At least 1.
            members: Keys of the only documents to find, from `matching`; None for all.
            stop: Ends the search.
            clauses: What else is asked of documents.

        Raises:
            InvalidQueryError: `k` breaks its rule, or a clause holds no word.
        """
        _check_k(k)
        return self._words.search(query, k, members, clauses, stop)

    def matching_words(
        self, clauses: WordClauses, members: Int64s | None = None, stop: Stop = NEVER
    ) -> Int64s:
        """Finds the keys of all documents that the required and excluded clauses admit; blocks.

        Args:
            clauses: Optional ones have no effect.
            members: Keys of the only documents to find, from `matching`; None for all.
            stop: Ends the search.

        Returns:
            Keys of the documents that hold all that is required and nothing that is excluded,
            int64 `[num_keys]`, ascending.

        Raises:
            InvalidQueryError: A clause holds no word.
        """
        matching = self._words.matching(clauses, stop)
        return matching if members is None else intersection(matching, members)

    def search(
        self,
        vectors: Float32s,
        k: int,
        members: Int64s | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> Future[Neighbours]:
        """Finds the `k` nearest vectors of each query; all of them where there are fewer.

        Their keys are those of their documents as long as `num_split` is 0; else
        `nearest_by_window` finds documents.

        Args:
            vectors: float32 `[num_queries, dimension]`; this method scales them for the metric.
            k: At least 1.
            members: Keys of the only vectors to find, int64 `[num_keys]`, ascending; None for all.
            breadth: How far an approximate index kind searches.
            stop: Lets the search leave the queue; the future raises `StoppedError` then.

        Raises:
            InvalidQueryError: A vector, `k` or the breadth breaks a rule.
        """
        _check_k(k)
        breadth.check()
        dimension = self.schema.dimension
        if vectors.ndim != 2 or vectors.shape[1] != dimension:
            raise InvalidQueryError(
                "vector",
                f"{vectors.shape[-1]:,} components given, the collection's dimension is "
                f"{dimension:,}",
                limit=dimension,
                value=vectors.shape[-1],
            )
        scaled = scale(
            np.ascontiguousarray(vectors, np.float32),
            self.schema.metric,
            lambda _, problem: InvalidQueryError("vector", problem),
        )
        return self._vectors.search(scaled, k, members, breadth, stop)

    def nearest_by_window(
        self,
        vector: Float32s,
        k: int,
        members: Int64s | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestDocuments:
        """Finds the `k` documents nearest to a query, those that are split by their best windows.

        Blocks. `search` finds the same where no document is split, and does not.

        Args:
            vector: float32 `[dimension]`.
            k: At least 1.
            members: Keys of the only documents to find, from `matching`; None for all.
            breadth: How far an approximate index kind searches.
            stop: Ends the search.

        Raises:
            InvalidQueryError: The vector, `k` or the breadth breaks a rule.
        """
        allowed = None if members is None else self._windows.vectors_of(members, stop)
        return self._windows.nearest(
            lambda count: wait_for(
                self.search(vector[None, :], count, allowed, breadth, stop), stop
            ),
            k,
            self.num_split,
            stop,
        )

    def num_split_among(self, documents: Int64s, stop: Stop = NEVER) -> int:
        """How many of some documents, keys int64 `[num_keys]`, are split; blocks."""
        return self._windows.of_documents(documents, stop)[1]

    def nearest_windows(
        self,
        vector: Float32s,
        documents: Int64s,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> Mapping[int, tuple[int, int]]:
        """Finds the window of each of some documents that is nearest to a query; blocks.

        Args:
            vector: float32 `[dimension]`.
            documents: Keys, int64 `[num_keys]`; those that are not split are left out.
            breadth: How far an approximate index kind searches.
            stop: Ends the search.

        Returns:
            Its first token in the passage and one past its last, by the document's key.

        Raises:
            InvalidQueryError: The vector or the breadth breaks a rule.
        """
        windows, num_split = self._windows.of_documents(documents, stop)
        if not num_split:
            return {}
        return self._windows.nearest(
            lambda count: wait_for(
                self.search(vector[None, :], count, windows, breadth, stop), stop
            ),
            num_split,
            num_split,
            stop,
        ).windows

    def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads what the second pass needs of documents found, int64 `[num_keys]`, in their order.

        Documents replaced or deleted since they were found are left out.
        """
        return self._reader.load(keys, stop)

    def fetch(
        self,
        keys: Int64s,
        fields: DocumentFields = _DEFAULT,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> dict[int, StoredDocument]:
        """Reads documents by key; documents replaced or deleted meanwhile are left out.

        Args:
            keys: int64 `[num_keys]`.
            fields: What to read of them.
            stop: Ends the reading.
            max_bytes: Most bytes that may be read: of ids and of the fields asked for, as they are
                stored; None for any number. Metadata is stored as JSON, of which a protobuf
                `Struct` makes up to six times as much.

        Raises:
            AnswerTooLargeError: The documents are larger than `max_bytes`, together or, as
                `DocumentTooLargeError`, one alone; found out before any is read.
        """
        return self._reader.fetch(keys, fields, stop, max_bytes)

    def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, as many with their fields as fit; leaves out those now gone.

        Args:
            keys: int64 `[num_keys]`, the most important first.
            fields: What to read of them.
            max_bytes: Most bytes to read, counted as `fetch` does.
            stop: Ends the reading.

        Returns:
            The documents by key, and the keys of those of which only the id was read: from the
            first on that would make more than `max_bytes`.
        """
        return self._reader.fetch_first(keys, fields, max_bytes, stop)

    def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields = _DEFAULT,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
        *,
        allow_missing: bool = False,
    ) -> list[StoredDocument]:
        """Reads documents by id, in the order of the ids.

        Args:
            ids: The ids.
            fields: What to read of them.
            stop: Ends the reading.
            max_bytes: Most bytes that may be read, counted as `fetch` does; None for any number.
            allow_missing: Whether to leave out ids that are not there.

        Raises:
            DocumentNotFoundError: Names the first id that is not there, unless it may be missing.
            AnswerTooLargeError: They are larger than `max_bytes`, together or one alone.
        """
        return self._reader.get(ids, fields, stop, max_bytes, allow_missing=allow_missing)

    def list_page(
        self,
        page_size: int,
        token: str = "",
        fields: DocumentFields = _DEFAULT,
        wanted: Filter = _EVERYTHING,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> DocumentPage:
        """Reads a page of documents.

        A document that stays is on exactly one page; a document replaced between two pages may be
        on both.

        Args:
            page_size: Most documents to read, at least 1.
            token: `next_page_token` of the page before; empty for the first.
            fields: What to read of each document.
            wanted: Which documents to list.
            stop: Ends the reading.
            max_bytes: Most bytes of one page, counted as `fetch` does; None for any number. A page
                ends early, with a token, where the next document would not fit.

        Raises:
            InvalidQueryError: The size is below 1, or the token belongs to another listing.
            DocumentTooLargeError: The first document of the page alone is larger than `max_bytes`.
        """
        if page_size < 1:
            raise InvalidQueryError(
                "page_size", f"must be at least 1, {page_size} given", limit=1, value=page_size
            )
        incarnation = self.sequence.incarnation
        after = key_before(token, incarnation, wanted)
        documents, last_key = self._reader.after(
            after, page_size, fields, self._compiled(wanted), stop, max_bytes
        )
        following = "" if last_key is None else page_token(incarnation, last_key, wanted)
        return DocumentPage(documents, following)

    def _compiled(self, wanted: Filter) -> SqlCondition:
        return compile_filter(wanted, self.schema.indexed_fields)

    def copy_into(self, path: Path, stop: Stop = NEVER) -> None:
        """Writes all documents, as they are at one moment, into a new SQLite file.

        Writes and searches go on meanwhile. The file is not synced.

        Raises:
            CollectionDamagedError: The collection is damaged, and so would be the copy.
        """
        self._damage.check_writable()
        self._reader.copy_into(path, stop)

    def flush_words(self) -> Future[None]:
        """Writes words from memory to disk now instead of when that is due.

        Raises:
            StorageError: Raised by the future: they could not be written.
        """
        return self._words.flush()

    def merge(self) -> Future[None]:
        """Merges the vector index now instead of when it is due, and saves it.

        Raises:
            StorageError: Raised by the future: a merge has failed.
        """
        return self._vectors.merge()

    @property
    def is_busy(self) -> bool:
        """Whether `close` would have to wait for writes, searches, a merge or flush, or a check."""
        return self._writer.is_busy or self._vectors.is_busy or self._words.is_busy

    @property
    def is_worth_saving(self) -> bool:
        """Whether closing it saves its vectors or words, which takes longer the more there are."""
        return self._vectors.is_worth_saving or self._words.is_worth_saving

    def close(self, *, discard: bool = False) -> None:
        """Finishes what was submitted, then closes the file. Idempotent.

        Args:
            discard: For a collection that is to be deleted: ends reads in progress and refuses what
                waits, with `CollectionClosedError`, and saves nothing.
        """
        with ExitStack() as last_first:
            last_first.callback(self._words.close, discard=discard)
            last_first.callback(self._vectors.close, discard=discard)
            # The last connection to close makes the checkpoint, which a reading one can't.
            last_first.callback(self._writer.close, discard=discard)
            last_first.callback(self._connections.close, discard=discard)
            last_first.callback(self._damage.close)


def _check_k(k: int) -> None:
    if k < 1:
        raise InvalidQueryError("retrieve.k", f"must be at least 1, {k} given", limit=1, value=k)
