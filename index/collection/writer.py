"""Writes documents one after another over one connection, with one COMMIT for all that wait."""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import apsw
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.collection.encoding import EncodedDocuments
from twopass.index.collection_name import CollectionName
from twopass.index.document_checks import changed_metadata
from twopass.index.documents import OnConflict
from twopass.index.errors import DocumentsExistError, StorageError
from twopass.index.lanes import Lane
from twopass.index.metadata import MetadataChange
from twopass.index.rows.damage import Damage
from twopass.index.rows.database import Identity, storage_errors, write_settings
from twopass.index.rows.filter_sql import SqlCondition
from twopass.index.rows.inserting import (
    delete_ids,
    delete_matching,
    find_matching,
    insert_rows,
    known_ids,
)
from twopass.index.rows.updating import update_metadata
from twopass.index.rows.window_rows import (
    count_split,
    delete_windows,
    document_keys,
    insert_windows,
)
from twopass.index.sequences import SequenceToken
from twopass.index.serial_queue import SerialQueue
from twopass.index.stopping import NEVER, Stop
from twopass.index.vectors.vector_index import VectorChange, VectorIndex
from twopass.index.words.encoding import EncodedWords
from twopass.index.words.word_index import WordChange, WordIndex
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

_LOG = logging.getLogger("twopass.index")

_MAX_GROUP = 256


@dataclass(frozen=True, slots=True, eq=False)
class _RowChange:
    """What a write did: which documents were removed, added and updated, and which vectors.

    Attributes:
        documents: Documents removed and added.
        split_removed: How many of those removed were split.
        split_added: How many of those added are split.
        removed: Keys that no vector has any more.
        added: Keys of the new vectors.
        vectors: The new vectors, float32 `[num_added_vectors, dimension]`.
        num_updated: Documents of which the metadata was to change.
        settings: The collection's new settings; None where they stay.
    """

    documents: WordChange
    split_removed: int
    split_added: int
    removed: list[int]
    added: list[int]
    vectors: Float32s
    num_updated: int = 0
    settings: str | None = None

    @property
    def num_removed(self) -> int:
        """How many documents were removed."""
        return len(self.documents.removed)

    @property
    def num_added(self) -> int:
        """How many documents were added."""
        return len(self.documents.keys)


@dataclass(frozen=True, slots=True, eq=False)
class Upsert:
    """Writes documents; `on_conflict` says what becomes of those whose ids are known."""

    collection: str
    documents: EncodedDocuments
    has_windows: bool
    on_conflict: OnConflict = OnConflict.REPLACE
    future: Future[UpsertResult] = field(default_factory=Future)

    def apply(self, connection: apsw.Connection, position: int) -> _RowChange:
        """Changes the table, inside a transaction.

        Raises:
            DocumentsExistError: An id is known, and none may be.
        """
        documents = self.documents
        replaced: list[int] = []
        if self.on_conflict is OnConflict.REPLACE:
            replaced = delete_ids(connection, documents.ids)
        elif known := known_ids(connection, documents.ids):
            if self.on_conflict is OnConflict.FAIL:
                raise DocumentsExistError(
                    self.collection, [one for one in documents.ids if one in known]
                )
            documents = documents.without(known)
        removed, split_removed = _without_windows(connection, replaced, self.has_windows)
        rows, windows, vectors = documents.rows, documents.windows, documents.vectors
        keys = document_keys(connection, windows)
        insert_rows(connection, position, keys, rows)
        split_added = sum(map(bool, windows))
        if split_added:
            insert_windows(connection, keys, windows)
        # Windows have the keys that their documents left free.
        added = list(range(keys[-1] - len(vectors) + 1, keys[-1] + 1)) if keys else []
        changed = _documents(replaced, keys, documents.words)
        return _RowChange(changed, split_removed, split_added, removed, added, vectors)

    def acknowledge(self, sequence: SequenceToken, change: _RowChange) -> None:
        """Resolves the future."""
        num_replaced = change.num_removed
        num_skipped = len(self.documents.rows) - change.num_added
        self.future.set_result(
            UpsertResult(
                sequence,
                change.num_added - num_replaced,
                num_replaced,
                num_skipped,
                change.split_added,
            )
        )


