"""What PostgreSQL's tables of a collection say about each other, after a crash."""

import asyncpg

from twopass.index.postgres.tables import Tables

from .ledger import Findings

SCHEMA = "twopass"
_WAITED_SECONDS = 60

# Each is a number that has to be 0.
_DISAGREEMENTS = {
    "documents beside the number in the catalogue": (
        "SELECT abs((SELECT count(*) FROM {documents}) - num_documents) FROM {row}"
    ),
    "split documents beside the number in the catalogue": (
        "SELECT abs((SELECT count(*) FROM {documents} WHERE num_windows > 0) - num_split) "
        "FROM {row}"
    ),
    "vectors beside their number in the catalogue": (
        "SELECT abs((SELECT count(*) FROM {vectors}) - num_vectors) FROM {row}"
    ),
    "terms beside their number in the catalogue": (
        "SELECT abs(coalesce((SELECT sum(length) FROM {terms}), 0) - num_terms) FROM {row}"
    ),
    "documents with keys that were never given": (
        "SELECT count(*) FROM {documents}, {row} WHERE key > last_key"
    ),
    "documents without terms": (
        "SELECT count(*) FROM {documents} WHERE NOT EXISTS "
        "(SELECT FROM {terms} AS terms WHERE terms.key = {documents}.key)"
    ),
    "terms without documents": (
        "SELECT count(*) FROM {terms} WHERE NOT EXISTS "
        "(SELECT FROM {documents} AS documents WHERE documents.key = {terms}.key)"
    ),
    "documents with another number of vectors": (
        "SELECT count(*) FROM {documents} WHERE greatest(num_windows, 1) <> "
        "(SELECT count(*) FROM {vectors} WHERE document = key)"
    ),
    "vectors without documents": (
        "SELECT count(*) FROM {vectors} WHERE document NOT IN (SELECT key FROM {documents})"
    ),
    "terms of the vocabulary with another number of holders": (
        "WITH counted AS (SELECT term AS id, count(*) AS number FROM {terms}, "
        "unnest(terms) AS term GROUP BY term) "
        "SELECT count(*) FROM {vocabulary} AS known FULL JOIN counted ON counted.id = known.id "
        "WHERE coalesce(num_holders, -1) <> coalesce(number, 0)"
    ),
}


async def wait_until_quiet(url: str) -> int:
    """Waits until no session is in a transaction; returns how many still are.

    Sessions of a server that was killed end what they were asked for: a COMMIT that was under way
    counts.
    """
    connection = await asyncpg.connect(url)
    try:
        for _ in range(10 * _WAITED_SECONDS):
            busy: int = await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' "
                "AND state <> 'idle' AND pid <> pg_backend_pid()"
            )
            if not busy:
                return 0
            await connection.execute("SELECT pg_sleep(0.1)")
        return busy
    finally:
        await connection.close()


async def examine_tables(url: str, name: str, findings: Findings) -> None:
    """Notes where the tables of a collection disagree, and what PostgreSQL says of its indexes."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        number = await connection.fetchval(
            f"SELECT collection FROM {SCHEMA}.names WHERE name = $1", name
        )
        tables = Tables.of(SCHEMA, number)
        named = {
            "documents": tables.documents,
            "vectors": tables.vectors,
            "terms": tables.terms,
            "vocabulary": tables.vocabulary,
            "row": f"(SELECT * FROM {SCHEMA}.collections WHERE id = {number}) AS collection",
        }
        for what, statement in _DISAGREEMENTS.items():
            if found := await connection.fetchval(statement.format(**named)):
                findings.other.append(f"{name}: {found} {what}")
        for table in tables.all():
            await _check_indexes(connection, table, findings)
    finally:
        await connection.close()


async def _check_indexes(
    connection: "asyncpg.Connection[asyncpg.Record]", table: str, findings: Findings
) -> None:
    indexes = await connection.fetch(
        "SELECT indexrelid::regclass::text AS name, amname FROM pg_index "
        "JOIN pg_class ON pg_class.oid = indexrelid JOIN pg_am ON pg_am.oid = relam "
        "WHERE indrelid = $1::text::regclass",
        table,
    )
    for index in indexes:
        check = {"btree": "bt_index_check($1, true)", "gin": "gin_index_check($1)"}.get(
            index["amname"]
        )
        if check is None:
            continue
        try:
            await connection.execute(
                f"SELECT {check.replace('$1', repr(index['name']) + '::regclass')}"
            )
        except asyncpg.PostgresError as error:
            findings.other.append(f"PostgreSQL finds {index['name']} damaged: {error}")
