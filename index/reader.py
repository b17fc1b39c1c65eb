"""Reads documents, on connections of its own beside the writer's."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s, Ragged
from twopass.index.damage import Damage
from twopass.index.database import open_for_reading, storage_errors
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import CollectionClosedError, DocumentNotFoundError
from twopass.index.rows import Row, read_ids, read_rows
from twopass.index.segments import Int64s

_BLOCK_ROWS = 4_096


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the second pass needs of the documents it was asked to read.

    Attributes:
        rows: Which of the keys asked for are still there: indices into them, ascending,
            `[num_candidates]`. The others were replaced or deleted since they were found.
        ids: The documents' ids, `[num_candidates]`.
        token_ids: Their passages' tokens, a row for each.
    """

    rows: NDArray[np.intp]
    ids: tuple[str, ...]
    token_ids: Ragged


class DocumentReader:
    """Reads documents. Safe to call from several threads; each call blocks for the disk."""

    def __init__(self, collection: str, path: Path, damage: Damage) -> None:
        self._collection = collection
        self._damage = damage
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._num_borrowed = 0
        self._closed = False
        self._changed = threading.Condition()

    def load(self, keys: Int64s) -> Candidates:
        """Loads ids and token ids by key, int64 `[num_keys]`, in the order of the keys."""
        with self._borrow() as connection:
            found = self._token_ids(connection, keys.tolist())
        rows = [row for row, key in enumerate(keys.tolist()) if key in found]
        loaded = [found[key] for key in keys[rows].tolist()]
        return Candidates(
            np.array(rows, np.intp),
            tuple(document_id for document_id, _ in loaded),
            _ragged([token_ids for _, token_ids in loaded]),
        )

    def fetch(self, keys: Int64s, fields: DocumentFields) -> dict[int, StoredDocument]:
        """Reads documents by key, int64 `[num_keys]`; those gone or damaged are left out."""
        with self._borrow() as connection:
            rows = list(self._sound_rows(connection, keys.tolist()))
        return {row.key: _document(row, fields) for row in rows}

    def get(self, ids: Sequence[str], fields: DocumentFields) -> list[StoredDocument]:
        """Reads documents by id, in the order of the ids.

        Raises:
            DocumentNotFoundError: Names the first id that is not there.
            CollectionDamagedError: One of them is damaged.
        """
        with self._borrow() as connection:
            keys: dict[str, int] = dict(
                connection.execute(
                    "SELECT id, key FROM documents WHERE id IN (SELECT value FROM json_each(?))",
                    (json.dumps(list(ids)),),
                )
            )
            found = {row.key: row for row in self._sound_rows(connection, list(keys.values()))}
        for document_id in ids:
            if document_id not in keys:
                raise DocumentNotFoundError(self._collection, document_id)
            if keys[document_id] not in found:
                if document_id in self._damage.ids:
                    raise self._damage.error_of(document_id)
                return self.get(ids, fields)  # it was replaced between the two reads
        return [_document(found[keys[document_id]], fields) for document_id in ids]

    def after(self, key: int, limit: int, fields: DocumentFields) -> list[StoredDocument]:
        """Reads at most `limit` documents with keys above `key`, ascending; no damaged ones."""
        rows: list[Row] = []
        with self._borrow() as connection:
            while keys := self._keys_after(connection, key, limit - len(rows)):
                rows += sorted(self._sound_rows(connection, keys), key=lambda row: row.key)
                key = keys[-1]
        return [_document(row, fields) for row in rows]

    def copy_into(self, path: Path) -> None:
        """Writes all documents, as they are at one moment, into a new SQLite file.

        Writes and reads go on meanwhile; what is written later is not in the copy.
        """
        with self._borrow() as connection:
            connection.execute("VACUUM INTO ?", (str(path),))

    def close(self) -> None:
        """Waits for the reads in progress, and lets no other begin. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.wait_for(lambda: self._num_borrowed == 0)
            with storage_errors(self._path):
                while self._idle:
                    self._idle.pop().close()

    def _sound_rows(self, connection: apsw.Connection, keys: Sequence[int]) -> Iterator[Row]:
        """The rows of some keys, in no order; those that are damaged are noted and left out."""
        for row in read_rows(connection, keys):
            if isinstance(row, int):
                self._damage.note_document(read_ids(connection).get(row, str(row)))
            elif not row.is_sound:
                self._damage.note_document(str(row.id))
            else:
                yield row

    def _token_ids(
        self, connection: apsw.Connection, keys: Sequence[int]
    ) -> dict[int, tuple[str, bytes]]:
        """Ids and token ids by key; unchecked, since that would take the rest of the row too."""
        try:
            found: list[Any] = connection.execute(
                "SELECT key, id, token_ids FROM documents "
                "WHERE key IN (SELECT value FROM json_each(?))",
                (json.dumps(keys),),
            ).fetchall()
        except apsw.CorruptError:
            found = [(r.key, r.id, r.token_ids) for r in self._sound_rows(connection, keys)]
        return {key: (document_id, token_ids) for key, document_id, token_ids in found}

    def _keys_after(self, connection: apsw.Connection, key: int, limit: int) -> list[int]:
        try:
            found: list[Any] = connection.execute(
                "SELECT key FROM documents WHERE key > ? ORDER BY key LIMIT ?", (key, limit)
            ).fetchall()
        except apsw.CorruptError:
            return [k for k in sorted(read_ids(connection)) if k > key][:limit]
        return [k for (k,) in found]

    @contextmanager
    def _borrow(self) -> Iterator[apsw.Connection]:
        """A connection that nobody else uses meanwhile.

        Fetch all rows before giving it back: a statement left half read would hold its snapshot,
        and the next borrower would see the past.
        """
        with self._changed:
            if self._closed:
                raise CollectionClosedError(self._collection)
            self._num_borrowed += 1
            connection = self._idle.pop() if self._idle else None
        try:
            with storage_errors(self._path), self._damage.noted():
                connection = connection or open_for_reading(self._path)
                yield connection
        finally:
            with self._changed:
                self._num_borrowed -= 1
                if connection is not None:
                    self._idle.append(connection)
                self._changed.notify_all()


def all_keys(connection: apsw.Connection) -> Int64s:
    """All keys, ascending, int64 `[num_documents]`; read from the index of ids, not from rows."""
    keys = np.fromiter(
        (
            key
            for (key,) in connection.execute(
                "SELECT key FROM documents INDEXED BY sqlite_autoindex_documents_1"
            )
        ),
        np.int64,
    )
    keys.sort()
    return keys


def vector_blocks(
    connection: apsw.Connection, keys: Int64s, dimension: int, damage: Damage
) -> Iterator[tuple[Int64s, Float32s]]:
    """Reads the embeddings of some keys, some thousand a time; damaged ones are left out.

    Args:
        connection: On the documents.
        keys: Ascending, int64 `[num_keys]`.
        dimension: Components of an embedding.
        damage: Where damaged documents are noted.

    Yields:
        Keys, ascending, int64 `[n]`, and embeddings, float32 `[n, dimension]`.
    """
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = keys[start : start + _BLOCK_ROWS].tolist()
        sound: dict[int, bytes] = {}
        for row in read_rows(connection, block):
            if isinstance(row, Row) and row.is_sound and len(row.embedding) == 4 * dimension:
                sound[row.key] = row.embedding
        if missing := set(block) - sound.keys():
            ids = read_ids(connection)
            for key in sorted(missing):
                damage.note_document(ids.get(key, str(key)))
        if sound:
            kept = sorted(sound)
            joined = np.frombuffer(b"".join(sound[key] for key in kept), "<f4")
            yield np.array(kept, np.int64), joined.reshape(-1, dimension)


def _document(row: Row, fields: DocumentFields) -> StoredDocument:
    return StoredDocument(
        key=row.key,
        id=row.id,
        title=row.title.decode() if fields.text else None,
        text=row.text.decode() if fields.text else None,
        metadata=json.loads(row.metadata) if fields.metadata else None,
        vector=np.frombuffer(row.embedding, "<f4") if fields.vector else None,
    )


def _ragged(rows: Sequence[bytes]) -> Ragged:
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) // 4 for row in rows], out=offsets[1:])
    return Ragged(np.frombuffer(b"".join(rows), "<i4"), offsets)
