"""Reads documents, on connections beside the writer's."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from twopass.engines.base.sequences import Ragged
from twopass.index.arrays import Int64s
from twopass.index.collection_name import CollectionName
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import (
    AnswerTooLargeError,
    DocumentNotFoundError,
    DocumentTooLargeError,
)
from twopass.index.facets import Facet
from twopass.index.passages import StoredPassages
from twopass.index.rows.connections import ReadConnections
from twopass.index.rows.damage import Damage
from twopass.index.rows.facet_sql import read_facet
from twopass.index.rows.filter_sql import SqlCondition
from twopass.index.rows.inserting import known_ids
from twopass.index.rows.keys import ALL_KEYS, read_keys
from twopass.index.rows.rows import Row, Size, read_ids, read_rows, read_sizes
from twopass.index.stopping import NEVER, Stop

# Rows that one statement reads: enough that it costs little, few enough to be held twice.
_BLOCK_ROWS = 64
# One row for all passages: each row of an answer takes Python's GIL, and waits for it.
_PASSAGES = (
    "SELECT coalesce(group_concat(key), ''), coalesce(group_concat(num_bytes), ''), "
    "json_group_array(id), coalesce(CAST(group_concat(token_ids, '') AS BLOB), x'') FROM ("
    "SELECT key, id, token_ids, coalesce(octet_length(token_ids), 0) AS num_bytes "
    "FROM documents WHERE key IN carray(?))"
)
_NO_KEYS = np.zeros(0, np.int64)


class DocumentReader:
    """Reads documents. Safe to call from several threads; each call blocks for the disk."""

    def __init__(
        self, collection: CollectionName, connections: ReadConnections, damage: Damage
    ) -> None:
        self._collection = collection
        self._connections = connections
        self._damage = damage

    def load(self, keys: Int64s, stop: Stop = NEVER) -> StoredPassages:
        """Loads ids and token ids by key, int64 `[num_keys]`, in the order of the keys."""
        if not len(keys):  # of none SQLite makes no table
            return StoredPassages(np.zeros(0, np.intp), (), _ragged(b"", _NO_KEYS))
        with self._connections.borrow(stop) as connection:
            found, ids, passages = self._passages(connection, keys, stop)
        if not len(found):
            return StoredPassages(np.zeros(0, np.intp), (), passages)
        ascending = np.argsort(found)
        places = np.searchsorted(found, keys, sorter=ascending)
        rows = ascending[np.minimum(places, len(found) - 1)]
        is_there = found[rows] == keys
        rows = rows[is_there].astype(np.int32)
        return StoredPassages(
            np.flatnonzero(is_there), tuple([ids[row] for row in rows.tolist()]), passages.at(rows)
        )

    def fetch(
        self,
        keys: Int64s,
        fields: DocumentFields,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> dict[int, StoredDocument]:
        """Reads documents by key, int64 `[num_keys]`; those gone or damaged are left out.

        Raises:
            AnswerTooLargeError: They are larger than `max_bytes`, together or one alone.
        """
        with self._connections.borrow(stop) as connection:
            if max_bytes is not None:
                _check_fit(self._sizes(connection, keys.tolist(), fields), max_bytes)
            return self._documents(connection, keys.tolist(), fields, stop)

    def fetch_first(
        self, keys: Int64s, fields: DocumentFields, max_bytes: int, stop: Stop = NEVER
    ) -> tuple[dict[int, StoredDocument], frozenset[int]]:
        """Reads documents by key, int64 `[num_keys]`, the first of them with what was asked for.

        Those gone or damaged are left out.

        Returns:
            The documents, and the keys of those of which only the id was read: from the first on
            that would make more than `max_bytes`.
        """
        with self._connections.borrow(stop) as connection:
            sizes = self._sizes(connection, keys.tolist(), fields)
            totals = np.cumsum([size.num_bytes for size in sizes])
            num_whole = int(np.searchsorted(totals, max_bytes, side="right"))
            found = self._documents(connection, keys[:num_whole].tolist(), fields, stop)
        bare = {size.key: _bare(size) for size in sizes[num_whole:] if size.id}
        return found | bare, frozenset(bare)

    def get(
        self,
        ids: Sequence[str],
        fields: DocumentFields,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
        *,
        allow_missing: bool = False,
    ) -> list[StoredDocument]:
        """Reads documents by id, in the order of the ids.

        Raises:
            DocumentNotFoundError: Names the first id that is not there, unless it may be missing.
            CollectionDamagedError: One of them is damaged.
            AnswerTooLargeError: They are larger than `max_bytes`, together or one alone.
        """
        with self._connections.borrow(stop) as connection:
            keys: dict[str, int] = dict(
                connection.execute(
                    "SELECT id, key FROM documents WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(ids)),),
                )
            )
            if max_bytes is not None:
                asked_for = [keys[document_id] for document_id in ids if document_id in keys]
                _check_fit(self._sizes(connection, asked_for, fields), max_bytes)
            found = self._documents(connection, list(keys.values()), fields, stop)
        for document_id in ids:
            if document_id not in keys:
                if not allow_missing:
                    raise DocumentNotFoundError(str(self._collection), document_id)
            elif keys[document_id] not in found:
                if document_id in self._damage.ids:
                    raise self._damage.error_of(document_id)
                # It was replaced between the two reads.
                return self.get(ids, fields, stop, max_bytes, allow_missing=allow_missing)
        return [found[keys[document_id]] for document_id in ids if document_id in keys]

    def known_ids(self, ids: Sequence[str], stop: Stop = NEVER) -> frozenset[str]:
        """Those of some ids that documents have, damaged ones included."""
        with self._connections.borrow(stop) as connection:
            return known_ids(connection, ids)

    def after(
        self,
        key: int,
        limit: int,
        fields: DocumentFields,
        condition: SqlCondition,
        stop: Stop = NEVER,
        max_bytes: int | None = None,
    ) -> tuple[list[StoredDocument], int | None]:
        """Reads the documents that follow a key and pass, ascending by key.

        Args:
            key: Of the document before the first.
            limit: Most documents to read, at least 1.
            fields: What to read of them.
            condition: Which documents pass.
            stop: Ends the reading.
            max_bytes: Most bytes of them in all, as they are stored; None for any number.

        Returns:
            The documents, and the key after which the reading goes on; None where nothing follows.

        Raises:
            DocumentTooLargeError: The first one alone is larger than `max_bytes`.
        """
        documents: list[StoredDocument] = []
        num_bytes = 0
        with self._connections.borrow(stop) as connection:
            while True:
                # One more than asked for tells whether others follow.
                num_left = limit - len(documents)
                keys = self._keys_after(connection, key, num_left + 1, condition, stop)
                some = keys[:num_left]
                if max_bytes is not None:
                    sizes = self._sizes(connection, some, fields)
                    totals = num_bytes + np.cumsum([size.num_bytes for size in sizes])
                    some = some[: int(np.searchsorted(totals, max_bytes, side="right"))]
                    if sizes and not some and not documents:
                        raise DocumentTooLargeError(sizes[0].id, sizes[0].num_bytes, max_bytes)
                    num_bytes = int(totals[len(some) - 1]) if some else num_bytes
                found = self._documents(connection, some, fields, stop)
                documents += (found[passing] for passing in some if passing in found)
                key = some[-1] if some else key
                if len(keys) == len(some):
                    return documents, None
                # Damaged ones were left out, so that a page may have room for more.
                if len(documents) == limit or len(some) < min(len(keys), num_left):
                    return documents, key

    def matching(self, condition: SqlCondition, stop: Stop = NEVER) -> Int64s:
        """Reads the keys of all documents that pass, int64 `[num_documents]`, ascending."""
        select = f"SELECT {ALL_KEYS} FROM documents WHERE {condition.text}"
        with self._connections.borrow(stop) as connection:
            try:
                found: list[Any] = connection.execute(select, condition.values).fetchall()
            except apsw.CorruptError:
                return np.array(list(self._passing(connection, 0, condition, stop)), np.int64)
        ((keys,),) = found
        return read_keys(keys, stop)

    def count(self, condition: SqlCondition, stop: Stop = NEVER) -> int:
        """Counts the documents that pass."""
        select = f"SELECT count(*) FROM documents WHERE {condition.text}"
        with self._connections.borrow(stop) as connection:
            try:
                number: Any = connection.execute(select, condition.values).get
            except apsw.CorruptError:
                return sum(1 for _ in self._passing(connection, 0, condition, stop))
            return int(number)

    def facet(
        self,
        condition: SqlCondition,
        field: str,
        limit: int,
        max_bytes: int | None = None,
        stop: Stop = NEVER,
    ) -> Facet:
        """Reads the values of a metadata field among the documents that pass."""
        with self._connections.borrow(stop) as connection:
            try:
                return read_facet(connection, condition, field, limit, max_bytes)
            except apsw.CorruptError:
                is_readable = f"({condition.text}) AND json_type(metadata) = 'object'"
                readable = SqlCondition(is_readable, condition.values)
                keys = np.fromiter(self._passing(connection, 0, readable, stop), np.int64)
                among = SqlCondition("FALSE", {})
                if len(keys):  # of none SQLite makes no table
                    among = SqlCondition("key IN carray(:keys)", {"keys": apsw.carray(keys)})
                return read_facet(connection, among, field, limit, max_bytes)

    def copy_into(self, path: Path, stop: Stop = NEVER) -> None:
        """Writes all documents, as they are at one moment, into a new SQLite file.

        Writes and reads go on meanwhile; what is written later is not in the copy.
        """
        with self._connections.borrow_for_one(stop) as connection:
            connection.execute("VACUUM INTO ?", (str(path),))

    def _documents(
        self,
        connection: apsw.Connection,
        keys: Sequence[int],
        fields: DocumentFields,
        stop: Stop,
    ) -> dict[int, StoredDocument]:
        """Documents by key; those that are gone or damaged are left out."""
        return {
            row.key: _document(row, fields)
            for start in range(0, len(keys), _BLOCK_ROWS)
            for row in self._sound_rows(connection, keys[start : start + _BLOCK_ROWS], stop)
        }

    def _sound_rows(
        self, connection: apsw.Connection, keys: Sequence[int], stop: Stop
    ) -> Iterator[Row]:
        """The rows of some keys, in no order; those that are damaged are noted and left out."""
        unreadable: list[int] = []
        for row in read_rows(connection, keys):
            stop.check()
            if isinstance(row, int):
                unreadable.append(row)
            elif not row.is_sound:
                self._damage.note_document(str(row.id))
            else:
                yield row
        if unreadable:
            ids = read_ids(connection)
            for key in unreadable:
                self._damage.note_document(ids.get(key, str(key)))

    def _sizes(
        self, connection: apsw.Connection, keys: Sequence[int], fields: DocumentFields
    ) -> list[Size]:
        """Sizes of documents by key, in the order of the keys; SQLite reads no texts for them.

        What is gone, or can't be read at all, has no bytes.
        """
        columns = ["id"]
        columns += ("title", "text") if fields.text else ()
        columns += ("metadata",) if fields.metadata else ()
        columns += ("embedding",) if fields.vector else ()
        found = {size.key: size for size in read_sizes(connection, keys, columns)}
        return [found.get(key) or Size(key, "", 0) for key in keys]

    def _passages(
        self, connection: apsw.Connection, keys: Int64s, stop: Stop
    ) -> tuple[Int64s, list[str], Ragged]:
        """Keys, ids and token ids of those documents that are there, in no order.

        They are unchecked, since that would take the rest of the row too.
        """
        try:
            found: list[Any] = connection.execute(_PASSAGES, (apsw.carray(keys),)).fetchall()
            ((of_rows, num_bytes, ids, token_ids),) = found
            sizes = np.fromstring(num_bytes, np.int64, sep=",") if of_rows else _NO_KEYS
            if not (sizes % 4).any():
                there = np.fromstring(of_rows, np.int64, sep=",") if of_rows else _NO_KEYS
                return there, json.loads(ids), _ragged(token_ids, sizes)
        except apsw.CorruptError:
            pass
        rows = list(self._sound_rows(connection, keys.tolist(), stop))
        sound = np.array([len(row.token_ids) for row in rows], np.int64)
        return (
            np.array([row.key for row in rows], np.int64),
            [row.id for row in rows],
            _ragged(b"".join(row.token_ids for row in rows), sound),
        )

    def _keys_after(
        self,
        connection: apsw.Connection,
        key: int,
        limit: int,
        condition: SqlCondition,
        stop: Stop,
    ) -> list[int]:
        try:
            found: list[Any] = connection.execute(
                f"SELECT key FROM documents WHERE key > :after AND ({condition.text}) "
                "ORDER BY key LIMIT :limit",
                {"after": key, "limit": limit, **condition.values},
            ).fetchall()
        except apsw.CorruptError:
            return list(islice(self._passing(connection, key, condition, stop), limit))
        return [k for (k,) in found]

    def _passing(
        self, connection: apsw.Connection, after: int, condition: SqlCondition, stop: Stop
    ) -> Iterator[int]:
        """Keys above one that pass, ascending, each looked at alone: some rows can't be read."""
        ids = read_ids(connection)
        keys = np.fromiter(ids, np.int64, len(ids))
        keys.sort()
        select = f"SELECT key FROM documents WHERE key = :one AND ({condition.text})"
        for key in map(int, keys[np.searchsorted(keys, after, side="right") :]):
            stop.check()
            try:
                passes = connection.execute(select, {"one": key, **condition.values}).fetchall()
            except apsw.CorruptError:
                self._damage.note_document(ids[key])
                continue
            if passes:
                yield key


