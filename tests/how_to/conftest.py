"""A server for the requests of other programs, and what it answers by its own protocol."""

import http.client
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from twopass.client import Client
from twopass.server.local import LocalServer

QUERY = 'Why is the sky "blue"?\nAnd the sea?'
PASSAGES = [
    "Cheese is made from milk, rennet and salt.",
    'Air scatters short waves of light more than long ones: the sky is "blue".',
    "The blue whale is the largest animal that has ever lived.",
    "Water absorbs red light, so deep seas look blue.\tThe sky helps.",
]


@dataclass(frozen=True, slots=True)
class Server:
    """A server without keys.

    Attributes:
        url: Where it answers over HTTP.
        scores: Of each of `PASSAGES` for `QUERY`, by its own protocol.
    """

    url: str
    scores: list[float]

    def ask(
        self,
        method: str,
        url: str,
        body: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Sends exactly this, with no header but those given and what HTTP itself needs."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc)
        connection.request(method, parts.path, body and body.encode("utf-8"), dict(headers or {}))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, json.loads(content) if content else None


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("how-to")
    with LocalServer(folder, flags=("--http-address", "127.0.0.1:0")) as running:
        with Client(running.target) as client:
            hits = client.rerank(QUERY, PASSAGES).hits
        scores = {hit.index: hit.score for hit in hits}
        yield Server(running.http_url, [scores[index] for index in range(len(PASSAGES))])


@pytest.fixture
def post(server) -> Callable[..., Any]:
    """Posts JSON to a path of the server and returns the answer of a request that succeeds."""

    def posted(path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        status, answer = server.ask("POST", server.url + path, json.dumps(body), headers)
        assert status == 200, answer
        return answer

    return posted
