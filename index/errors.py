"""Everything a collection can raise.

::

    CollectionError                 the root: catching it catches all of them
    ├── InvalidInputError           the caller's input breaks a rule; `field` names where
    │   ├── InvalidSchemaError      a collection's name or schema
    │   ├── InvalidDocumentError    a document
    │   ├── InvalidAliasError       an alias: what it stands for, or its being given twice
    │   ├── InvalidRenameError      an alias in a collection's place, or the name it has
    │   ├── InvalidSettingsError    what is to be kept with a collection
    │   ├── InvalidFilterError      a test of a filter that its field can never pass
    │   ├── InvalidQueryError       a query's vector, k, a page's size or token
    │   └── MalformedSequenceError  a sequence that no collection ever gave out
    ├── CollectionNotFoundError     no collection has that name
    ├── CollectionExistsError       the name is taken
    │   └── AliasNameTakenError     an alias is to have it
    ├── AliasExistsError            the name is an alias
    ├── CollectionAliasedError      aliases stand for the collection
    ├── DocumentNotFoundError       no document has that id
    ├── DocumentsExistError         documents have those ids already
    ├── AnswerTooLargeError         the documents together are larger than one answer may be
    │   └── DocumentTooLargeError   one of them alone is
    ├── SnapshotNotFoundError       the collection has no snapshot of that name
    ├── SnapshotExistsError         it has one already
    ├── SnapshotsKeptError          snapshots of a deleted collection are kept under the name
    ├── StaleSequenceError          a sequence of another life of the collection
    ├── CollectionClosedError       deleted, or the store closed, before the call could be served
    ├── StoppedError                nobody needs the answer any more
    ├── LaneFullError               as much blocking work waits as may
    ├── CollectionsInUseError       as many collections as may be open are in use
    ├── UnsupportedByStoreError     this kind of store never does that
    └── StorageError                the disk or the store, or what is on it, does not allow it
        ├── CollectionDamagedError  documents of the collection are damaged on disk
        ├── SnapshotDamagedError    a snapshot is not what it was when it was made
        ├── FolderInUseError        another server holds the folder
        └── StoreUnreachableError   the store does not answer now
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

Fact: TypeAlias = str | int | float
"""What a message says in words, for the caller's program: the name of a collection, a limit."""

_MAX_NAMED = 10


class CollectionError(Exception):
    """A collection could not do what was asked of it.

    Attributes:
        facts: What the message says in words, for the caller's program, by name: "collection",
            "document", "snapshot", "field", "limit", "value".
    """

    facts: Mapping[str, Fact] = {}

    def __init__(self, message: str, **facts: Fact) -> None:
        super().__init__(message)
        self.facts = facts


class InvalidInputError(CollectionError):
    """The caller's input breaks a rule.

    Attributes:
        field: Where, as a path in the request: `documents[3].id`.
        problem: The rule, the value received, and the way out.
    """

    def __init__(self, field: str, problem: str, **facts: Fact) -> None:
        super().__init__(f"{field}: {problem}", field=field, **facts)
        self.field = field
        self.problem = problem


class InvalidSchemaError(InvalidInputError):
    """A collection can't be created with this name or schema."""


class InvalidDocumentError(InvalidInputError):
    """A document can't be stored as it is."""


class InvalidAliasError(InvalidInputError):
    """An alias can't stand for that, is given twice, or is one too many."""


class InvalidRenameError(InvalidInputError):
    """A collection can't be renamed by an alias, nor to the name that it has."""


class InvalidSettingsError(InvalidInputError):
    """A collection's settings can't be kept."""


class InvalidQueryError(InvalidInputError):
    """A query's vector, a k, a page's size or its token is none that can be answered."""


class InvalidFilterError(InvalidInputError):
    """A test of a filter can't pass any value of the type that the schema declares."""


class MalformedSequenceError(InvalidInputError):
    """A sequence token is none that any collection gave out."""

    def __init__(self, token: str) -> None:
        super().__init__(
            "min_sequence",
            f"{token!r} is no sequence; send one from a write's answer, unchanged",
            value=token,
        )


class CollectionNotFoundError(CollectionError):
    """No collection has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"collection {name!r} does not exist; ListCollections names those that do",
            collection=name,
        )


class CollectionExistsError(CollectionError):
    """The name is taken."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"collection {name!r} exists already; rename or delete it first, or choose another "
            "name",
            collection=name,
        )


