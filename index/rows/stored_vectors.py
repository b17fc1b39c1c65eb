"""All vectors of a collection, read from its rows: of whole documents, or of their windows."""

from collections.abc import Iterator, Mapping
from itertools import chain

import apsw
import numpy as np

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.rows.damage import Damage
from twopass.index.rows.rows import (
    has_windows,
    read_ids,
    read_rows,
    read_window_documents,
    read_window_rows,
)

_BLOCK_ROWS = 4_096


def vector_keys(connection: apsw.Connection) -> Int64s:
    """Keys of all vectors, ascending, int64 `[num_vectors]`; read from indexes, not from rows."""
    keys = np.fromiter((key for (key,) in connection.execute("SELECT key FROM vectors")), np.int64)
    keys.sort()
    return keys


def vector_blocks(
    connection: apsw.Connection, keys: Int64s, dimension: int, damage: Damage
) -> Iterator[tuple[Int64s, Float32s]]:
    """Reads vectors by key, some thousand a time; damaged ones are left out.

    Args:
        connection: On the documents.
        keys: Ascending, int64 `[num_keys]`.
        dimension: Components of a vector.
        damage: Where the documents of damaged ones are noted.

    Yields:
        Keys, ascending, int64 `[n]`, and vectors, float32 `[n, dimension]`.
    """
    of_windows = read_window_documents(connection) if has_windows(connection) else {}
    for start in range(0, len(keys), _BLOCK_ROWS):
        block = keys[start : start + _BLOCK_ROWS].tolist()
        sound: dict[int, bytes] = {}
        whole = [key for key in block if key not in of_windows]
        windows = [key for key in block if key in of_windows]
        for row in chain(
            read_rows(connection, whole) if whole else (),
            read_window_rows(connection, windows) if windows else (),
        ):
            if not isinstance(row, int) and row.is_sound and len(row.embedding) == 4 * dimension:
                sound[row.key] = row.embedding
        if missing := set(block) - sound.keys():
            _note(connection, missing, of_windows, damage)
        if sound:
            kept = sorted(sound)
            joined = np.frombuffer(b"".join(sound[key] for key in kept), "<f4")
            yield np.array(kept, np.int64), joined.reshape(-1, dimension)


def _note(
    connection: apsw.Connection, keys: set[int], of_windows: Mapping[int, int], damage: Damage
) -> None:
    """Notes the documents of damaged vectors, given each window's document."""
    ids = read_ids(connection)
    for key in sorted(keys):
        document = of_windows.get(key, key)
        damage.note_document(ids.get(document, str(document)))
