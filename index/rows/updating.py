"""Changes the metadata of documents in place: their rows keep their keys."""

from collections.abc import Callable, Iterator, Sequence

import apsw

from twopass.index.arrays import Int64s
from twopass.index.rows.damage import Damage
from twopass.index.rows.rows import Row, checksum_of, read_ids, read_rows
from twopass.index.stopping import Stop

# Rows that are held at once, and that are changed before the stop is looked at again.
_BLOCK_ROWS = 256


def update_metadata(
    connection: apsw.Connection,
    keys: Int64s,
    change: Callable[[str, str], str],
    damage: Damage,
    stop: Stop,
) -> None:
    """Gives documents other metadata, inside a transaction.

    Args:
        connection: Of the writer.
        keys: The documents' keys, int64 `[num_keys]`.
        change: Takes a document's id and its metadata as JSON, returns the new metadata as JSON.
        damage: Notes a document that is not what was written: its checksum must not become right.
        stop: Ends the work between two blocks of rows.

    Raises:
        StoppedError: The stop was set; some rows are changed, so the transaction must not stand.
        CollectionDamagedError: A document is damaged; likewise.
    """
    for start in range(0, len(keys), _BLOCK_ROWS):
        stop.check()
        block = keys[start : start + _BLOCK_ROWS].tolist()
        connection.executemany(
            "UPDATE documents SET metadata = ?, checksum = ? WHERE key = ?",
            list(_changed(_sound_rows(connection, block, damage), change)),
        )


def _changed(
    rows: Iterator[Row], change: Callable[[str, str], str]
) -> Iterator[tuple[str, int, int]]:
    """New metadata, checksum and key of each row; rows that stay as they are are left out."""
    for row in rows:
        before = row.metadata.decode()
        metadata = change(row.id, before)
        if metadata != before:
            checksum = checksum_of(
                row.id, row.token_ids, row.embedding, row.title, row.text, metadata.encode()
            )
            yield metadata, checksum, row.key


def _sound_rows(connection: apsw.Connection, keys: Sequence[int], damage: Damage) -> Iterator[Row]:
    for row in read_rows(connection, keys):
        if isinstance(row, Row) and row.is_sound:
            yield row
            continue
        key, document_id = (row.key, str(row.id)) if isinstance(row, Row) else (row, None)
        document_id = document_id or read_ids(connection).get(key, str(key))
        damage.note_document(document_id)
        raise damage.error_of(document_id)
