"""Many documents in few statements.

Each statement that Python executes gives the GIL away and has to wait for it again. Two statements
a document made ingest a quarter slower, on two cores.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeAlias

import apsw

EncodedRow: TypeAlias = tuple[str, bytes, bytes, str, str, str, int]
"""Id, token ids, embedding, title, text, metadata, checksum."""

_COLUMNS = ("position", "id", "token_ids", "embedding", "title", "text", "metadata", "checksum")
# Whole chunks of the usual size; SQLite allows 32,766 values in a statement.
_ROWS_A_STATEMENT = 256


def delete_ids(connection: apsw.Connection, ids: Sequence[str]) -> list[int]:
    """Deletes documents by id, inside a transaction; returns the keys of those that were there."""
    deleted = connection.execute(
        "DELETE FROM documents WHERE id IN (SELECT value FROM json_each(?)) RETURNING key",
        (json.dumps(ids),),
    )
    return [key for (key,) in deleted]


def insert_rows(
    connection: apsw.Connection, position: int, rows: Sequence[EncodedRow]
) -> Iterator[int]:
    """Inserts documents, inside a transaction; yields their keys, in order.

    Args:
        connection: Of the writer.
        position: Of the write, in the collection's sequence.
        rows: Ids are distinct, and none of them is there.
    """
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        values = ", ".join([f"({', '.join('?' * len(_COLUMNS))})"] * len(some))
        connection.execute(
            f"INSERT INTO documents ({', '.join(_COLUMNS)}) VALUES {values}",
            tuple(chain.from_iterable((position, *row) for row in some)),
        )
        # AUTOINCREMENT gives each row of a statement the next key, for nobody else writes.
        last = connection.last_insert_rowid()
        yield from range(last - len(some) + 1, last + 1)