@dataclass(frozen=True, slots=True, eq=False)
class Delete:
    """Deletes the documents that pass a condition, unless it is stopped while they are found."""

    condition: SqlCondition
    dimension: int
    has_windows: bool
    stop: Stop = NEVER
    future: Future[DeleteResult] = field(default_factory=Future)

    def apply(self, connection: apsw.Connection, position: int) -> _RowChange:  # noqa: ARG002
        """Changes the table, inside a transaction."""
        deleted = delete_matching(connection, self.condition, self.stop)
        removed, split_removed = _without_windows(connection, deleted, self.has_windows)
        no_vectors = np.empty((0, self.dimension), np.float32)
        return _RowChange(_documents(deleted, [], None), split_removed, 0, removed, [], no_vectors)

    def acknowledge(self, sequence: SequenceToken, change: _RowChange) -> None:
        """Resolves the future."""
        self.future.set_result(DeleteResult(sequence, change.num_removed))


@dataclass(frozen=True, slots=True, eq=False)
class UpdateMetadata:
    """Changes the metadata of the documents that pass a condition, unless it is stopped.

    A document keeps its key, since its text and its vectors stay what they were: so neither the
    vectors nor the words are told.
    """

    condition: SqlCondition
    change: MetadataChange
    dimension: int
    damage: Damage
    stop: Stop = NEVER
    future: Future[UpdateResult] = field(default_factory=Future)

    def apply(self, connection: apsw.Connection, position: int) -> _RowChange:  # noqa: ARG002
        """Changes the table, inside a transaction.

        Raises:
            InvalidDocumentError: A document's metadata would break a rule.
        """
        keys = find_matching(connection, self.condition, self.stop)
        update_metadata(connection, keys, changed_metadata(self.change), self.damage, self.stop)
        no_vectors = np.empty((0, self.dimension), np.float32)
        nothing = _documents([], [], None)
        return _RowChange(nothing, 0, 0, [], [], no_vectors, num_updated=len(keys))

    def acknowledge(self, sequence: SequenceToken, change: _RowChange) -> None:
        """Resolves the future."""
        self.future.set_result(UpdateResult(sequence, change.num_updated))


@dataclass(frozen=True, slots=True, eq=False)
class SetSettings:
    """Replaces the collection's settings; documents stay as they are."""

    settings: str
    dimension: int
    future: Future[None] = field(default_factory=Future)

    def apply(self, connection: apsw.Connection, position: int) -> _RowChange:  # noqa: ARG002
        """Changes the table, inside a transaction."""
        write_settings(connection, self.settings)
        no_vectors = np.empty((0, self.dimension), np.float32)
        nothing = _documents([], [], None)
        return _RowChange(nothing, 0, 0, [], [], no_vectors, settings=self.settings)

    def acknowledge(self, sequence: SequenceToken, change: _RowChange) -> None:  # noqa: ARG002
        """Resolves the future."""
        self.future.set_result(None)


Write: TypeAlias = Upsert | Delete | UpdateMetadata | SetSettings


def _without_windows(
    connection: apsw.Connection, documents: list[int], has_windows: bool
) -> tuple[list[int], int]:
    """Deletes the windows of deleted documents.

    Returns:
        Keys that no vector has any more, and how many of the documents were split.
    """
    if not has_windows or not documents:
        return documents, 0
    windows, split = delete_windows(connection, documents)
    return [*documents, *windows], len(split)


@dataclass(frozen=True, slots=True, eq=False)
class _Committed:
    write: Write
    change: _RowChange
    sequence: SequenceToken


