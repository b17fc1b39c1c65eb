"""What every integration's tests share: running servers, a client, and a collection for each test.

`make integrations` starts the servers and says by variables where they are. Without it, against a
server of your own: `TWOPASS_TARGET=localhost:50051 python -m pytest -c integrations/pytest.ini
integrations/langchain-twopass`. Tests that need what a variable does not name are skipped then.
"""

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from twopass.client import Client, NotFoundError


@dataclass(frozen=True, slots=True)
class SecureServer:
    """A server that takes TLS and keys alone.

    Attributes:
        target: Where it listens, host:port.
        certificate: A file, PEM: the authority that signed its certificate.
        api_key: A key that may do everything.
    """

    target: str
    certificate: Path
    api_key: str

    def client(self) -> Client:
        """A client of this server, to be closed by the caller."""
        credentials = grpc.ssl_channel_credentials(self.certificate.read_bytes())
        return Client(self.target, api_key=self.api_key, credentials=credentials)


@pytest.fixture(scope="session")
def target() -> str:
    """Where a server without keys listens, host:port: over gRPC, in plain text."""
    return _variable("TWOPASS_TARGET")


@pytest.fixture(scope="session")
def http_url() -> str:
    """Where the same server answers over HTTP."""
    return _variable("TWOPASS_HTTP_URL")


@pytest.fixture(scope="session")
def secure_server() -> SecureServer:
    """A second server, which takes TLS and keys alone."""
    return SecureServer(
        _variable("TWOPASS_SECURE_TARGET"),
        Path(_variable("TWOPASS_SECURE_CERTIFICATE")),
        _variable("TWOPASS_SECURE_KEY"),
    )


@pytest.fixture(scope="session")
def client(target: str) -> Iterator[Client]:
    """A client of the server without keys, shared by all tests."""
    with Client(target) as made:
        yield made


@pytest.fixture
def new_name(client: Client) -> Iterator[Callable[[], str]]:
    """Makes names for collections; what the test has created under them is deleted after it."""
    chosen: list[str] = []

    def choose() -> str:
        chosen.append(f"test-{secrets.token_hex(6)}")
        return chosen[-1]

    yield choose
    for name in chosen:
        with contextlib.suppress(NotFoundError):
            client.delete_collection(name)


@pytest.fixture
def name(new_name: Callable[[], str]) -> str:
    """A name for a collection of the test's own."""
    return new_name()


def _variable(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set; `make integrations` starts servers and sets it")
    return value
