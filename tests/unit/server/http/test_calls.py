"""HTTP through the edge: real sockets, a real uvicorn, endpoints of the test's own."""

import asyncio
import contextlib
import dataclasses
import gzip
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest

from twopass.index.lanes import Lane
from twopass.server.config import ServerConfig
from twopass.server.edge.call import Shared
from twopass.server.edge.call_log import CallLog
from twopass.server.edge.gate import Gate
from twopass.server.edge.keys import KeyRing
from twopass.server.edge.permissions import PERMISSIONS, Permission
from twopass.server.errors import InvalidRequestError, OverloadedError
from twopass.server.http import bodies, calls
from twopass.server.http.calls import HttpEdge
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest, SharedEndpoint
from twopass.server.http.origins import Origins
from twopass.server.http.routes import Routes
from twopass.server.http.server import HttpServer
from twopass.server.http.unpacking import Unpacking
from twopass.server.request import Request
from twopass.server.telemetry.metrics import Metrics

MAX_BODY_BYTES = 200_000
DIALECT = SHARED


class Asked:
    """What an endpoint was asked, and what it does.

    Attributes:
        requests: What came.
        error: Raised by the endpoint; None to answer.
        seconds: How long it takes.
        body: What it answers; None for what was sent.
        was_stopped: Whether it was told to stop.
        began: Set when it is asked.
        is_looking: Set when a large body waits to be looked at.
        lane: Where a large body of a shared path is looked at.
    """

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.error: Exception | None = None
        self.seconds = 0.0
        self.body: bytes | None = None
        self.was_stopped = False
        self.began = asyncio.Event()
        self.is_looking = asyncio.Event()
        self.lane = Lane("messages", 1)

    async def answer(self, asked: HttpRequest, request: Request) -> Answer:
        self.requests.append(asked)
        self.began.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.was_stopped = True
            raise
        if self.error:
            raise self.error
        return Answer(body=asked.body if self.body is None else self.body)


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


async def until(is_true: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not is_true():  # noqa: ASYNC110  # of several kinds of things
            await asyncio.sleep(0.005)


def ended(metrics: Metrics, code: str, rpc: str = "test.echo") -> float:
    labels = {"rpc": rpc, "code": code}
    return metrics.registry.get_sample_value("twopass_rpc_seconds_count", labels) or 0.0


async def test_a_body_comes_back(client, metrics):
    answer = await client.post("/echo", content=b"{}")
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["content-type"] == "application/json"
    assert ended(metrics, "OK") == 1


async def test_a_path_may_end_with_a_slash(client):
    assert (await client.post("/echo/", content=b"1")).status_code == 200


@pytest.mark.parametrize("model", ["m", "org/name", "a b", "models/m"])
async def test_a_path_below_a_model_names_the_model(client, asked, model):
    await client.post(f"/models/{model}/echo", content=b"1")
    await client.post(f"/models/{model}", content=b"1")
    assert [each.model for each in asked.requests] == [model, model]
    assert [each.path for each in asked.requests] == ["/echo", "/"]


async def test_variables_of_a_path_are_read(client, asked):
    await client.get("/things/a%2Fb/parts/%C3%A9?x=1&y=2")
    (request,) = asked.requests
    assert dict(request.variables) == {"thing": "a/b", "part": "é"}
    assert request.query == "x=1&y=2"


async def test_an_unknown_path_is_told_where_to_look(client, metrics):
    answer = await client.post("/nothing", content=b"1")
    assert answer.status_code == 404
    assert "/docs" in answer.json()["message"]
    assert ended(metrics, "INVALID_ARGUMENT", "http.unknown") == 1


@pytest.mark.parametrize(
    ("path", "extra"),
    [("/v1/echo", "/v1"), ("/echo/echo", "/echo"), ("/a" * 500 + "/echo", "/a" * 64)],
)
async def test_a_path_that_a_base_url_made_too_long_is_told_the_right_one(client, path, extra):
    answer = await client.post(path, content=b"1")
    assert answer.status_code == 404
    assert "there is /echo: the base URL" in answer.json()["message"]
    assert answer.json()["message"].endswith(f" {extra} too much")


@pytest.mark.parametrize("path", ["/v1/get", "/echo2", "/v1/echo/more"])
async def test_no_path_is_named_that_would_not_do(client, path):
    answer = await client.post(path, content=b"1")
    assert answer.json()["message"].endswith("; /docs lists what there is")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/echo", "POST"), ("DELETE", "/things/a/parts/b", "GET")],
)
async def test_a_wrong_method_is_told_the_right_ones(client, method, path, allowed):
    answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_head_has_the_headers_alone(client, asked):
    asked.body = b"four"
    answer = await client.head("/get", timeout=5)
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "4", b"")
    assert (await client.get("/get")).content == b"four"


