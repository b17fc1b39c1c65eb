"""HTTP through the edge: a real uvicorn on a real socket, and endpoints of the tests' own."""

import dataclasses
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from twopass.server.config import ServerConfig
from twopass.server.edge.call import Shared
from twopass.server.edge.call_log import CallLog
from twopass.server.edge.gate import Gate
from twopass.server.edge.permissions import PERMISSIONS, Permission
from twopass.server.errors import InvalidRequestError
from twopass.server.http.calls import HttpEdge
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Endpoint, HttpRequest, SharedEndpoint
from twopass.server.http.origins import Origins
from twopass.server.http.routes import Routes
from twopass.server.http.server import HttpServer
from twopass.server.http.unpacking import Unpacking
from twopass.server.request import Request
from twopass.server.telemetry.metrics import Metrics

from .asked import MAX_BODY_BYTES, Asked

DIALECT = SHARED


@pytest.fixture
def asked() -> Iterator[Asked]:
    asked = Asked()
    yield asked
    asked.lane.close()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def gate(metrics: Metrics) -> Gate:
    return Gate(metrics, max_bytes=10 * MAX_BODY_BYTES)


@pytest.fixture
async def server(
    asked: Asked, metrics: Metrics, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HttpServer]:
    for name in ("test.echo", "test.shared", "test.rest", "test.get", "test.open"):
        monkeypatch.setitem(PERMISSIONS, name, Permission.READ)  # type: ignore[arg-type]

    def endpoint(name: str, method: str, path: str) -> Endpoint:
        return Endpoint(name=name, method=method, path=path, answer=asked.answer, dialect=DIALECT)

    echo = endpoint("test.echo", "POST", "/echo")

    async def choose(http: HttpRequest, request: Request) -> Endpoint:
        if not http.body:
            raise InvalidRequestError("body: empty")
        if http.body == b"large":
            asked.is_looking.set()
            await asked.lane.run(int, stop=request.stop)
        return echo

    endpoints = [
        echo,
        SharedEndpoint(name="test.shared", method="POST", path="/", choose=choose, dialect=DIALECT),
        endpoint("test.rest", "GET", "/things/{thing}/parts/{part}"),
        endpoint("test.get", "GET", "/get"),
        dataclasses.replace(endpoint("test.open", "GET", "/open"), counts=False),
    ]
    shared = Shared(gate, metrics, None, CallLog(), MAX_BODY_BYTES)
    unpacking = Unpacking(asked.lane)
    config = ServerConfig(http_address="127.0.0.1:0", drain_seconds=5)
    edge = HttpEdge(
        shared,
        Routes(endpoints),
        Origins(config),
        DIALECT,
        unpacking,
        max_body_bytes=MAX_BODY_BYTES,
    )
    running = HttpServer(config, edge)
    await running.start()
    yield running
    await running.stop()
    assert gate.num_calls == 0
    assert gate.bytes_in_flight.num_bytes == 0


@pytest.fixture
async def client(server: HttpServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url) as http:
        yield http
