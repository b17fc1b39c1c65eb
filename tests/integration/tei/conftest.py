"""A server with a port of tei.v1 for its reranker and one for its encoder."""

from collections.abc import Iterator

import pytest

from ..corpus import ENCODER
from ..serving import Server
from ..tei_stubs import TeiStubs


@pytest.fixture(scope="session")
def served(tmp_path_factory) -> Iterator[Server]:
    """A server with a port for its reranker and one for its encoder."""
    addresses = ["127.0.0.1:0", f"127.0.0.1:0={ENCODER}"]
    with Server(tmp_path_factory.mktemp("tei"), tei_address=addresses, precision="f32") as running:
        yield running


@pytest.fixture(scope="session")
def reranker(served: Server) -> TeiStubs:
    return TeiStubs(served.tei_targets[0])


@pytest.fixture(scope="session")
def encoder(served: Server) -> TeiStubs:
    return TeiStubs(served.tei_targets[1])
