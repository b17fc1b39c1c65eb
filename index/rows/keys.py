"""Many keys at once: from SQLite as one text, since a row for each would take Python's GIL."""

import apsw
import numpy as np

from twopass.index.arrays import Int64s
from twopass.index.stopping import NEVER, Stop

ALL_KEYS = "coalesce(group_concat(key), '')"
"""SQL of the keys of all rows, as `read_keys` reads them: a million in a tenth of a second."""

_ALL_DOCUMENTS = f"SELECT {ALL_KEYS} FROM documents"

# NumPy holds the GIL while it reads: some 4 ms for so many, a tenth of a second for a million keys.
_BLOCK_CHARACTERS = 256 * 1024


def all_document_keys(connection: apsw.Connection) -> Int64s:
    """Keys of all documents, int64 `[num_documents]`, ascending."""
    return read_keys(connection.execute(_ALL_DOCUMENTS).get)


def read_keys(text: str, stop: Stop = NEVER) -> Int64s:
    """Reads keys from their decimals with commas between, int64 `[num_keys]`, ascending.

    Args:
        text: As SQLite joins them.
        stop: Ends the reading.

    Raises:
        StoppedError: The stop was set.
    """
    blocks = [np.empty(0, np.int64)]
    start = 0
    while start < len(text):
        stop.check()
        end = text.find(",", start + _BLOCK_CHARACTERS)
        end = end if end >= 0 else len(text)
        blocks.append(np.fromstring(text[start:end], np.int64, sep=","))
        start = end + 1
    keys = np.concatenate(blocks)
    if (keys[1:] < keys[:-1]).any():  # an index was read, not the table
        stop.check()
        keys.sort()
    return keys