@pytest.mark.parametrize("path", ["/x" * 1_100, "/models" + "/%41" * 600])
async def test_a_path_that_no_endpoint_can_have_is_refused_unread(client, path):
    answer = await client.post(path, content=b"1")
    assert answer.status_code == 414
    assert "at most 2,048" in answer.text


async def test_an_id_of_more_slashes_than_any_model_has_is_none(client):
    answer = await client.post("/models" + "/a" * 20 + "/echo", content=b"1")
    assert answer.status_code == 404


async def test_what_needs_no_quota_takes_no_long_body(client, asked):
    answer = await client.request("GET", "/open", content=b"x" * 5_000)
    assert (answer.status_code, asked.requests) == (413, [])
    assert (await client.request("GET", "/open", content=b"x")).status_code == 200


async def test_requests_far_ahead_of_their_answers_end_the_connection(server, asked):
    asked.seconds = 30
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /get HTTP/1.1\r\nhost: localhost\r\n\r\n" * 1_000)
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 20)
    await until(lambda: asked.was_stopped)
    assert len(asked.requests) == 1
    writer.close()


async def test_a_few_requests_ahead_are_answered_in_turn(server, asked):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n7" * 10)
    received = b""
    while received.count(b"HTTP/1.1 200 OK") < 10 or not received.endswith(b"7"):
        received += await asyncio.wait_for(reader.read(10_000), 20)
    writer.close()


async def test_an_answer_may_hold_what_looks_like_another(client, asked):
    piece = calls._PIECE_BYTES
    asked.body = b"x" * piece + b"HTTP/1.1 200 OK"
    assert (await client.post("/echo", content=b"1", timeout=5)).content == asked.body


async def test_short_answers_that_are_not_taken_end_their_connection_too(
    server, asked, gate, monkeypatch
):
    monkeypatch.setattr(calls, "_STALLED_SECONDS", 0.2)
    asked.body = b"x" * 60_000
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setblocking(False)
    with contextlib.suppress(OSError):
        for _ in range(1_000):
            connection.send(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
            await asyncio.sleep(0.001)
    await until(lambda: not server._server.server_state.connections)
    connection.close()


async def test_a_client_that_uploads_too_much_is_told_so(server):
    def upload() -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as plain:
            plain.request("POST", "/echo", b"x" * 5_000_000)
            return plain.getresponse().status

    assert await asyncio.to_thread(upload) == 413


async def test_the_id_of_a_call_is_the_callers(client):
    answer = await client.post("/echo", content=b"1", headers={"X-Request-Id": "mine.1"})
    assert answer.headers["x-request-id"] == "mine.1"


async def test_a_caller_without_a_key_learns_how_to_send_one(client, gate, tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text("")
    gate._keys = KeyRing(keys)
    answer = await client.post("/echo", content=b"1")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_overload_says_when_to_try_again(client, asked):
    asked.error = OverloadedError("pairs: too many", retry_after=1.25)
    answer = await client.post("/echo", content=b"1")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["retry-after-ms"] == "1250"
    assert "x-should-retry" not in answer.headers


async def test_what_no_retry_mends_says_so(client, asked):
    asked.error = ZeroDivisionError("secret")
    answer = await client.post("/echo", content=b"1")
    assert answer.status_code == 500
    assert answer.headers["x-should-retry"] == "false"
    assert "secret" not in answer.text
    assert answer.headers["x-request-id"] in answer.text


async def test_a_body_over_the_limit_is_refused_before_it_is_read(client, asked):
    answer = await client.post("/echo", content=b"x" * (MAX_BODY_BYTES + 1))
    assert answer.status_code == 413
    assert "200,001" in answer.text
    assert "200,000" in answer.text
    assert not asked.requests


async def test_a_body_of_unknown_length_is_bounded_too(client, asked):
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"x" * 50_000

    answer = await client.post("/echo", content=pieces())
    assert answer.status_code == 413
    assert not asked.requests


async def test_a_body_in_pieces_is_joined(client):
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"[1", b",2", b"]"):
            await asyncio.sleep(0.01)
            yield piece

    assert (await client.post("/echo", content=pieces())).content == b"[1,2]"


async def test_a_body_of_too_many_values_is_refused_however_short_they_are(
    client, asked, monkeypatch
):
    monkeypatch.setattr(bodies, "_MAX_COMMAS", 1_000)
    ones = b"[" + b"1," * 4_000 + b"1]"
    answer = await client.post("/echo", content=ones)
    assert answer.status_code == 413
    assert "4,000 commas" in answer.text
    assert not asked.requests
    texts = b'["' + b"w" * 8_000 + b'"]'
    assert (await client.post("/echo", content=texts)).status_code == 200


async def test_gzip_is_undone(client):
    headers = {"content-encoding": "gzip"}
    answer = await client.post("/echo", content=gzip.compress(b"text"), headers=headers)
    assert answer.content == b"text"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (gzip.compress(b"0" * (MAX_BODY_BYTES + 1)), 413),
        (b"no gzip", 400),
        (gzip.compress(b"text")[:-6], 400),
    ],
    ids=["too much", "none", "cut short"],
)
async def test_gzip_that_is_none_or_unpacks_to_too_much_is_refused(client, asked, content, status):
    answer = await client.post("/echo", content=content, headers={"content-encoding": "gzip"})
    assert answer.status_code == status
    assert not asked.requests


