"""Servers of other makers that stores keep their collections in, started once for all tests."""

from collections.abc import Iterator

import pytest

from .servers import MilvusServer, PostgresServer, ServerNotInstalledError


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """PostgreSQL with pgvector; nobody stops or kills it."""
    try:
        server = PostgresServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        yield server


@pytest.fixture(scope="session")
def milvus_server() -> Iterator[MilvusServer]:
    """Milvus' wire; nobody stops or kills it."""
    try:
        server = MilvusServer()
    except ServerNotInstalledError as missing:
        pytest.skip(str(missing))
    with server:
        yield server
