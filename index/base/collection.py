"""What a collection is to the server: what is written to it and read of it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from twopass.index.base.retrieval import Members, Retrieval
from twopass.index.documents import DocumentFields, IndexedDocument, OnConflict, StoredDocument
from twopass.index.facets import Facet
from twopass.index.filters import Filter
from twopass.index.metadata import MetadataChange
from twopass.index.pages import DocumentPage
from twopass.index.retrieved import Expected
from twopass.index.schema import CollectionSchema
from twopass.index.stopping import NEVER, Stop
from twopass.index.summary import CollectionSummary
from twopass.index.word_query import WordClauses
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

_DEFAULT_FIELDS = DocumentFields()
_EVERYTHING = Filter()
_NOTHING_SAID = Expected()


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
