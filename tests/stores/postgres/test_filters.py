"""Filters: what PostgreSQL lets pass is what plain Python lets pass."""

import asyncio
import json
from contextlib import suppress

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings

from twopass.index.errors import InvalidFilterError
from twopass.index.filters import FieldCondition, Filter
from twopass.index.postgres.declared_fields import declared_fields
from twopass.index.postgres.filter_sql import Bindings, compile_filter
from twopass.index.postgres.moments import FUNCTION
from twopass.index.postgres.stored_texts import restored_object, stored_json
from twopass.index.schema import FieldType, IndexedField

from ...unit.index.naive_filters import passes
from ...unit.index.random_filters import Drawing
from ...unit.index.rows import test_filters as of_sqlite

DECLARED = (
    *map(IndexedField, ("year", "odd\"'\\ name", "tags.a.tags", '"a.b"', "b.a", "$.year")),
    *(IndexedField(name, FieldType.TIME) for name in ("tags", "a.b", "a.a", "at")),
    *(IndexedField(name, FieldType.NUMBER) for name in ("b", "a.b.a", "é")),
)


class Table:
    """A table of documents alone, with the indexes of declared fields."""

    def __init__(self, url):
        self._runner = asyncio.Runner()
        self._connection = self._runner.run(asyncpg.connect(url))
        self.run(self._connection.execute("CREATE SCHEMA twopass"))
        self.run(self._connection.execute(FUNCTION.format(schema="twopass")))
        self.run(
            self._connection.execute(
                'CREATE TABLE documents (key bigint, id text COLLATE "C", metadata jsonb);'
                "CREATE INDEX ON documents USING gin (metadata jsonb_path_ops)"
            )
        )
        for number, declared in enumerate(declared_fields(DECLARED)):
            for statement in declared.index_statements("documents", number):
                self.run(self._connection.execute(statement))

    def run(self, awaited):
        return self._runner.run(_awaited(awaited))

    def lets_pass(self, documents, wanted):
        """Names of the documents that pass; the table is left as it was."""
        compiled = [compile_filter(wanted)]
        with suppress(InvalidFilterError):
            compiled.append(compile_filter(wanted, DECLARED))
        return self.run(self._lets_pass(documents, compiled))

    async def _lets_pass(self, documents, compiled):
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.executemany(
                "INSERT INTO documents VALUES (1, $1, $2)",
                [
                    (name, stored_json(json.dumps(found, ensure_ascii=False)))
                    for name, found in documents.items()
                ],
            )
            answers = []
            for one in compiled:
                bindings = Bindings()
                condition = one.sql(bindings)
                for scans in ("on", "off"):
                    await self._connection.execute(f"SET LOCAL enable_seqscan = {scans}")
                    rows = await self._connection.fetch(
                        f"SELECT id FROM documents WHERE {condition}", *bindings.values
                    )
                    answers.append({row["id"] for row in rows})
            assert all(answer == answers[0] for answer in answers)
            return answers[0]
        finally:
            await transaction.rollback()

    def close(self):
        self.run(self._connection.close())
        self._runner.close()


async def _awaited(awaitable):
    return await awaitable


@pytest.fixture(scope="module")
def table(postgres_server):
    url = postgres_server.url
    asyncio.run(_recreated(url))
    found = Table(url.rpartition("/")[0] + "/filters")
    yield found
    found.close()


async def _recreated(url):
    connection = await asyncpg.connect(url)
    await connection.execute("DROP DATABASE IF EXISTS filters")
    await connection.execute("CREATE DATABASE filters")
    await connection.close()


@pytest.mark.parametrize("first", range(0, 500, 100), ids="seeds={}..".format)
def test_sql_lets_pass_what_plain_python_does(table, first):
    shares = set()
    for seed in range(first, first + 100):
        drawing = Drawing(seed)
        documents = {f"d{i}": drawing.metadata() for i in range(20)}
        wanted = drawing.filter()
        expected = {name for name, has in documents.items() if passes(name, has, wanted)}
        assert table.lets_pass(documents, wanted) == expected, (seed, wanted)
        shares.add(len(expected))
    assert {0, 20} < shares  # none, all, and some of them


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    of_sqlite.st.lists(
        of_sqlite.st.dictionaries(of_sqlite.st.sampled_from("ab"), of_sqlite.JSON), max_size=6
    ),
    of_sqlite.FIELDS,
    of_sqlite.TESTS,
)
def test_every_value_is_tested_as_plain_python_tests_it(table, found, field, test):
    documents = {f"d{n}": metadata for n, metadata in enumerate(found)}
    for wanted in (
        Filter(must=(FieldCondition(field, test),)),
        Filter(must_not=(FieldCondition(field, test),)),
    ):
        expected = {name for name, has in documents.items() if passes(name, has, wanted)}
        assert table.lets_pass(documents, wanted) == expected


@settings(max_examples=200)
@given(of_sqlite.st.dictionaries(of_sqlite.st.text(max_size=3), of_sqlite.JSON, max_size=4))
def test_metadata_comes_back_as_it_was(table, metadata):
    text = json.dumps(metadata, ensure_ascii=False)

    async def there_and_back():
        return await table._connection.fetchval("SELECT $1::jsonb::text", stored_json(text))

    found = restored_object(table.run(there_and_back()))
    assert found == metadata
    assert _types(found) == _types(metadata)


def _types(value):
    """The types of all values within one; 1 and 1.0 are equal, and are two."""
    match value:
        case dict():
            return {name: _types(one) for name, one in value.items()}
        case list():
            return [_types(one) for one in value]
    return type(value)