async def test_an_unknown_encoding_is_refused(client):
    answer = await client.post("/echo", content=b"1", headers={"content-encoding": "br"})
    assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "gzip, identity")


async def test_without_room_for_a_body_the_caller_is_told_to_wait(client, gate):
    gate.bytes_in_flight.count(10 * MAX_BODY_BYTES)
    answer = await client.post("/echo", content=b"x" * 1000)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    gate.bytes_in_flight.release(10 * MAX_BODY_BYTES)


@pytest.mark.parametrize("name", ["x-request-timeout-ms", "connect-timeout-ms"])
async def test_a_deadline_is_kept(client, asked, metrics, name):
    asked.seconds = 30
    began = time.perf_counter()
    answer = await client.post("/echo", content=b"1", headers={name: "50"})
    assert time.perf_counter() - began < 10
    assert answer.status_code == 504
    assert asked.was_stopped or not asked.requests  # on a busy machine it has not begun by then
    assert ended(metrics, "DEADLINE_EXCEEDED") == 1


async def test_a_deadline_is_kept_while_a_body_waits_to_be_looked_at(client, asked, metrics):
    goes_on = threading.Event()
    occupied = asyncio.create_task(asked.lane.run(goes_on.wait, 20))
    answer = await client.post("/", content=b"large", headers={"x-request-timeout-ms": "50"})
    assert answer.status_code == 504
    assert ended(metrics, "DEADLINE_EXCEEDED", "test.shared") == 1
    goes_on.set()
    await occupied
    assert (await client.post("/", content=b"large")).status_code == 200


async def test_a_client_that_goes_while_its_body_waits_to_be_looked_at_ends_its_call(
    server, asked, metrics
):
    goes_on = threading.Event()
    occupied = asyncio.create_task(asked.lane.run(goes_on.wait, 20))
    async with httpx.AsyncClient(base_url=server.url) as client:
        going = asyncio.create_task(client.post("/", content=b"large"))
        await asked.is_looking.wait()
        going.cancel()
        await asyncio.wait({going})
    await until(lambda: ended(metrics, "CANCELLED", "test.shared") == 1)
    goes_on.set()
    await occupied
    assert not asked.requests


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "99999999999"])
async def test_a_deadline_that_is_none_is_refused(client, value):
    answer = await client.post("/echo", headers={"x-request-timeout-ms": value})
    assert answer.status_code == 400
    assert "x-request-timeout-ms" in answer.text


async def test_a_client_that_goes_stops_the_work(server, asked, metrics):
    asked.seconds = 30
    async with httpx.AsyncClient(base_url=server.url) as client:
        going = asyncio.create_task(client.post("/echo", content=b"1"))
        await asked.began.wait()
        going.cancel()
        await asyncio.wait({going})
    await until(lambda: asked.was_stopped)
    await until(lambda: ended(metrics, "CANCELLED") == 1)


async def test_a_client_that_goes_before_its_body_has_come_is_let_go(server, asked, metrics, gate):
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nten bytes.")
    await until(lambda: gate.num_calls == 1)
    writer.close()
    await until(lambda: ended(metrics, "CANCELLED") == 1)
    assert not asked.requests


async def test_a_body_that_does_not_come_ends_its_connection(server, asked, monkeypatch):
    monkeypatch.setattr(calls, "_STALLED_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nten bytes.")
    told = await asyncio.wait_for(reader.read(), 5)
    assert told.startswith(b"HTTP/1.1 408 ")
    assert not asked.requests
    writer.close()


