"""A database of PostgreSQL for each test that asks for one."""

import asyncio
import itertools

import asyncpg
import pytest

_NUMBERS = itertools.count(1)


@pytest.fixture
def database_url(postgres_server):
    """An empty database, which no other test has."""
    name = f"t{next(_NUMBERS)}"
    asyncio.run(_execute(postgres_server.url, f"CREATE DATABASE {name}"))
    return postgres_server.url.rpartition("/")[0] + f"/{name}"


async def _execute(url, statement):
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
