"""Connections of clients that ask ahead, stall, trickle, or take no answer."""

import asyncio
import contextlib
import socket

import pytest

from twopass.server.http import calls

from ....waiting import until


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
    head = b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\n\r\n"
    writer.write(b"".join(head + b"%d" % number for number in range(10)))
    for number in range(10):
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert await asyncio.wait_for(reader.readexactly(1), 20) == b"%d" % number
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
