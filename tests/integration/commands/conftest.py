"""A collection that commands may spoil."""

import uuid

import pytest

from twopass.client import Client, Document

from ..corpus import FACTS


@pytest.fixture
def target(server, monkeypatch):
    monkeypatch.setenv("TWOPASS_TARGET", server.target)
    return server.target


@pytest.fixture
def client(target):
    with Client(target) as client:
        yield client


@pytest.fixture
def docs(client):
    """A collection of five documents, of 1990 to 1994, that the test may spoil."""
    name = f"docs-{uuid.uuid4().hex[:8]}"
    client.create_collection(name)
    texts = list(FACTS.items())[:5]
    client.upsert(
        name,
        [
            Document(key, text, metadata={"year": 1990 + number, "even": number % 2 == 0})
            for number, (key, text) in enumerate(texts)
        ],
    )
    yield name
    left = {each.name: each for each in client.list_collections()}
    for each in [each for each in left if each.startswith(name)]:
        client.update_aliases(dict.fromkeys(left[each].aliases))
        client.delete_collection(each)
