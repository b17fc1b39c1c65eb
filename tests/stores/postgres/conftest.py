"""A database of PostgreSQL for each test that asks for one, and servers on it."""

import asyncio
import itertools

import asyncpg
import pytest

from twopass.index.postgres.connections import Connections
from twopass.index.postgres.store import PostgresStore

from ..servers import PostgresServer, ServerNotInstalledError

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


@pytest.fixture
async def store(database_url):
    opened = PostgresStore(database_url)
    await opened.start()
    yield opened
    await opened.close()


@pytest.fixture
async def others(database_url):
    """Three more servers on the same database."""
    opened = [PostgresStore(database_url) for _ in range(3)]
    await asyncio.gather(*(each.start() for each in opened))
    yield opened
    await asyncio.gather(*(each.close() for each in opened))


@pytest.fixture
def statements(monkeypatch):
    """Every statement that is executed, in order."""
    seen = []
    prepare = Connections._prepare

    async def logged(self, connection):
        await prepare(self, connection)
        connection.add_query_logger(lambda record: seen.append(record.query))

    monkeypatch.setattr(Connections, "_prepare", logged)
    return seen


@pytest.fixture
def own_server():
    try:
        server = PostgresServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        yield server