class AliasExistsError(CollectionError):
    """The name is taken by an alias."""

    def __init__(self, alias: str, collection: str) -> None:
        super().__init__(
            f"{alias!r} is an alias of collection {collection!r}; remove the alias first or choose "
            "another name",
            collection=collection,
            alias=alias,
        )


class AliasNameTakenError(CollectionExistsError):
    """An alias can't have the name of a collection."""

    def __init__(self, name: str) -> None:
        CollectionError.__init__(
            self,
            f"collection {name!r} exists already, so that no alias can have its name; rename it "
            "with keep_alias, which makes its name an alias, or choose another alias",
            collection=name,
            alias=name,
        )


class CollectionAliasedError(CollectionError):
    """Aliases stand for the collection, so that it can't be deleted.

    Attributes:
        collection: Its own name.
        aliases: Those that are named.
    """

    def __init__(self, collection: str, aliases: Sequence[str]) -> None:
        named = ", ".join(map(repr, aliases[:_MAX_NAMED]))
        more = ", …" if len(aliases) > _MAX_NAMED else ""
        super().__init__(
            f"collection {collection!r} can't be deleted while it has aliases; switch them to "
            f"another or remove them, by UpdateAliases{': ' if named else ''}{named}{more}",
            collection=collection,
            aliases=", ".join(aliases),
        )
        self.collection = collection
        self.aliases = tuple(aliases)


class DocumentNotFoundError(CollectionError):
    """No document of the collection has that id.

    Attributes:
        id: The first one that is not there.
    """

    def __init__(self, collection: str, id: str) -> None:  # noqa: A002
        super().__init__(
            f"collection {collection!r} has no document {id!r}", collection=collection, document=id
        )
        self.id = id


class DocumentsExistError(CollectionError):
    """Documents of the collection have ids of documents that were to be new.

    Attributes:
        ids: All of these ids, in the order of the request.
    """

    def __init__(self, collection: str, ids: Sequence[str]) -> None:
        named = ", ".join(map(repr, ids[:_MAX_NAMED]))
        more = ", …" if len(ids) > _MAX_NAMED else ""
        super().__init__(
            f"documents: {len(ids):,} of their ids {'is' if len(ids) == 1 else 'are'} known to "
            f"collection {collection!r}, so nothing was written; let on_conflict skip or replace "
            f"them, or leave them out: {named}{more}",
            collection=collection,
            document=ids[0],
            value=len(ids),
        )
        self.ids = tuple(ids)


class AnswerTooLargeError(CollectionError):
    """The documents asked for are together larger than one answer may be.

    It is a size limit as that of a message, and is answered as one: RESOURCE_EXHAUSTED, without a
    time after which to try again, since the same call will never succeed.
    """

    def __init__(self, num_documents: int, num_bytes: int, max_bytes: int) -> None:
        super().__init__(
            f"{num_documents:,} documents have {num_bytes:,} bytes in the fields asked for, at "
            f"most {max_bytes:,} may be in one answer (max_answer_bytes); ask for fewer documents "
            "in one call, or for fewer fields",
            limit_name="max_answer_bytes",
            limit=max_bytes,
            value=num_bytes,
        )


class DocumentTooLargeError(AnswerTooLargeError):
    """A single document is larger than one answer may be.

    Attributes:
        id: The document's.
    """

    def __init__(self, id: str, num_bytes: int, max_bytes: int) -> None:  # noqa: A002
        CollectionError.__init__(
            self,
            f"document {id!r} has {num_bytes:,} bytes in the fields asked for, at most "
            f"{max_bytes:,} may be in one answer (max_answer_bytes); ask for fewer of its fields, "
            "or raise that limit",
            document=id,
            limit_name="max_answer_bytes",
            limit=max_bytes,
            value=num_bytes,
        )
        self.id = id


class SnapshotNotFoundError(CollectionError):
    """The collection has no snapshot of that name."""

    def __init__(self, collection: str, name: str) -> None:
        super().__init__(
            f"collection {collection!r} has no snapshot {name!r}; ListSnapshots names those it has",
            collection=collection,
            snapshot=name,
        )


class SnapshotExistsError(CollectionError):
    """The collection has a snapshot of that name already."""

    def __init__(self, collection: str, name: str) -> None:
        super().__init__(
            f"collection {collection!r} has a snapshot {name!r} already; delete it first or choose "
            "another name",
            collection=collection,
            snapshot=name,
        )


