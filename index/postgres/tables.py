"""The tables of one collection, and their indexes.

::

    documents_<id>    a row a document: what it holds, its token ids, its words in order
    vectors_<id>      a row a vector: one a document, or one a window of a split document
    terms_<id>        a row a document: its terms by their numbers, and how often each occurs
    vocabulary_<id>   a row a term: its number, and how many documents hold it

A version of a document has a key that no other version ever has. Rows of terms are narrow, so that
scoring some thousand documents reads few pages; the index over them answers which documents hold
any of some terms.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from twopass.index.postgres.connections import Extensions
from twopass.index.postgres.declared_fields import declared_fields
from twopass.index.postgres.kinds import VectorKind
from twopass.index.schema import CollectionSchema

# Rows of a table are at most one page long unless their longest columns are stored elsewhere, which
# makes comparing with every vector several times slower.
_MAX_INLINE_BYTES = 7_800
# An array of more bytes is no `tsvector`: of such a text every word is looked for by reading it.
_MAX_LEXEMES_BYTES = 500_000

_DOCUMENTS = """
CREATE TABLE {documents} (
  key bigint PRIMARY KEY,
  id text COLLATE "C" NOT NULL,
  title text NOT NULL,
  text text NOT NULL,
  metadata jsonb NOT NULL,
  metadata_bytes integer NOT NULL,     -- as JSON without spaces
  token_ids bytea NOT NULL,            -- little-endian int32, without special tokens
  num_windows integer NOT NULL,        -- 0 where the document is not split
  atoms text COLLATE "C" NOT NULL      -- words in order, one space between two
);
CREATE UNIQUE INDEX {documents_name}_id ON {documents} (id);
CREATE INDEX {documents_name}_atoms ON {documents} USING gin ({lexemes}) WITH (fastupdate = off);
CREATE INDEX {documents_name}_long ON {documents} (key) WHERE {is_long};
"""
_VECTORS = """
CREATE TABLE {vectors} (
  document bigint NOT NULL,
  first_token integer,                 -- of a window, from 0; NULL for a whole document
  end_token integer,                   -- one past the last
  embedding {vector_type} NOT NULL
);
ALTER TABLE {vectors} ALTER embedding SET STORAGE {storage};
CREATE INDEX {vectors_name}_document ON {vectors} (document);
"""
_TERMS = """
CREATE TABLE {terms} (
  key bigint PRIMARY KEY,              -- of the document
  length integer NOT NULL,             -- number of its terms and one more
  kept_length integer NOT NULL,        -- that as BM25 counts it
  terms integer[] NOT NULL,            -- numbers of the vocabulary, ascending
  counts bytea NOT NULL                -- how often each occurs, at most 255
);
CREATE INDEX {terms_name}_terms ON {terms} USING gin (terms) WITH (fastupdate = off);
CREATE TABLE {vocabulary} (
  term text COLLATE "C" PRIMARY KEY,
  id integer GENERATED ALWAYS AS IDENTITY,
  num_holders bigint NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX {vocabulary_name}_id ON {vocabulary} (id);
"""
LEXEMES = (
    f"(CASE WHEN octet_length(atoms) <= {_MAX_LEXEMES_BYTES} "
    "THEN array_to_tsvector(string_to_array(atoms, ' ')) END)"
)
"""SQL of the words of a document without their order; NULL of one that is too long."""
IS_LONG = f"octet_length(atoms) > {_MAX_LEXEMES_BYTES}"
"""SQL of whether a document is too long for `LEXEMES`."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The names of a collection's tables, as SQL."""

    documents: str
    vectors: str
    terms: str
    vocabulary: str

    @classmethod
    def of(cls, schema: str, collection: int) -> "Tables":
        """Names them.

        Args:
            schema: The store's schema in the database.
            collection: The collection's number.
        """
        names = ("documents", "vectors", "terms", "vocabulary")
        return cls(*(f"{schema}.{name}_{collection}" for name in names))

    def all(self) -> tuple[str, ...]:
        """Every table."""
        return (self.documents, self.vectors, self.terms, self.vocabulary)


def create_statements(
    tables: Tables, schema: CollectionSchema, extensions: Extensions, store_schema: str
) -> Iterator[str]:
    """The statements that make the tables of a new collection.

    Args:
        tables: Their names.
        schema: The collection's.
        extensions: Where the database has them.
        store_schema: The store's schema in the database.
    """
    kind = VectorKind.parse(schema)
    vector_type = kind.column_type(extensions.vectors)
    is_inline = schema.dimension * kind.bytes_a_component <= _MAX_INLINE_BYTES
    names = {f"{key}_name": name.rpartition(".")[2] for key, name in _named(tables).items()}
    for statements in (_DOCUMENTS, _VECTORS, _TERMS):
        yield statements.format(
            **_named(tables),
            **names,
            vector_type=vector_type,
            storage="PLAIN" if is_inline else "EXTERNAL",
            lexemes=LEXEMES,
            is_long=IS_LONG,
        )
    if (index := kind.index_over(extensions.vectors)) is not None:
        yield f"CREATE INDEX {names['vectors_name']}_embedding ON {tables.vectors} {index}"
    if schema.indexed_fields:
        yield (
            f"CREATE INDEX {names['documents_name']}_metadata ON {tables.documents} "
            "USING gin (metadata jsonb_path_ops) WITH (fastupdate = off)"
        )
    for number, declared in enumerate(declared_fields(schema.indexed_fields, store_schema)):
        yield from declared.index_statements(tables.documents, number)


def _named(tables: Tables) -> dict[str, str]:
    return {
        "documents": tables.documents,
        "vectors": tables.vectors,
        "terms": tables.terms,
        "vocabulary": tables.vocabulary,
    }
