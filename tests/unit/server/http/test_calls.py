"""A call over HTTP: its id, its key, its deadline, its failures, and how it ends."""

import asyncio
import threading
import time

import grpc
import httpx
import pytest

from twopass.server.edge.keys import KeyRing
from twopass.server.errors import OverloadedError

from ....waiting import until
from .asked import ended


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
