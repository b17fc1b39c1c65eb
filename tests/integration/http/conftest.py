"""One server for all tests over HTTP that change nothing in it."""

from collections.abc import Iterator

import httpx
import pytest

from ..serving import Server


@pytest.fixture(scope="session")
def http_server(tmp_path_factory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("http")
    with Server(data, http_address="127.0.0.1:0") as running:
        yield running


@pytest.fixture(scope="session")
def http(http_server: Server) -> Iterator[httpx.Client]:
    """A client of the server, which keeps its connections."""
    with httpx.Client(base_url=http_server.http_url, timeout=60) as client:
        yield client