class Told(asyncio.Protocol):
    """All that a server tells, also where the connection ends by a reset."""

    def __init__(self) -> None:
        self.content = b""
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.content += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()


async def test_a_body_that_trickles_ends_its_connection(server, asked, monkeypatch):
    monkeypatch.setattr(calls, "_STALLED_SECONDS", 0.3)
    loop = asyncio.get_running_loop()
    transport, told = await loop.create_connection(Told, "127.0.0.1", server.port)
    transport.write(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n")

    async def trickle() -> None:
        while True:  # never still for as long as that
            transport.write(b"a")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    await asyncio.wait_for(told.ended.wait(), 20)
    trickling.cancel()
    assert told.content.startswith(b"HTTP/1.1 408 ")
    assert b"send it faster" in told.content
    assert not asked.requests


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"a" * 200_000, b"POST /echo HTTP/1.1\r\n" + b"x-many: headers\r\n" * 10_000],
    ids=["a long path", "many headers"],
)
async def test_a_head_without_end_is_refused(server, asked, head):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head)
    told = await asyncio.wait_for(reader.read(), 20)
    assert told.startswith(b"HTTP/1.1 431 ")
    assert b"headers: more than 65,536 bytes" in told
    assert not asked.requests
    writer.close()


async def test_a_head_of_many_kilobytes_is_read(client):
    answer = await client.post("/echo", content=b"1", headers={"cookie": "a" * 50_000})
    assert answer.status_code == 200


async def test_a_head_that_trickles_ends_its_connection(server, monkeypatch):
    monkeypatch.setattr(server._server.config, "timeout_keep_alive", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def trickle() -> None:
        writer.write(b"POST /echo HTTP/1.1\r\nx-long: ")
        while True:
            writer.write(b"a")
            await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    with contextlib.suppress(ConnectionResetError):  # bytes were on their way when it was closed
        assert await asyncio.wait_for(reader.read(), 20) == b""
    trickling.cancel()
    writer.close()


async def test_headers_behind_a_body_are_not_kept(server, asked):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    behind = b"x-behind: it\r\n" * 3
    writer.write(head + b"1\r\na\r\n0\r\n" + behind + b"\r\n")
    assert (await asyncio.wait_for(reader.readline(), 20)).startswith(b"HTTP/1.1 200 ")
    assert "x-behind" not in asked.requests[0].headers
    writer.close()


async def test_an_answer_that_is_not_taken_ends_its_connection(server, asked, gate, monkeypatch):
    monkeypatch.setattr(calls, "_STALLED_SECONDS", 0.05)
    asked.body = b"x" * 20_000_000
    connection = socket.create_connection(("127.0.0.1", server.port))
    connection.setblocking(False)
    connection.send(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
    await until(lambda: gate.bytes_in_flight.num_bytes >= 20_000_000)
    await until(lambda: gate.bytes_in_flight.num_bytes == 0)
    connection.close()


async def test_a_long_answer_comes_whole(client, asked):
    asked.body = bytes(range(256)) * 4000
    assert (await client.post("/echo", content=b"1")).content == asked.body


async def test_the_body_chooses_among_dialects(client, metrics):
    assert (await client.post("/", content=b"1")).status_code == 200
    assert ended(metrics, "OK", "test.echo") == 1
    assert (await client.post("/")).status_code == 400
    assert ended(metrics, "INVALID_ARGUMENT", "test.shared") == 1


async def test_running_requests_end_before_the_server_does(server, asked):
    asked.seconds = 0.3
    async with httpx.AsyncClient(base_url=server.url) as client:
        asking = asyncio.create_task(client.post("/echo", content=b"1"))
        await asked.began.wait()
        stopping = asyncio.create_task(server.stop())
        assert (await asking).status_code == 200
        await stopping
        with pytest.raises(httpx.ConnectError):
            await client.post("/echo", content=b"1")


async def test_what_is_left_at_the_end_of_the_drain_is_told(server, asked):
    server._server.config.timeout_graceful_shutdown = 0.05
    asked.seconds = 30
    async with httpx.AsyncClient(base_url=server.url) as client:
        asking = asyncio.create_task(client.post("/echo", content=b"1"))
        await asked.began.wait()
        await server.stop()
        assert (await asking).status_code == 503
    assert asked.was_stopped


def test_statuses_of_http_exist_for_every_status_of_grpc():
    from twopass.server.http.statuses import status_of_http

    assert all(200 <= status_of_http(code) < 600 for code in grpc.StatusCode)
