"""The tables of a collection's SQLite file."""

import apsw

from twopass.index.documents import MAX_METADATA_DEPTH
from twopass.index.field_names import parse_field_name
from twopass.index.rows.field_sql import has_list_on_the_way, plain_value
from twopass.index.schema import CollectionSchema, FieldType

# AUTOINCREMENT never gives a key twice: one that is deleted can't come to mean another text.
# Columns stand in the order in which they are needed: the second pass reads the beginning of a row,
# and SQLite has to walk to the end of a long one.
_DOCUMENTS = """
CREATE TABLE documents (
  key INTEGER PRIMARY KEY AUTOINCREMENT,  -- a new one for every version of a document
  id TEXT NOT NULL UNIQUE,
  position INTEGER NOT NULL,              -- of the write that brought this version
  token_ids BLOB NOT NULL,                -- little-endian int32, without special tokens
  embedding BLOB NOT NULL,                -- little-endian float32; empty if the document is split
  title TEXT NOT NULL,
  text TEXT NOT NULL,
  metadata TEXT NOT NULL,                 -- a JSON object
  checksum INTEGER NOT NULL               -- of the columns above, but for key and position
) STRICT;
CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
"""

# A document that is split has an embedding for each of its windows, and no other. The last window
# has the document's key, and those before it the keys below: so all vectors have ascending keys of
# one sequence, and a whole document's vector has the document's.
_WINDOWS = """
CREATE TABLE windows (
  key INTEGER PRIMARY KEY,
  document INTEGER NOT NULL,              -- its key
  first_token INTEGER NOT NULL,           -- of the passage, from 0
  end_token INTEGER NOT NULL,             -- one past the last
  embedding BLOB NOT NULL,                -- little-endian float32
  checksum INTEGER NOT NULL               -- of the embedding
) STRICT;
CREATE INDEX windows_of_document ON windows (document);
"""

VECTORS_OF_WINDOWS = """
CREATE VIEW vectors AS
  SELECT key, embedding FROM documents WHERE key NOT IN (SELECT document FROM windows)
  UNION ALL SELECT key, embedding FROM windows;
"""
"""SQL of the view of all vectors where documents may be split."""

_WHOLE_DOCUMENTS = "CREATE VIEW vectors AS SELECT key, embedding FROM documents"

# What formats 2 and 3 kept words in; words have files of their own now.
_DROP_WORDS = """
DROP TRIGGER IF EXISTS words_of_inserted;
DROP TRIGGER IF EXISTS words_of_deleted;
DROP TABLE IF EXISTS vocabulary;
DROP TABLE IF EXISTS passages;
"""


def create_tables(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Creates all tables, empty, inside a transaction."""
    connection.execute(_DOCUMENTS)
    add_vectors(connection, schema)
    add_field_indexes(connection, schema)


def add_vectors(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Creates the view of all that the vector index holds, inside a transaction."""
    connection.execute(_WINDOWS + VECTORS_OF_WINDOWS if schema.chunking else _WHOLE_DOCUMENTS)


def drop_words(connection: apsw.Connection) -> None:
    """Removes the words that older servers kept in the file, inside a transaction."""
    connection.execute(_DROP_WORDS)


def add_field_indexes(connection: apsw.Connection, schema: CollectionSchema) -> None:
    """Indexes the declared metadata fields of all documents, inside a transaction."""
    for position, indexed in enumerate(schema.indexed_fields):
        found = plain_value(indexed.field)
        connection.execute(
            f"CREATE INDEX field_{position} ON documents ({found.kind}, {found.value})"
        )
        if indexed.type == FieldType.TIME:
            connection.execute(
                f"CREATE INDEX field_{position}_time ON documents ({found.kind}, {found.time})"
            )
    for create in missing_list_indexes(connection, schema):
        connection.execute(create)


def missing_list_indexes(connection: apsw.Connection, schema: CollectionSchema) -> list[str]:
    """Statements for indexes that a file lacks which a server without paths through lists wrote.

    They are over which documents have a list before a declared field's last key. A server of the
    format's first version keeps them up to date too, so the format's number is the same.
    """
    names = "SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'documents'"
    there = {name for (name,) in connection.execute(names)}
    missing = []
    for position, indexed in enumerate(schema.indexed_fields):
        keys = parse_field_name(indexed.field)
        name = f"field_{position}_lists"
        if 1 < len(keys) <= MAX_METADATA_DEPTH and name not in there:
            has_list = has_list_on_the_way(keys)
            missing.append(f"CREATE INDEX {name} ON documents ({has_list}) WHERE {has_list} = 1")
    return missing
