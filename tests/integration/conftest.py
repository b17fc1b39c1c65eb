"""One server for all tests that change nothing in it, and a collection that they may search."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from twopass.v1 import collection_pb2

from .corpus import fill
from .fallback import broken, found, held, held_encoder, passing, small
from .serving import MAX_MESSAGE_BYTES, Server

__all__ = [
    "broken",
    "collection",
    "facts",
    "found",
    "held",
    "held_encoder",
    "passing",
    "server",
    "small",
]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    data: Path = tmp_path_factory.mktemp("data")
    with Server(data, max_message_bytes=MAX_MESSAGE_BYTES) as running:
        yield running


@pytest.fixture(scope="session")
def facts(server: Server) -> str:
    """The name of a collection that holds the corpus."""
    fill(server, "facts")
    return "facts"


@pytest.fixture
def collection(server: Server) -> Iterator[str]:
    """An empty collection of the test's own."""
    name = "of-a-test"
    server.collections.CreateCollection(collection_pb2.CreateCollectionRequest(name=name))
    yield name
    server.collections.DeleteCollection(collection_pb2.DeleteCollectionRequest(name=name))
