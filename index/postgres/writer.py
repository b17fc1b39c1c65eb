"""Writes: one transaction each, one after another within a collection, whoever writes.

A write first locks its collection's row of the catalogue, and keeps the lock until it is committed:
so writes of one collection never deadlock, positions ascend in the order of the commits, and every
number of the row fits the tables. What can be computed without the lock is computed before.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from twopass.index.document_checks import changed_metadata
from twopass.index.documents import OnConflict
from twopass.index.errors import CollectionClosedError, DocumentsExistError
from twopass.index.metadata import MetadataChange
from twopass.index.postgres.connections import Connections, until_stopped
from twopass.index.postgres.encoding import MAX_COUNT, EncodedDocument, without
from twopass.index.postgres.filter_sql import Bindings, CompiledFilter
from twopass.index.postgres.stored_texts import restored, restored_json, stored_json
from twopass.index.postgres.tables import Tables
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop
from twopass.index.writes import DeleteResult, UpdateResult, UpsertResult

T = TypeVar("T")

# Rows whose metadata is held at once.
_BLOCK_ROWS = 1_000

_DOCUMENTS = (
    "key",
    "id",
    "title",
    "text",
    "metadata",
    "metadata_bytes",
    "token_ids",
    "num_windows",
    "atoms",
)
_VECTORS = ("document", "first_token", "end_token", "embedding")
_TERMS = ("key", "length", "kept_length", "terms", "counts")


@dataclass(slots=True)
class _Counters:
    """A collection's row of the catalogue while it is locked.

    Attributes:
        sequence: The state before the write, then with it.
        last_key: The highest key given.
        num_documents: Change of the number of documents.
        num_split: Change of how many of them are split.
        num_vectors: Change of the number of vectors.
        num_terms: Change of the number of terms in all.
    """

    sequence: SequenceToken
    last_key: int
    num_documents: int = 0
    num_split: int = 0
    num_vectors: int = 0
    num_terms: int = 0


class Writer:
    """Applies writes to one collection, in the order in which they are submitted to this object."""

    def __init__(
        self,
        connections: Connections,
        schema: str,
        tables: Tables,
        collection: int,
        incarnation: str,
    ) -> None:
        """Takes what it writes to.

        Args:
            connections: Of the store.
            schema: The store's schema in the database.
            tables: The collection's.
            collection: The collection's number.
            incarnation: The collection's.
        """
        self._connections = connections
        self._schema = schema
        self._tables = tables
        self._collection = collection
        self._incarnation = incarnation
        self._turn = asyncio.Lock()  # first come, first served
        self._under_way: set[asyncio.Task[Any]] = set()

    def upsert(
        self, name: str, documents: Sequence[EncodedDocument], on_conflict: OnConflict
    ) -> Awaitable[UpsertResult]:
        """Submits documents; to stop waiting for the result does not stop the write.

        Args:
            name: The collection's name, for errors.
            documents: Distinct; with none, the result is the state after the writes before.
            on_conflict: What becomes of documents whose ids are known.
        """

        async def write(connection: Any) -> UpsertResult:
            return await self._upsert(connection, name, documents, on_conflict)

        return self._submitted(self._in_turn(write, NEVER, name))

    async def delete(self, name: str, wanted: CompiledFilter, stop: Stop) -> DeleteResult:
        """Deletes the documents that pass a filter, unless it is stopped before they are found."""

        async def write(connection: Any) -> DeleteResult:
            counters = await self._lock(connection, name)
            bindings = Bindings()
            condition = wanted.sql(bindings)
            keys = await self._deleted(connection, counters, condition, bindings)
            await self._finish(connection, counters)
            return DeleteResult(counters.sequence, len(keys))

        return await asyncio.shield(self._submitted(self._in_turn(write, stop, name)))

    async def update_metadata(
        self, name: str, wanted: CompiledFilter, change: MetadataChange, stop: Stop
    ) -> UpdateResult:
        """Changes the metadata of the documents that pass a filter, unless it is stopped.

        Raises:
            InvalidDocumentError: A document's metadata would break a rule; nothing is changed.
        """
        changed = changed_metadata(change)

        async def write(connection: Any) -> UpdateResult:
            counters = await self._lock(connection, name)
            number = await self._update(connection, wanted, changed)
            await self._finish(connection, counters)
            return UpdateResult(counters.sequence, number)

        return await asyncio.shield(self._submitted(self._in_turn(write, stop, name)))

    @property
    def is_busy(self) -> bool:
        """Whether a write waits or is under way."""
        return bool(self._under_way)

    async def finish(self) -> None:
        """Waits for every write that was submitted."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _submitted(self, write: Awaitable[T]) -> "asyncio.Task[T]":
        task = asyncio.ensure_future(write)
        assert isinstance(task, asyncio.Task)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits is told; where nobody does, nothing is logged

    async def _in_turn(self, write: Callable[[Any], Awaitable[T]], stop: Stop, name: str) -> T:
        # One write at a time holds a connection while it waits for another server's.
        await until_stopped(self._turn.acquire(), stop)
        try:
            return await self._connections.change(write, stop, name)
        finally:
            self._turn.release()

    async def _lock(self, connection: Any, name: str) -> _Counters:
        """Waits for the writes before, of all servers, and counts this one.

        Raises:
            CollectionClosedError: The collection was deleted.
        """
        row = await connection.fetchrow(
            # Whatever the role's default is, what is acknowledged is on disk.
            "SELECT position, last_key, CASE current_setting('synchronous_commit') "
            "WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END "
            f"FROM {self._schema}.collections "
            "WHERE id = $1 AND incarnation = $2 AND NOT is_deleted FOR NO KEY UPDATE",
            self._collection,
            self._incarnation,
        )
        if row is None:
            raise CollectionClosedError(name)
        return _Counters(SequenceToken(self._incarnation, row["position"] + 1), row["last_key"])

    async def _finish(self, connection: Any, counters: _Counters) -> None:
        await connection.execute(
            f"UPDATE {self._schema}.collections SET position = $2, last_key = $3, "
            "num_documents = num_documents + $4, num_split = num_split + $5, "
            "num_terms = num_terms + $6, num_vectors = num_vectors + $7 WHERE id = $1",
            self._collection,
            counters.sequence.position,
            counters.last_key,
            counters.num_documents,
            counters.num_split,
            counters.num_terms,
            counters.num_vectors,
        )

    async def _upsert(
        self,
        connection: Any,
        name: str,
        documents: Sequence[EncodedDocument],
        on_conflict: OnConflict,
    ) -> UpsertResult:
        counters = await self._lock(connection, name)
        if not documents:
            sequence = SequenceToken(self._incarnation, counters.sequence.position - 1)
            return UpsertResult(sequence, 0, 0)
        ids = [one.id for one in documents]
        bindings = Bindings()
        condition = f"id = ANY({bindings.add(ids, 'text[]')})"
        num_given, num_replaced = len(documents), 0
        if on_conflict is OnConflict.REPLACE:
            replaced = await self._deleted(connection, counters, condition, bindings)
            num_replaced = len(replaced)
        else:
            known = await self._known(connection, ids)
            if known and on_conflict is OnConflict.FAIL:
                raise DocumentsExistError(name, [one for one in ids if one in known])
            documents = without(documents, known)
        await self._insert(connection, counters, documents)
        await self._finish(connection, counters)
        return UpsertResult(
            counters.sequence,
            len(documents) - num_replaced,
            num_replaced,
            num_given - len(documents),
            sum(one.is_split for one in documents),
        )

    async def _known(self, connection: Any, ids: Sequence[str]) -> frozenset[str]:
        records = await connection.fetch(
            f"SELECT id FROM {self._tables.documents} WHERE id = ANY($1)", ids
        )
        return frozenset(record["id"] for record in records)

    async def _deleted(
        self, connection: Any, counters: _Counters, condition: str, bindings: Bindings
    ) -> list[int]:
        """Deletes documents with all that is theirs; returns their keys."""
        tables = self._tables
        records = await connection.fetch(
            f"DELETE FROM {tables.documents} WHERE {condition} RETURNING key, num_windows",
            *bindings.values,
        )
        keys = [record["key"] for record in records]
        if not keys:
            return keys
        await connection.execute(f"DELETE FROM {tables.vectors} WHERE document = ANY($1)", keys)
        length = await connection.fetchval(
            f"WITH gone AS (DELETE FROM {tables.terms} WHERE key = ANY($1) "
            "RETURNING length, terms), "
            "counted AS (SELECT term, count(*) AS number FROM gone, unnest(terms) AS term "
            f"GROUP BY term), lowered AS (UPDATE {tables.vocabulary} AS known "
            "SET num_holders = num_holders - number FROM counted WHERE known.id = counted.term) "
            "SELECT sum(length) FROM gone",
            keys,
        )
        counters.num_documents -= len(keys)
        counters.num_split -= sum(record["num_windows"] > 0 for record in records)
        counters.num_vectors -= sum(max(1, record["num_windows"]) for record in records)
        counters.num_terms -= int(length or 0)
        return keys

    async def _insert(
        self, connection: Any, counters: _Counters, documents: Sequence[EncodedDocument]
    ) -> None:
        if not documents:
            return
        keys = range(counters.last_key + 1, counters.last_key + 1 + len(documents))
        numbered = list(zip(keys, documents, strict=True))
        numbers = await self._numbers(connection, documents)
        for table, columns, rows in (
            (
                self._tables.documents,
                _DOCUMENTS,
                [(key, one.id, *one.columns) for key, one in numbered],
            ),
            (
                self._tables.vectors,
                _VECTORS,
                [(key, *vector) for key, one in numbered for vector in one.vectors],
            ),
            (
                self._tables.terms,
                _TERMS,
                [
                    (key, one.length, one.kept_length, *_terms_of(one, numbers))
                    for key, one in numbered
                ],
            ),
        ):
            schema, _, name = table.partition(".")
            await connection.copy_records_to_table(
                name, schema_name=schema, columns=columns, records=rows
            )
        counters.last_key = keys[-1]
        counters.num_documents += len(documents)
        counters.num_split += sum(one.is_split for one in documents)
        counters.num_vectors += sum(len(one.vectors) for one in documents)
        counters.num_terms += sum(one.length for one in documents)

    async def _numbers(
        self, connection: Any, documents: Sequence[EncodedDocument]
    ) -> dict[str, int]:
        """The numbers of all terms of documents, which are counted as their holders."""
        holders: Counter[str] = Counter()
        for one in documents:
            holders.update(one.terms.keys())
        vocabulary = self._tables.vocabulary
        records = await connection.fetch(
            "WITH given AS MATERIALIZED ("
            "SELECT * FROM unnest($1::text[], $2::bigint[]) AS given(term, number)), "
            f"raised AS (UPDATE {vocabulary} AS known SET num_holders = num_holders + number "
            "FROM given WHERE known.term = given.term RETURNING known.term, id), "
            f"added AS (INSERT INTO {vocabulary} (term, num_holders) "
            "SELECT term, number FROM given "
            f"WHERE NOT EXISTS (SELECT FROM {vocabulary} AS known WHERE known.term = given.term) "
            "RETURNING term, id) "
            "SELECT term, id FROM raised UNION ALL SELECT term, id FROM added",
            list(holders.keys()),
            list(holders.values()),
        )
        return {record["term"]: record["id"] for record in records}

    async def _update(
        self,
        connection: Any,
        wanted: CompiledFilter,
        changed: Callable[[str, str], str],
    ) -> int:
        documents = self._tables.documents
        bindings = Bindings()
        condition = wanted.sql(bindings)
        keys = [
            record["key"]
            for record in await connection.fetch(
                f"SELECT key FROM {documents} WHERE {condition} ORDER BY key", *bindings.values
            )
        ]
        for start in range(0, len(keys), _BLOCK_ROWS):
            block = await connection.fetch(
                f"SELECT key, id, metadata::text FROM {documents} WHERE key = ANY($1)",
                keys[start : start + _BLOCK_ROWS],
            )
            after = []
            for record in block:
                before = restored_json(record["metadata"])
                metadata = changed(restored(record["id"]), before)
                if metadata != before:
                    after.append((record["key"], stored_json(metadata), len(metadata.encode())))
            if after:
                await connection.execute(
                    f"UPDATE {documents} AS known SET metadata = new.metadata, "
                    "metadata_bytes = new.bytes "
                    "FROM unnest($1::bigint[], $2::jsonb[], $3::integer[]) "
                    "AS new(key, metadata, bytes) WHERE known.key = new.key",
                    *map(list, zip(*after, strict=True)),
                )
        return len(keys)


def _terms_of(document: EncodedDocument, numbers: dict[str, int]) -> tuple[list[int], bytes]:
    """The numbers of a document's terms, ascending, and how often each occurs."""
    ids = np.fromiter((numbers[term] for term in document.terms), np.int64, len(document.terms))
    counts = np.fromiter(document.terms.values(), np.int64, len(document.terms))
    order = np.argsort(ids)
    kept = np.minimum(counts[order], MAX_COUNT).astype(np.uint8)
    return ids[order].tolist(), kept.tobytes()
