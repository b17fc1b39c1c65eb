"""Reads documents, on connections beside the writer's."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import Float32s, Ragged
from twopass.index.connections import ReadConnections
from twopass.index.documents import DocumentFields, StoredDocument
from twopass.index.errors import DocumentNotFoundError, StorageError
from twopass.index.filter_sql import SqlCondition
from twopass.index.vectors import Int64s

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

    def __init__(self, collection: str, connections: ReadConnections) -> None:
        self._collection = collection
        self._connections = connections

    def load(self, keys: Int64s) -> Candidates:
        """Loads ids and token ids by key, int64 `[num_keys]`, in the order of the keys."""
        with self._connections.borrow() as connection:
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

    def after(
        self, key: int, limit: int, fields: DocumentFields, condition: SqlCondition
    ) -> list[StoredDocument]:
        """Reads at most `limit` documents with keys above `key` that pass, ascending."""
        return self._select(
            f"WHERE key > :after AND ({condition.text}) ORDER BY key LIMIT :limit",
            fields,
            after=key,
            limit=limit,
            **condition.values,
        )

    def matching(self, condition: SqlCondition) -> Int64s:
        """Reads the keys of all documents that pass, int64 `[num_documents]`, ascending."""
        # As one text: a million rows would cost Python half a second under the GIL.
        select = f"SELECT coalesce(group_concat(key), '') FROM documents WHERE {condition.text}"
        with self._connections.borrow() as connection:
            found: list[Any] = connection.execute(select, condition.values).fetchall()
        ((keys,),) = found
        return np.sort(np.fromstring(keys, np.int64, sep=","))

    def _select(self, which: str, fields: DocumentFields, **values: Any) -> list[StoredDocument]:
        wanted = {"text": fields.text, "metadata": fields.metadata, "vector": fields.vector}
        with self._connections.borrow() as connection:
            stored: list[Any] = connection.execute(_DOCUMENTS + which, wanted | values).fetchall()
        return [
            StoredDocument(
                key=key,
                id=document_id,
                title=title,
                text=text,
                metadata=None if metadata is None else json.loads(metadata),
                vector=np.frombuffer(vector, "<f4") if vector else None,
            )
            for key, document_id, title, text, metadata, vector in stored
        ]


def vector_blocks(
    connection: apsw.Connection, dimension: int, path: Path
) -> Iterator[tuple[Int64s, Float32s]]:
    """Reads keys, int64 `[n]`, and embeddings, float32 `[n, dimension]`, some thousand a time.

    Raises:
        StorageError: An embedding is damaged.
    """
    stored = connection.execute("SELECT key, embedding FROM vectors ORDER BY key")
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
