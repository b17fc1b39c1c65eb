"""Brings files that older servers wrote to today's format, when they are opened."""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import apsw

from twopass.index.rows.rows import add_checksums, has_windows
from twopass.index.rows.tables import (
    VECTORS_OF_WINDOWS,
    add_field_indexes,
    add_vectors,
    drop_words,
    missing_list_indexes,
)
from twopass.index.schema import CollectionSchema

_LOG = logging.getLogger("twopass.index")


def migrate(connection: apsw.Connection, path: Path, schema: CollectionSchema) -> None:
    """Applies what a file lacks, in one transaction each: after a crash it is done or not begun.

    Raises:
        apsw.Error: It can't be read or written.
    """
    while (step := _STEPS.get(version := _format_version(connection))) is not None:
        began = time.perf_counter()
        _LOG.info("migrating", extra={"path": str(path), "from_format": version})
        with connection:
            step(connection, schema)
            connection.execute(
                "UPDATE meta SET value = ? WHERE name = 'format_version'", (version + 1,)
            )
        _LOG.info(
            "migrated",
            extra={
                "path": str(path),
                "to_format": version + 1,
                "milliseconds": round(1e3 * (time.perf_counter() - began), 1),
            },
        )

    if statements := missing_list_indexes(connection, schema):
        _LOG.info("indexing lists", extra={"path": str(path), "num_fields": len(statements)})
        with connection:
            for statement in statements:
                connection.execute(statement)


def _format_version(connection: apsw.Connection) -> int:
    row = connection.execute("SELECT value FROM meta WHERE name = 'format_version'").fetchone()
    return row[0] if row is not None and isinstance(row[0], int) else 0


def _to_2(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Format 2 indexes declared fields, and names what the vector index holds."""
    add_vectors(connection, schema)
    add_field_indexes(connection, schema)


def _to_3(connection: apsw.Connection, schema: CollectionSchema) -> None:  # noqa: ARG001
    """Format 3 has a checksum in every row; what is there now is taken for sound."""
    add_checksums(connection)


def _to_4(connection: apsw.Connection, schema: CollectionSchema) -> None:  # noqa: ARG001
    """Format 4 has windows for long documents alone, and no words: those have files of their own.

    What is in windows stays so. Their keys are of the documents' sequence now, and are moved beyond
    all those that documents have.

    The pages of the words are free for documents to come. Only VACUUM would make the file smaller,
    which writes all of it anew; a snapshot is written so, and so is what is restored from one.
    """
    drop_words(connection)
    if not has_windows(connection):
        return
    highest = connection.execute(
        "SELECT max(coalesce(max(seq), 0), (SELECT coalesce(max(key), 0) FROM windows)) "
        "FROM sqlite_sequence"
    ).get
    connection.execute("UPDATE windows SET key = key + ?", (highest,))
    connection.execute(
        "UPDATE sqlite_sequence SET seq = max(seq, (SELECT coalesce(max(key), 0) FROM windows))"
    )
    connection.execute("DROP VIEW vectors")
    connection.execute(VECTORS_OF_WINDOWS)


def _to_5(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Format 5 names an encoder by all that decides its embeddings, not by its weights alone.

    Which revision that is, only a server that holds the encoder knows: `keep_revision`. Servers of
    format 4 would take the revision for one of weights, so they must not open the file.
    """


def keep_revision(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Writes a schema whose encoder is known by another revision now, in one transaction.

    Raises:
        apsw.Error: It can't be written.
    """
    with connection:
        connection.execute("UPDATE meta SET value = ? WHERE name = 'schema'", (schema.to_json(),))


# By the format that they start from.
_STEPS: dict[int, Callable[[apsw.Connection, CollectionSchema], None]] = {
    1: _to_2,
    2: _to_3,
    3: _to_4,
    4: _to_5,
}
