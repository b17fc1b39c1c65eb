"""What a store of collections is to the server: the one interface of all first passes.

::

    Store        collections by name: made, found, listed, renamed, deleted, and their aliases
    Collection   one of them: what is written to it and read of it
    Retrieval    the use that one search makes of it: the lists it finds, what it reads of them

Four optional interfaces stand beside them: `SnapshotStore` of stores that copy collections,
`HybridRetrieval` of stores that find both lists in one round trip, `InspectableStore` of stores
that know without a round trip what they hold, `FeedbackStoreMaker` of stores that keep clicks and
judgements too.

Every `async` method runs on the server's event loop and never blocks it: what blocks is left to
threads or to another machine. Every `stop` ends the work soon after it is set, with `StoppedError`;
a change that has begun is completed all the same, unless its method says otherwise. Schemas,
documents, filters, results and errors are the plain types of this folder, the same for all stores.

What can't be done raises:

    UnsupportedByStoreError   this kind of store never does it; names the feature and the way out
    StoreUnreachableError     the store does not answer now; another try may succeed
    StorageError              the store, or what is in it, does not allow it
    LaneFullError             as much work of the kind waits as may
    CollectionNotFoundError   no collection has that name, or it was deleted meanwhile
    CollectionClosedError     the collection was deleted, or the store closed, during the call

and what a method names beside them.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, runtime_checkable

from twopass.engines.base import Float32s
from twopass.index.aliases import AliasChange, Aliases
from twopass.index.arrays import Int64s
from twopass.index.device_use import DeviceUse
from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict, StoredDocument
from twopass.index.facets import Facet
from twopass.index.feedback import FeedbackStore
from twopass.index.filters import Filter
from twopass.index.kinds import Breadth
from twopass.index.metadata import MetadataChange
from twopass.index.pages import DocumentPage
from twopass.index.passages import StoredPassages
from twopass.index.retrieved import BothLists, Expected, NearestList, WordList
from twopass.index.schema import CollectionSchema
from twopass.index.snapshot import Snapshot
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.word_query import WordClauses
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

_DEFAULT_FIELDS = DocumentFields()
_DEFAULT_BREADTH = Breadth()
_NO_CLAUSES = WordClauses()
_EVERYTHING = Filter()
_NOTHING_SAID = Expected()


class Members(Protocol):
    """The documents that may be found, in the form that their store searches by.

    Opaque to all others: keys of rows for one store, a compiled expression for another. Made by a
    `Collection`, and good for every retrieval of it, also of other calls' objects of the same
    collection.
    """


class Retrieval(Protocol):
    """The use that one search makes of a collection.

    Documents are named by keys, int64, which mean something within this retrieval alone: a store
    whose documents have no numbers counts what it finds. Every key that a method takes is one that
    a list of this retrieval has given out. Methods may run side by side.

    What was replaced or deleted since it was found may be left out of what is read later, or be
    read as it was when it was found; never is a document read in part as it was and in part as it
    is.
    """

    async def nearest(
        self,
        vector: Float32s,
        k: int,
        members: Members | None = None,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> NearestList:
        """Finds the `k` documents nearest to a query, those that are split by their best windows.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            k: At least 1.
            members: The only documents to find; None for all.
            breadth: How far an approximate index searches; a store that has no such measure
                ignores it.
            stop: Ends the search.

        Returns:
            Best first; all documents that may be found where there are fewer than `k`.

        Raises:
            InvalidQueryError: The vector, `k` or the breadth breaks a rule.
        """

    async def with_words(
        self,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        stop: Stop = NEVER,
    ) -> WordList:
        """Finds the `k` documents whose titles and texts fit the words of a query best, by BM25.

        Args:
            text: Any text, never syntax. A document that holds none of its words, and none of the
                required and optional clauses, is not found.
            k: At least 1.
            members: The only documents to find; None for all.
            clauses: What else is asked of documents.
            stop: Ends the search.

        Raises:
            InvalidQueryError: `k` breaks its rule, or a clause holds no word.
            UnsupportedByStoreError: The store has no such clauses.
        """

    async def similar(self, vector: Float32s, keys: Int64s, stop: Stop = NEVER) -> NearestList:
        """Orders given documents by their similarity to a query, with their nearest windows.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            keys: The documents, int64 `[num_keys]`; those gone meanwhile are left out.
            stop: Ends the search.
        """

    async def num_split_among(self, keys: Int64s, stop: Stop = NEVER) -> int:
        """How many of some documents, keys int64 `[num_keys]`, are split into windows."""

    async def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads what the second pass needs of documents, int64 `[num_keys]`, in their order.

        Documents gone since they were found are left out.
        """

    async def fetch(
        self, keys: Int64s, fields: DocumentFields = _DEFAULT_FIELDS, stop: Stop = NEVER
    ) -> dict[int, StoredDocument]:
        """Reads documents by key, int64 `[num_keys]`; those gone since are left out.

        The vector of a document is scaled for the metric, and None where the document is split.
        """

    async def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, as many with their fields as fit; leaves out those now gone.

        Args:
            keys: int64 `[num_keys]`, the most important first.
            fields: What to read of them.
            max_bytes: Most bytes to read: of ids and of the fields asked for, texts in UTF-8,
                metadata as JSON without spaces, vectors 4 bytes a component.
            stop: Ends the reading.

        Returns:
            The documents by key, and the keys of those of which only the id was read: from the
            first on that would make more than `max_bytes`.
        """


@runtime_checkable
class HybridRetrieval(Protocol):
    """A retrieval that finds both lists, and what will be read of them, in one round trip.

    It stands beside `Retrieval`: a search by both lists uses it as soon as its query is embedded,
    and `Retrieval.with_words` alone where the embedding is late or fails.
    """

    async def both(
        self,
        vector: Float32s,
        text: str,
        k: int,
        members: Members | None = None,
        clauses: WordClauses = _NO_CLAUSES,
        breadth: Breadth = _DEFAULT_BREADTH,
        stop: Stop = NEVER,
    ) -> BothLists:
        """Finds what `nearest`, `with_words` and `similar` find, `k` documents in either list.

        The required and excluded clauses bound both lists. What the retrieval was told to expect
        may come along, for `load` and `fetch` to answer from.

        Args:
            vector: float32 `[dimension]`; this method scales it for the metric.
            text: Any text, as `with_words` takes it.
            k: At least 1.
            members: The only documents to find; None for all.
            clauses: What else is asked of documents.
            breadth: How far an approximate index searches.
            stop: Ends the search.

        Raises:
            InvalidQueryError: The vector, `k`, the breadth or a clause breaks a rule.
            UnsupportedByStoreError: The store has no such clauses.
        """


class Collection(Protocol):
    """A collection. Properties tell what is known without asking the store.

    Filters that can't pass any value of their field's declared type raise `InvalidFilterError`;
    filters, fields and sizes that a store can't do raise `UnsupportedByStoreError`.
    """

    @property
    def name(self) -> str:
        """Its own name, not an alias; it may be renamed at any time."""

    @property
    def schema(self) -> CollectionSchema:
        """Its schema, which never changes."""

    @property
    def create_time(self) -> datetime:
        """When it was created, UTC."""

    @property
    def incarnation(self) -> str:
        """What all its sequences begin with, 32 hexadecimal digits: it tells lives apart."""

    @property
    def num_documents(self) -> int | None:
        """Documents that a search sees now; None where the store would have to be asked."""

    @property
    def may_be_split(self) -> bool:
        """Whether any document may be split into windows."""

    @property
    def settings(self) -> str:
        """What the server keeps with it, as of when it was acquired; "" for nothing.

        A text that means nothing to the store.
        """

    async def summary(self, stop: Stop = NEVER) -> CollectionSummary:
        """Describes the collection as it is now."""

    async def ensure_reached(self, sequence: str, stop: Stop = NEVER) -> None:
        """Makes sure that retrievals told of a sequence see the write that it acknowledged.

        A store that reads its own writes at once has nothing to wait for; another waits here, or
        lets the retrieval wait.

        Args:
            sequence: From the answer of a write.
            stop: Ends the waiting.

        Raises:
            MalformedSequenceError: `sequence` is not a sequence.
            StaleSequenceError: `sequence` belongs to another life of the collection.
        """

    def retrieval(self, expected: Expected = _NOTHING_SAID, min_sequence: str = "") -> Retrieval:
        """Begins the use of the collection by one search; takes no time.

        Args:
            expected: What the search will ask of the documents it finds.
            min_sequence: The state to be seen at least, one that `ensure_reached` has let pass; ""
                for any that is not older than every write acknowledged through this server.
        """

    async def members(self, wanted: Filter, stop: Stop = NEVER) -> Members:
        """The documents that pass a filter, for several lists of several searches to be bounded by.

        A store that searches by an expression only compiles it here.
        """

    async def members_with_words(
        self, clauses: WordClauses, members: Members | None = None, stop: Stop = NEVER
    ) -> Members:
        """The documents that the required and excluded clauses admit; optional ones do nothing.

        Args:
            clauses: The clauses.
            members: The only documents to admit; None for all.
            stop: Ends the search.

        Raises:
            InvalidQueryError: A clause holds no word.
            UnsupportedByStoreError: The store has no such clauses.
        """

    async def submit_upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
        places: Sequence[int] | None = None,
        stop: Stop = NEVER,
    ) -> Awaitable[UpsertResult]:
        """Checks documents, and takes their place in the order of this object's writes.

        Writes submitted to one object take effect in the order of their submission, so that of two
        that hold the same id the later one stays. They may be written together.

        Args:
            documents: The documents, all or none of which are written. Where there are none, what
                is awaited is the state that holds every write submitted before.
            on_conflict: What becomes of documents whose ids are known when their turn comes.
            places: Where each stands in the request, for error messages; None where they are all
                of it.
            stop: Ends the call before their place is taken; later it has no effect.

        Returns:
            What to await for the result: it comes when the documents are durable, and every search
            that begins later through this server finds them, and through others every search that
            names the sequence. It raises `DocumentsExistError` under `OnConflict.FAIL`. To stop
            waiting does not stop the write.

        Raises:
            InvalidDocumentError: A document breaks a rule; nothing is written.
        """

    async def delete(self, wanted: Filter, stop: Stop = NEVER) -> DeleteResult:
        """Deletes all documents that pass a filter when the deletion's turn comes.

        Returns when the deletion is durable, and no search that begins later finds the documents.

        Args:
            wanted: Which documents.
            stop: Ends the deletion before its turn and while documents are looked for: nothing is
                deleted then. Later it has no effect.
        """

    async def update_metadata(
        self, wanted: Filter, change: MetadataChange, stop: Stop = NEVER
    ) -> UpdateResult:
        """Changes the metadata of all documents that pass a filter, of all or of none.

        Returns when the new metadata is durable, and every search that begins later filters by it.

        Args:
            wanted: Which documents.
            change: What becomes of their metadata.
            stop: Ends the update before its turn and while documents are looked for: nothing is
                changed then. Later it has no effect.

        Raises:
            InvalidDocumentError: A document's metadata would break a rule.
        """

    async def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Finds those of some ids that documents have."""

    async def count(self, wanted: Filter, stop: Stop = NEVER) -> int:
        """Counts the documents that pass a filter, as they are at one moment."""

    async def facet(
        self,
        wanted: Filter,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a metadata field, as they are at one moment.

        Args:
            wanted: Which documents.
            field: The field's name, as filters have it.
            limit: Most values to return.
            max_bytes: Most bytes of texts among the values; None for any number.
            stop: Ends the reading.
        """

    async def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields = _DEFAULT_FIELDS,
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
            max_bytes: Most bytes that may be read, counted as `Retrieval.fetch_first` does; None
                for any number.
            allow_missing: Whether to leave out ids that are not there.

        Raises:
            DocumentNotFoundError: Names the first id that is not there, unless it may be missing.
            AnswerTooLargeError: They are larger than `max_bytes`, together or, as
                `DocumentTooLargeError`, one alone.
        """

    async def set_settings(self, settings: str, stop: Stop = NEVER) -> None:
        """Replaces the collection's settings, durably: after a crash they are the old or the new.

        They stay with the collection when it is renamed, and with its snapshots. Calls that acquire
        the collection later find them, through other servers too.

        Args:
            settings: Any text without U+0000; "" for none.
            stop: Ends the call before the change.

        Raises:
            InvalidSettingsError: They are larger than `MAX_SETTINGS_BYTES` in UTF-8, or hold a NUL.
        """

    async def list_page(
        self,
        page_size: int,
        token: str = "",
        fields: DocumentFields = _DEFAULT_FIELDS,
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
            max_bytes: Most bytes of one page, counted as `Retrieval.fetch_first` does; None for any
                number. A page ends early, with a token, where the next document would not fit.

        Raises:
            InvalidQueryError: The size is below 1, or the token belongs to another listing.
            DocumentTooLargeError: The first document of the page alone is larger than `max_bytes`.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Lease:
    """A collection in use.

    Attributes:
        collection: The collection.
        release: Ends the use. Idempotent; called on the event loop.
    """

    collection: Collection
    release: Callable[[], None]


class Store(Protocol):
    """Collections by name. A name that a method takes may be an alias, unless it says otherwise.

    The class of a store on other machines takes the store's URL alone: `PostgresStore(url)` in
    `index/postgres/store.py`, `MilvusStore(url)` in `index/milvus/store.py`. It raises `ValueError`
    where the URL is malformed, names the part and never a password, and connects in `start`.
    """

    @property
    def kind(self) -> str:
        """What it is, for messages and metrics: "sqlite", "postgresql", "milvus"."""

    @property
    def place(self) -> str:
        """Where it is, for logs and messages: a folder, or a URL without its password."""

    @property
    def default_index_kind(self) -> str:
        """The index kind of collections whose schema names none."""

    @property
    def problem(self) -> str:
        """Why the store can't be used now, for operators; "" as far as is known."""

    async def start(self) -> None:
        """Makes the store ready: connects, and brings what it finds to the current format.

        A store that does not answer now is no error: it connects when it can, `problem` says so
        meanwhile, and calls raise `StoreUnreachableError`.

        Raises:
            StorageError: What it finds can't be used, or it does not let this server in.
        """

    async def close(self) -> None:
        """Finishes what was submitted, then releases everything. Idempotent."""

    async def acquire(self, name: str, stop: Stop = NEVER) -> Lease:
        """Returns a collection, which stays usable until the lease is released."""

    async def summary(self, name: str, stop: Stop = NEVER) -> CollectionSummary:
        """Describes a collection."""

    async def summaries(
        self,
        may_use: Callable[[str], bool],
        *,
        after: str = "",
        limit: int | None = None,
        stop: Stop = NEVER,
    ) -> Sequence[CollectionSummary]:
        """Describes collections, by name; leaves out those that can't be read.

        Args:
            may_use: Tells of a collection's own name whether to describe it.
            after: Only collections whose names sort after this one, by code points.
            limit: Most collections; None for all.
            stop: Ends the reading.
        """

    async def create(
        self, name: str, schema: CollectionSchema, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Creates an empty collection: after a crash it is there whole, or not at all.

        Raises:
            InvalidSchemaError: The name is not a valid collection name, or the store has no such
                index kind; the message lists those it has.
            UnsupportedByStoreError: The store can't do what another field of the schema asks for.
            CollectionExistsError: The name is taken.
            AliasExistsError: The name is an alias.
        """

    async def delete(self, name: str, stop: Stop = NEVER) -> None:
        """Deletes a collection for good, by its own name.

        Calls that use it meanwhile end with `CollectionClosedError`.

        Raises:
            CollectionAliasedError: The collection has aliases; `name` may be one of them.
        """

    async def rename(
        self, name: str, new_name: str, *, keep_alias: bool = False, stop: Stop = NEVER
    ) -> CollectionSummary | None:
        """Gives a collection another name: after a crash it has either name, and its aliases.

        Calls that use it go on with it. Its aliases stay its own, and its sequences stay valid.

        Args:
            name: Its own name, not an alias.
            new_name: The name that it gets. An alias of this very collection may be it, and is then
                no alias any more.
            keep_alias: Whether `name` is an alias of it from then on, with no moment between.
            stop: Ends the call before the change.

        Returns:
            Its description; None where it can't be read, or was renamed or deleted since.

        Raises:
            InvalidSchemaError: The new name is not a valid collection name.
            InvalidRenameError: `name` is an alias, or the new name is the collection's already.
            CollectionExistsError: Another collection has the new name.
            AliasExistsError: The new name is an alias of another collection.
            InvalidAliasError: There would be too many aliases.
        """

    async def aliases(self, stop: Stop = NEVER) -> Aliases:
        """All aliases."""

    async def update_aliases(
        self,
        changes: Sequence[AliasChange],
        ensure_may_use: Callable[[str], None],
        stop: Stop = NEVER,
    ) -> Aliases:
        """Creates, switches and removes aliases, all or none, durably.

        Args:
            changes: The changes, each of a different alias; none changes nothing.
            ensure_may_use: Called with each collection that a changed alias has stood for; raises
                where the caller may not use it.
            stop: Ends the call before the change.

        Returns:
            All aliases after the changes.

        Raises:
            InvalidSchemaError: An alias is not a valid name.
            InvalidAliasError: An alias would stand for another alias or is changed twice, or there
                would be too many aliases.
            AliasNameTakenError: An alias has the name of a collection.
        """


@runtime_checkable
class FeedbackStoreMaker(Protocol):
    """A store that keeps the feedback on its collections too, for all servers on it.

    Feedback goes and moves with its collection, in the same step.
    """

    def feedback(self, *, max_rows: int, max_days: int) -> FeedbackStore:
        """What keeps it; asks nothing yet.

        Args:
            max_rows: Most clicks and judgements that are kept; the oldest leave.
            max_days: Days after which they are deleted; 0 for never.
        """


@runtime_checkable
class SnapshotStore(Protocol):
    """A store that keeps copies of collections, also of deleted ones."""

    async def create_snapshot(
        self, collection: str, name: str = "", stop: Stop = NEVER
    ) -> Snapshot:
        """Copies a collection as it is now; an empty `name` becomes the date and time.

        Raises:
            InvalidSchemaError: The name is not a valid name.
            SnapshotExistsError: The collection has a snapshot of that name.
        """

    async def list_snapshots(self, collection: str, stop: Stop = NEVER) -> tuple[Snapshot, ...]:
        """Returns the snapshots of a collection, given by its own name, oldest first."""

    async def delete_snapshot(self, collection: str, name: str, stop: Stop = NEVER) -> None:
        """Deletes a snapshot for good.

        Raises:
            SnapshotNotFoundError: The collection has no snapshot of that name.
        """

    async def restore(
        self, collection: str, snapshot: str, name: str, stop: Stop = NEVER
    ) -> CollectionSummary:
        """Makes a new collection of a snapshot.

        Args:
            collection: The name of the snapshot's collection.
            snapshot: The snapshot's name.
            name: The name of the new collection.
            stop: Ends the copying, and leaves nothing behind.

        Raises:
            InvalidSchemaError: The name is not a valid collection name.
            CollectionExistsError: The name is taken.
            AliasExistsError: The name is an alias.
            SnapshotNotFoundError: The collection has no snapshot of that name.
            SnapshotDamagedError: The snapshot is not what it was when it was made.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCounts:
    """What a store holds, as far as is known without asking it.

    Attributes:
        summaries: The collections described lately.
        num_known: Collections in all.
        num_open: Those that are open.
        num_failed: Those that could not be opened.
        num_opened: How often a collection has been opened since the start.
        num_closed: How often one has been closed to make room.
    """

    summaries: Sequence[CollectionSummary] = field(default=())
    num_known: int = 0
    num_open: int = 0
    num_failed: int = 0
    num_opened: int = 0
    num_closed: int = 0


@runtime_checkable
class InspectableStore(Protocol):
    """A store that knows without a round trip what it holds."""

    @property
    def num_vector_fallbacks(self) -> int:
        """How often, since the start, the CPU took over a collection's vectors from a GPU."""

    def counts(self) -> StoreCounts:
        """What it holds now. Takes no time; may be called from any thread."""


@runtime_checkable
class DeviceSearchingStore(Protocol):
    """A store whose vectors a GPU of this machine may search."""

    @property
    def device_use(self) -> DeviceUse:
        """What it has had of the GPU since the process began."""


def device_use(store: Store) -> DeviceUse:
    """What a store has had of a GPU; nothing where it has no such vectors."""
    return store.device_use if isinstance(store, DeviceSearchingStore) else DeviceUse()


def num_vector_fallbacks(store: Store) -> int:
    """How often the CPU took over from a GPU; 0 where the store has no such vectors."""
    return store.num_vector_fallbacks if isinstance(store, InspectableStore) else 0
