"""The store's schema in the database: made when it is first used, and brought up to date.

Migrations are numbered and applied in order, all in one transaction, by whichever server comes
first; the others wait for it. What a migration made is never changed by editing it: a further one
changes it.
"""

import logging
from typing import Any

import asyncpg

from twopass.index.errors import StorageError
from twopass.index.postgres.connections import Extensions
from twopass.index.postgres.moments import FUNCTION

_LOG = logging.getLogger("twopass.index")

_MIN_SERVER = 140_000
_MIN_PGVECTOR = (0, 8)
# Of the lock that servers take which change the schema or the catalogue; any number will do.
CATALOGUE_LOCK = 0x7477_6F70_6173_73

_CATALOGUE = """
CREATE TABLE {schema}.collections (
  id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  incarnation text NOT NULL,               -- what its sequences begin with
  schema text NOT NULL,                    -- JSON
  analysis text NOT NULL,                  -- of the words that its tables hold
  create_time timestamptz NOT NULL DEFAULT now(),
  is_deleted boolean NOT NULL DEFAULT false,   -- its tables are about to be dropped
  position bigint NOT NULL DEFAULT 0,      -- writes so far
  last_key bigint NOT NULL DEFAULT 0,      -- the highest that was ever given
  num_documents bigint NOT NULL DEFAULT 0,
  num_split bigint NOT NULL DEFAULT 0,
  num_vectors bigint NOT NULL DEFAULT 0,   -- one a document, or one a window of a split one
  num_terms bigint NOT NULL DEFAULT 0      -- of all documents together
) WITH (fillfactor = 50);
CREATE TABLE {schema}.names (
  name text COLLATE "C" PRIMARY KEY,
  collection integer NOT NULL REFERENCES {schema}.collections,
  is_alias boolean NOT NULL
);
CREATE UNIQUE INDEX names_own ON {schema}.names (collection) WHERE NOT is_alias;
CREATE INDEX names_collection ON {schema}.names (collection);
"""

_SETTINGS = """
ALTER TABLE {schema}.collections ADD settings text NOT NULL DEFAULT '';   -- kept for the server
"""

_FEEDBACK = """
CREATE TABLE {schema}.feedback (           -- clicks and judgements
  collection integer NOT NULL REFERENCES {schema}.collections ON DELETE CASCADE,
  query_id text COLLATE "C" NOT NULL,
  document_id text COLLATE "C" NOT NULL,
  kind smallint NOT NULL,
  grade smallint NOT NULL,
  rank integer NOT NULL,
  time_us bigint NOT NULL,                 -- since 1970
  PRIMARY KEY (collection, query_id, document_id, kind)
);
CREATE INDEX feedback_time ON {schema}.feedback (time_us);
CREATE TABLE {schema}.feedback_texts (     -- of queries with feedback, where servers keep them
  collection integer NOT NULL REFERENCES {schema}.collections ON DELETE CASCADE,
  query_id text COLLATE "C" NOT NULL,
  text text NOT NULL,
  PRIMARY KEY (collection, query_id)
);
"""

MIGRATIONS: tuple[str, ...] = (FUNCTION + ";" + _CATALOGUE, _SETTINGS, _FEEDBACK)
"""SQL of each, to which `{schema}` is the schema; the first is number 1."""


async def migrate(connection: Any, schema: str) -> Extensions:
    """Brings a database up to date; returns where it has its extensions.

    Raises:
        StorageError: PostgreSQL or pgvector is too old or missing, or a newer twopass was here.
    """
    version = connection.get_server_version()
    if version.major * 10_000 < _MIN_SERVER:
        raise StorageError(
            f"the store postgresql needs PostgreSQL 14 or newer, this is {version.major}"
        )
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        await _ensure_current(connection, schema)
    else:
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({CATALOGUE_LOCK})")
            await _ensure_extension(connection)
            await _apply(connection, schema)
    return await _extensions(connection)


async def _apply(connection: Any, schema: str) -> None:
    applied = await _applied(connection, schema)
    if applied == len(MIGRATIONS):
        return
    _refuse_newer(applied)
    if applied == 0:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema}; "
            f"CREATE TABLE {schema}.migrations "
            "(number integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
        )
    for number in range(applied + 1, len(MIGRATIONS) + 1):
        await connection.execute(MIGRATIONS[number - 1].format(schema=schema))
        await connection.execute(f"INSERT INTO {schema}.migrations VALUES ($1)", number)
    _LOG.info("store brought up to date", extra={"schema": schema, "version": len(MIGRATIONS)})


async def _applied(connection: Any, schema: str) -> int:
    """How many migrations the database has."""
    if await connection.fetchval("SELECT to_regclass($1)", f"{schema}.migrations") is None:
        return 0
    found = await connection.fetchval(f"SELECT max(number) FROM {schema}.migrations")
    return int(found or 0)


async def _ensure_current(connection: Any, schema: str) -> None:
    """Makes sure that a standby, which can't be changed, is up to date."""
    applied = await _applied(connection, schema)
    _refuse_newer(applied)
    if applied < len(MIGRATIONS):
        raise StorageError(
            "the store postgresql is a standby, which a server can't bring up to date; start one "
            "with --store of the primary first"
        )


def _refuse_newer(applied: int) -> None:
    if applied > len(MIGRATIONS):
        raise StorageError(
            f"the store postgresql has format {applied}, this twopass knows up to "
            f"{len(MIGRATIONS)}; install a newer one"
        )


async def _ensure_extension(connection: Any) -> None:
    if await connection.fetchval("SELECT true FROM pg_extension WHERE extname = 'vector'") is None:
        available = await connection.fetchval(
            "SELECT true FROM pg_available_extensions WHERE name = 'vector'"
        )
        if available is None:
            raise StorageError(
                "the store postgresql needs the extension pgvector, which that server has not; "
                "install it there (package postgresql-<version>-pgvector)"
            )
        try:
            async with connection.transaction():
                await connection.execute("CREATE EXTENSION vector")
        except asyncpg.InsufficientPrivilegeError as error:
            raise StorageError(
                "the store postgresql needs the extension vector, which this role may not create; "
                "let the database's owner or a superuser run once: CREATE EXTENSION vector"
            ) from error
    version = await connection.fetchval(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    )
    if tuple(int(part) for part in version.split(".")[:2]) < _MIN_PGVECTOR:
        raise StorageError(
            f"the store postgresql needs pgvector 0.8 or newer, this is {version}; update it: "
            "ALTER EXTENSION vector UPDATE"
        )
    try:
        async with connection.transaction():
            await connection.execute("CREATE EXTENSION IF NOT EXISTS intarray")
    except asyncpg.PostgresError:
        # Not there, or not allowed: words are scored in twice the time.
        _LOG.warning("no extension intarray: searches of words take twice the time with it missing")


async def _extensions(connection: Any) -> Extensions:
    found = {
        row["extname"]: row["schema"]
        for row in await connection.fetch(
            "SELECT extname, quote_ident(nspname) AS schema FROM pg_extension "
            "JOIN pg_namespace ON pg_namespace.oid = extnamespace "
            "WHERE extname IN ('vector', 'intarray')"
        )
    }
    place = f"{found['intarray']}.idx" if "intarray" in found else "array_position"
    return Extensions(found["vector"], place)