class Writer:
    """Applies writes in the order in which they come, and acknowledges them once on disk.

    All writes that wait together share one COMMIT, since only the COMMIT waits for the disk. Each
    has its own savepoint, so that a write that fails does not affect the others. Futures resolve
    after words and vectors have applied the writes: an acknowledged write is durable, and every
    search that begins later sees it.

    Attributes:
        num_documents: Documents that a search sees now.
        num_split: How many of them are split.
        settings: The collection's settings, those on disk.
    """

    def __init__(
        self,
        collection: CollectionName,
        connection: apsw.Connection,
        path: Path,
        identity: Identity,
        vectors: VectorIndex,
        words: WordIndex,
        damage: Damage,
        lane: Lane,
    ) -> None:
        self._damage = damage
        self._collection = collection
        self._connection = connection
        self._path = path
        self._sequence = identity.sequence
        self._is_closed = False
        self._vectors = vectors
        self._words = words
        self.num_documents = int(connection.execute("SELECT count(*) FROM documents").get)
        self.num_split = count_split(connection) if identity.schema.chunking else 0
        self.settings = identity.settings
        self._queue: SerialQueue[Write] = SerialQueue(
            collection, lane, self._work, max_group=_MAX_GROUP
        )

    @property
    def is_busy(self) -> bool:
        """Whether anything waits to be written, or is being written."""
        return self._queue.is_busy

    def submit(self, write: Write) -> None:
        """Queues a write; its future resolves when it is on disk and can be found."""
        self._queue.submit(write)

    def close(self, *, discard: bool = False) -> None:
        """Finishes what was submitted, then closes the connection. Idempotent.

        Args:
            discard: For a collection that is to be deleted: refuses what waits, and leaves the
                file's log as it is.
        """
        self._queue.close(discard=discard)
        with storage_errors(self._path, self._collection):
            if discard and not self._is_closed:
                self._connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._connection.close()
            self._is_closed = True

    def _work(self, group: list[Write]) -> None:
        self._damage.check_writable()
        try:
            with storage_errors(self._path, self._collection), self._damage.noted():
                committed = self._commit(group)
        except StorageError as error:
            _LOG.error(
                "write failed: %s",
                error,
                extra={"collection": str(self._collection), "path": str(self._path)},
            )
            raise
        if not committed:
            return
        # Words first: whoever sees the sequence, which is the vectors', sees them too.
        self._words.update(
            [done.change.documents for done in committed], committed[-1].sequence.position
        )
        # A search that sees a window must know that there are any.
        self.num_split += sum(done.change.split_added for done in committed)
        self._vectors.update(_joined(committed)).result()
        self.num_split -= sum(done.change.split_removed for done in committed)
        self.num_documents += sum(
            done.change.num_added - done.change.num_removed for done in committed
        )
        for done in committed:
            if done.change.settings is not None:
                self.settings = done.change.settings
            done.write.acknowledge(done.sequence, done.change)

    def _commit(self, group: list[Write]) -> list[_Committed]:
        """Commits a group of writes, except those that fail by themselves."""
        committed: list[_Committed] = []
        sequence = self._sequence
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for write in group:
                following = SequenceToken(sequence.incarnation, sequence.position + 1)
                change = self._attempt(write, following.position)
                if change is not None:
                    sequence = following
                    committed.append(_Committed(write, change, sequence))
            self._connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'position'", (sequence.position,)
            )
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._sequence = sequence
        return committed

    def _attempt(self, write: Write, position: int) -> _RowChange | None:
        """Applies one write; returns None if it failed, after its future got the error."""
        self._connection.execute("SAVEPOINT write")
        try:
            with storage_errors(self._path, self._collection):
                change = write.apply(self._connection, position)
        except Exception as error:
            if isinstance(error.__cause__, apsw.CorruptError):
                raise error.__cause__ from None  # no other write of the group may succeed either
            # After some errors, such as a full disk, SQLite has rolled back the whole group.
            if not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO write")
            write.future.set_exception(error)
            change = None
        self._connection.execute("RELEASE write")
        return change


def _documents(removed: list[int], added: list[int], words: EncodedWords | None) -> WordChange:
    return WordChange(np.array(removed, np.int64), np.array(added, np.int64), words)


def _joined(committed: Sequence[_Committed]) -> VectorChange:
    """The group as one change; keys that came and went within it cancel out."""
    removed = np.array([key for done in committed for key in done.change.removed], np.int64)
    keys = np.array([key for done in committed for key in done.change.added], np.int64)
    vectors = np.concatenate([done.change.vectors for done in committed])
    stays = np.isin(keys, removed, invert=True)
    return VectorChange(removed, keys[stays], vectors[stays], committed[-1].sequence)
