"""Paths whose bodies tell what is asked for."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from twopass.index.lanes import Lane
from twopass.server.errors import InvalidRequestError
from twopass.server.http.dialects import shared, tei
from twopass.server.http.dialects.tei_bodies import Glance
from twopass.server.http.endpoint import HttpRequest, SharedEndpoint
from twopass.server.request import Request
from twopass.server.servicers.translating import Translating


class Embedding:
    async def embed(self, asked: object, request: Request) -> None:
        raise InvalidRequestError("inputs: refused")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.setattr(shared.rerank, "vllm_endpoint", lambda _: "of others")
    lane = Lane("messages", 1)
    yield SimpleNamespace(
        translating=Translating(lane),
        limits=SimpleNamespace(max_documents=100, max_message_bytes=2**26),
        tei=SimpleNamespace(embedding=Embedding()),
        is_well=None,
    )
    lane.close()


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> set[threading.Thread]:
    """Those that looked at what a body asks for."""
    found = set()
    decode = tei.decode

    def watched(body: bytes, kind: type) -> object:
        if kind is Glance:
            found.add(threading.current_thread())
        return decode(body, kind)

    monkeypatch.setattr(tei, "decode", watched)
    monkeypatch.setattr(shared, "decode", watched)
    return found


async def chosen(parts: SimpleNamespace, path: str, **body: object) -> object:
    [endpoint] = [
        each
        for each in shared.endpoints(parts)
        if isinstance(each, SharedEndpoint) and each.path == path
    ]
    asked = HttpRequest(method="POST", path=path, body=json.dumps(body).encode())
    endpoint = await endpoint.choose(asked, Request())
    return getattr(endpoint, "name", endpoint)


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/rerank", {"documents": ["a"]}, "of others"),
        ("/rerank", {"texts": ["a"]}, "tei.rerank"),
        ("/", {"texts": ["a"]}, "tei.rerank"),
        ("/", {"inputs": "a"}, "tei.embed"),
        ("/invocations", {"inputs": [["a", "b"]]}, "tei.predict"),
    ],
)
async def test_a_large_body_is_looked_at_beside_the_loop(parts, threads, path, body, name):
    assert await chosen(parts, path, **body) == name
    assert threads == {threading.current_thread()}
    threads.clear()
    assert await chosen(parts, path, filling="x" * 300_000, **body) == name
    assert threads
    assert threading.current_thread() not in threads


async def test_many_small_requests_in_one_are_looked_at_beside_the_loop(parts, threads):
    [vertex] = [each for each in shared.endpoints(parts) if each.name == "tei.vertex"]
    body = json.dumps({"instances": [{"inputs": "x" * 30_000}] * 10}).encode()
    with pytest.raises(InvalidRequestError, match="inputs: refused"):
        await vertex.answer(HttpRequest(method="POST", path="/vertex", body=body), Request())
    assert threads
    assert threading.current_thread() not in threads
