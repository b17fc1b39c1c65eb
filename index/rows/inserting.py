"""Many documents in few statements.

Each statement that Python executes gives the GIL away and has to wait for it again. Two statements
a document made ingest a quarter slower, on two cores.
"""

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

import apsw

from twopass.index.arrays import Int64s
from twopass.index.errors import StoppedError
from twopass.index.rows.filter_sql import SqlCondition
from twopass.index.rows.keys import ALL_KEYS, read_keys
from twopass.index.stopping import Stop

EncodedRow: TypeAlias = tuple[str, bytes, bytes, str, str, str, int]
"""Id, token ids, embedding, title, text, metadata, checksum."""

_COLUMNS = (
    "key",
    "position",
    "id",
    "token_ids",
    "embedding",
    "title",
    "text",
    "metadata",
    "checksum",
)
# Whole chunks of the usual size; SQLite allows 32,766 values in a statement.
_ROWS_A_STATEMENT = 256
# Of SQLite's virtual machine: at most some 10 ms. Each look takes Python's GIL.
_INSTRUCTIONS_BETWEEN_LOOKS = 10_000


def known_ids(connection: apsw.Connection, ids: Sequence[str]) -> frozenset[str]:
    """Those of some ids that documents have."""
    found = connection.execute(
        "SELECT id FROM documents WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(ids)),),
    )
    return frozenset(document_id for (document_id,) in found)


def delete_ids(connection: apsw.Connection, ids: Sequence[str]) -> list[int]:
    """Deletes documents by id, inside a transaction; returns the keys of those that were there."""
    deleted = connection.execute(
        "DELETE FROM documents WHERE id IN (SELECT value FROM json_each(?)) RETURNING key",
        (json.dumps(ids),),
    )
    return [key for (key,) in deleted]


def delete_matching(connection: apsw.Connection, condition: SqlCondition, stop: Stop) -> list[int]:
    """Deletes the documents that pass, inside a transaction; returns their keys.

    Args:
        connection: Of the writer.
        condition: Which documents.
        stop: Ends the look for them; once they are found, all are deleted.

    Raises:
        StoppedError: The stop was set; nothing is deleted, and the transaction goes on.
    """
    keys = find_matching(connection, condition, stop)
    if len(keys):
        connection.execute("DELETE FROM documents WHERE key IN carray(?)", (apsw.carray(keys),))
    deleted: list[int] = keys.tolist()
    return deleted


def find_matching(connection: apsw.Connection, condition: SqlCondition, stop: Stop) -> Int64s:
    """Finds the documents that pass, inside a transaction; returns their keys, ascending.

    Raises:
        StoppedError: The stop was set; the transaction goes on.
    """
    stop.check()
    # An interruption of a statement that writes would roll back what others wrote before it.
    connection.set_progress_handler(lambda: stop.is_set, _INSTRUCTIONS_BETWEEN_LOOKS)
    try:
        select = f"SELECT {ALL_KEYS} FROM documents WHERE {condition.text}"
        found: list[Any] = connection.execute(select, condition.values).fetchall()
    except (apsw.InterruptError, apsw.SQLError) as error:
        if stop.is_set:  # SQLError, where it was still preparing json_each
            raise StoppedError from error
        raise
    finally:
        connection.set_progress_handler(None)
    ((text,),) = found
    return read_keys(text, stop)


def insert_rows(
    connection: apsw.Connection, position: int, keys: Sequence[int], rows: Sequence[EncodedRow]
) -> None:
    """Inserts documents, inside a transaction.

    Args:
        connection: Of the writer.
        position: Of the write, in the collection's sequence.
        keys: The documents' keys, from `document_keys`.
        rows: Ids are distinct, and none of them is there.
    """
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        some = rows[start : start + _ROWS_A_STATEMENT]
        values = ", ".join([f"({', '.join('?' * len(_COLUMNS))})"] * len(some))
        connection.execute(
            f"INSERT INTO documents ({', '.join(_COLUMNS)}) VALUES {values}",
            tuple(
                chain.from_iterable(
                    (key, position, *row)
                    for key, row in zip(keys[start : start + len(some)], some, strict=True)
                )
            ),
        )
