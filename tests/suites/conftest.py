"""The server that the suites use, and a collection for each test."""

import contextlib
import itertools
import os
from collections.abc import Iterator

import pytest

from twopass.client import Client, NotFoundError

_numbers = itertools.count()


@pytest.fixture(scope="session")
def target() -> str:
    """Where the server listens; `make suites` starts it and says where."""
    return os.environ["TWOPASS_TARGET"]


@pytest.fixture(scope="session")
def client(target: str) -> Iterator[Client]:
    with Client(target) as made:
        yield made


@pytest.fixture
def name(client: Client) -> Iterator[str]:
    """A name for a collection of the test's own, which is deleted after it."""
    chosen = f"suite-{next(_numbers)}"
    yield chosen
    with contextlib.suppress(NotFoundError):
        client.delete_collection(chosen)