def _check_fit(sizes: Sequence[Size], max_bytes: int) -> None:
    """Makes sure that documents fit into one answer.

    Raises:
        AnswerTooLargeError: They don't, together or one alone.
    """
    for size in sizes:
        if size.num_bytes > max_bytes:
            raise DocumentTooLargeError(size.id, size.num_bytes, max_bytes)
    if (total := sum(size.num_bytes for size in sizes)) > max_bytes:
        raise AnswerTooLargeError(len(sizes), total, max_bytes)


def _bare(size: Size) -> StoredDocument:
    return StoredDocument(
        key=size.key, id=size.id, title=None, text=None, metadata=None, vector=None
    )


def _document(row: Row, fields: DocumentFields) -> StoredDocument:
    as_json = fields.metadata_as_json
    return StoredDocument(
        key=row.key,
        id=row.id,
        title=row.title.decode() if fields.text else None,
        text=row.text.decode() if fields.text else None,
        metadata=json.loads(row.metadata) if fields.metadata and not as_json else None,
        vector=np.frombuffer(row.embedding, "<f4") if fields.vector and row.embedding else None,
        metadata_json=row.metadata.decode() if fields.metadata and as_json else None,
    )


def _ragged(token_ids: bytes, num_bytes: Int64s) -> Ragged:
    """Rows of so many bytes each, end to end."""
    offsets = np.zeros(len(num_bytes) + 1, np.int32)
    np.cumsum(num_bytes // 4, out=offsets[1:])
    return Ragged(np.frombuffer(token_ids, "<i4"), offsets)
