"""Reads documents, on connections of its own beside the writer's."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s, Ragged
from twopass.index.database import open_for_reading, storage_errors
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import CollectionClosedError, DocumentNotFoundError, StorageError
from twopass.index.segments import Int64s

_BLOCK_ROWS = 4_096

# A column that is not asked for is never read from the disk: iif() is lazy.
_DOCUMENTS = """
SELECT documents.key, documents.id,
       iif(:text, title, NULL), iif(:text, text, NULL),
       iif(:metadata, metadata, NULL), iif(:vector, embedding, NULL)
FROM documents
"""


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

    def __init__(self, collection: str, path: Path) -> None:
        self._collection = collection
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._num_borrowed = 0
        self._closed = False
        self._changed = threading.Condition()

    def load(self, keys: Int64s) -> Candidates:
        """Loads ids and token ids by key, int64 `[num_keys]`, in the order of the keys."""
        with self._borrow() as connection:
            stored: list[Any] = connection.execute(
                "SELECT key, id, token_ids FROM documents "
                "WHERE key IN (SELECT value FROM json_each(?))",
                (json.dumps(keys.tolist()),),
            ).fetchall()
        found = {key: (document_id, token_ids) for key, document_id, token_ids in stored}
        rows = [row for row, key in enumerate(keys.tolist()) if key in found]
        loaded = [found[key] for key in keys[rows].tolist()]
        return Candidates(
            np.array(rows, np.intp),
            tuple(document_id for document_id, _ in loaded),
            _ragged([token_ids for _, token_ids in loaded]),
        )

    def fetch(self, keys: Int64s, fields: DocumentFields) -> dict[int, StoredDocument]:
        """Reads documents by key, int64 `[num_keys]`; those that are gone are left out."""
        documents = self._select(
            "WHERE key IN (SELECT value FROM json_each(:keys))",
            fields,
            keys=json.dumps(keys.tolist()),
        )
        return {document.key: document for document in documents}

    def get(self, ids: Sequence[str], fields: DocumentFields) -> list[StoredDocument]:
        """Reads documents by id, in the order of the ids.

        Raises:
            DocumentNotFoundError: Names the first id that is not there.
        """
        documents = self._select(
            "WHERE id IN (SELECT value FROM json_each(:ids))", fields, ids=json.dumps(list(ids))
        )
        found = {document.id: document for document in documents}
        for document_id in ids:
            if document_id not in found:
                raise DocumentNotFoundError(self._collection, document_id)
        return [found[document_id] for document_id in ids]

    def after(self, key: int, limit: int, fields: DocumentFields) -> list[StoredDocument]:
        """Reads at most `limit` documents with keys above `key`, ascending."""
        return self._select(
            "WHERE key > :after ORDER BY key LIMIT :limit", fields, after=key, limit=limit
        )

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

    def _select(self, which: str, fields: DocumentFields, **values: Any) -> list[StoredDocument]:
        wanted = {"text": fields.text, "metadata": fields.metadata, "vector": fields.vector}
        with self._borrow() as connection:
            stored: list[Any] = connection.execute(_DOCUMENTS + which, wanted | values).fetchall()
        return [
            StoredDocument(
                key=key,
                id=document_id,
                title=title,
                text=text,
                metadata=None if metadata is None else json.loads(metadata),
                vector=None if vector is None else np.frombuffer(vector, "<f4"),
            )
            for key, document_id, title, text, metadata, vector in stored
        ]

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
            with storage_errors(self._path):
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
        (key for (key,) in connection.execute("SELECT key FROM documents")), np.int64
    )
    keys.sort()
    return keys


def vector_blocks(
    connection: apsw.Connection, dimension: int, path: Path, after: int = 0
) -> Iterator[tuple[Int64s, Float32s]]:
    """Reads keys above `after`, ascending, and their embeddings, some thousand a time.

    Yields:
        Keys, int64 `[n]`, and embeddings, float32 `[n, dimension]`.

    Raises:
        StorageError: An embedding is damaged.
    """
    stored = connection.execute(
        "SELECT key, embedding FROM documents WHERE key > ? ORDER BY key", (after,)
    )
    while block := list(islice(stored, _BLOCK_ROWS)):
        for key, vector in block:
            if len(vector) != 4 * dimension:
                raise StorageError(
                    f"{path}: the embedding of key {key} has {len(vector):,} bytes instead of "
                    f"{4 * dimension:,}; restore it from a backup, or delete the collection"
                )
        joined = np.frombuffer(b"".join(vector for _, vector in block), "<f4")
        yield np.array([key for key, _ in block], np.int64), joined.reshape(-1, dimension)


def _ragged(rows: Sequence[bytes]) -> Ragged:
    offsets = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) // 4 for row in rows], out=offsets[1:])
    return Ragged(np.frombuffer(b"".join(rows), "<i4"), offsets)