class SnapshotsKeptError(CollectionError):
    """Snapshots of a deleted collection are kept under the name that another is to have.

    Attributes:
        collection: The name.
    """

    def __init__(self, collection: str, snapshots: Sequence[str]) -> None:
        named = ", ".join(map(repr, snapshots[:_MAX_NAMED]))
        more = ", …" if len(snapshots) > _MAX_NAMED else ""
        super().__init__(
            f"new_name: snapshots of a deleted collection {collection!r} are kept and would mix "
            "with those of the renamed one; delete them by DeleteSnapshot, or choose another name: "
            f"{named}{more}",
            field="new_name",
            collection=collection,
            snapshot=snapshots[0],
        )
        self.collection = collection


class StaleSequenceError(CollectionError):
    """A sequence belongs to another life of the collection, so it can never be reached."""

    def __init__(self, collection: str, token: str) -> None:
        super().__init__(
            f"min_sequence: {token!r} is not of collection {collection!r} as it is now: it was "
            "deleted and created again, or restored from a copy; take a sequence from a new write",
            field="min_sequence",
            value=token,
            collection=collection,
        )


class CollectionClosedError(CollectionError):
    """The collection was deleted, or its store closed, before the call could be served."""

    def __init__(self, collection: str) -> None:
        super().__init__(
            f"collection {collection!r} was closed: it was deleted, or the server is stopping",
            collection=collection,
        )


class StoppedError(CollectionError):
    """Nobody needs the answer any more: its caller has gone, or the time for it is over."""

    def __init__(self) -> None:
        super().__init__("stopped: the time for it is over")


class LaneFullError(CollectionError):
    """As much blocking work of a kind waits as may.

    Attributes:
        retry_after: Seconds until there will likely be room.
    """

    def __init__(self, lane: str, max_waiting: int, retry_after: float) -> None:
        super().__init__(
            f"{lane}: {max_waiting:,} wait, which is the most; try again later",
            lane=lane,
            limit=max_waiting,
        )
        self.retry_after = retry_after


class CollectionsInUseError(CollectionError):
    """As many collections as may be open are in use, so that no other one can be opened.

    Attributes:
        retry_after: Seconds until one of them will likely be idle.
    """

    def __init__(self, max_open: int) -> None:
        super().__init__(
            f"collection: {max_open:,} are open and in use, at most {max_open:,} may be; try again "
            "later, or let the server open more by max-open-collections",
            limit_name="max_open_collections",
            limit=max_open,
        )
        self.retry_after = 0.5


class UnsupportedByStoreError(CollectionError):
    """The store that this server has its collections in never does what was asked.

    Attributes:
        store: Its kind, such as "milvus".
        feature: What it does not do.
    """

    def __init__(self, store: str, feature: str, way_out: str, field: str = "") -> None:
        """Names what is missing.

        Args:
            store: The kind of store.
            feature: What it lacks, as the subject of "is not supported by".
            way_out: What to do instead, after a semicolon.
            field: Where the request asks for it, as a path; "" for the call itself.
        """
        where = {"field": field} if field else {}
        named = f"{field}: " if field else ""
        super().__init__(
            f"{named}{feature}: not supported by the store {store}; {way_out}",
            store=store,
            feature=feature,
            **where,
        )
        self.store = store
        self.feature = feature


class StorageError(CollectionError):
    """The disk or the store, or what is on it, does not allow what was asked.

    Attributes:
        path: The file or folder, for the log: callers are not told what the server's disk looks
            like. Empty where the log has it already.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class CollectionDamagedError(StorageError):
    """Documents are damaged on disk: the collection is read-only, and they can't be read."""


class SnapshotDamagedError(StorageError):
    """A snapshot is not what it was when it was made."""


class FolderInUseError(StorageError):
    """Another server holds the data folder."""


class StoreUnreachableError(StorageError):
    """The store does not answer now.

    Attributes:
        store: Its kind, such as "postgresql".
        retry_after: Seconds until another try may succeed.
    """

    def __init__(self, store: str, problem: str, retry_after: float = 1.0) -> None:
        """Says what is wrong.

        Args:
            store: The kind of store.
            problem: What was met, for the log and the caller: no host, user or password.
            retry_after: Seconds until another try may succeed.
        """
        super().__init__(f"the store {store} can't be reached: {problem}; try again later")
        self.facts = {"store": store}
        self.store = store
        self.retry_after = retry_after
