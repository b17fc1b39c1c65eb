"""Windows of split documents, in rows of their own, and the keys of vectors."""

import zlib
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any, TypeAlias

import apsw
import numpy as np

EncodedWindow: TypeAlias = tuple[int, int, bytes]
"""First token in the passage, one past the last, embedding."""

_INSERT = "INSERT INTO windows (key, document, first_token, end_token, embedding, checksum) VALUES "
# SQLite allows 32,766 values in a statement.
_ROWS_A_STATEMENT = 256


def document_keys(connection: apsw.Connection, windows: Sequence[Sequence[object]]) -> list[int]:
    """Chooses keys for new documents, inside a transaction.

    Keys ascend and are never given twice. A document that is split takes as many as it has windows,
    of which the last is its own.

    Args:
        connection: Of the writer.
        windows: The windows of each document; empty for one that is not split.
    """
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'documents'").get or 0
    return list(accumulate((max(1, len(own)) for own in windows), initial=last))[1:]


def insert_windows(
    connection: apsw.Connection,
    documents: Sequence[int],
    windows: Sequence[Sequence[EncodedWindow]],
) -> None:
    """Writes the windows of new documents, inside a transaction.

    Args:
        connection: Of the writer.
        documents: The documents' keys, from `document_keys`.
        windows: The windows of each; empty for one that is not split.
    """
    rows = [
        (key - len(own) + 1 + i, key, first, end, embedding, zlib.crc32(embedding))
        for key, own in zip(documents, windows, strict=True)
        for i, (first, end, embedding) in enumerate(own)
    ]
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        values = ", ".join(["(?, ?, ?, ?, ?, ?)"] * len(some))
        connection.execute(_INSERT + values, tuple(chain.from_iterable(some)))


def delete_windows(
    connection: apsw.Connection, documents: Sequence[int]
) -> tuple[list[int], set[int]]:
    """Deletes the windows of documents by key, inside a transaction.

    Returns:
        The windows' keys, and the keys of the documents that had any.
    """
    deleted: list[Any] = connection.execute(
        "DELETE FROM windows WHERE document IN carray(?) RETURNING key, document",
        (apsw.carray(np.array(documents, np.int64)),),
    ).fetchall()
    return [key for key, _ in deleted], {document for _, document in deleted}


def count_split(connection: apsw.Connection) -> int:
    """How many documents are split; read from an index."""
    count: int = connection.execute("SELECT count(DISTINCT document) FROM windows").get
    return count
