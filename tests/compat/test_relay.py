"""The relay changes nothing and misses nothing."""

import asyncio

import httpx
import pytest

from .relay import Relay


@pytest.fixture
async def server():
    """Answers with the length of what it was sent, in two pieces; 429 for an empty body."""

    async def answer(reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode().lower().split("\r\n")
                lengths = [line for line in lines if line.startswith("content-length:")]
                length = int(lengths[0].partition(":")[2]) if lengths else 0
                await reader.readexactly(length)
                body = str(length).encode()
                status = b"200 OK" if length else b"429 Too Many Requests\r\nRetry-After: 3"
                writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body))
                await writer.drain()
                await asyncio.sleep(0)
                writer.write(body)
        except asyncio.IncompleteReadError:
            writer.close()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    listener.close()


async def test_requests_and_answers_pass_and_are_noted(server):
    async with (
        Relay(server) as relay,
        httpx.AsyncClient(base_url=f"http://{relay.target}") as client,
    ):
        large = b"POST /never HTTP/1.1\r\n\r\n" * 20_000
        assert (await client.post("/v1/rerank", content=large)).text == str(len(large))
        assert (await client.post("/v1/rerank?x=1", content=b"ab")).text == "2"
        assert (await client.get("/info")).status_code == 429
        seen = [(each.method, each.path, each.status) for each in relay.exchanges]
        assert seen == [
            ("POST", "/v1/rerank", 200),
            ("POST", "/v1/rerank?x=1", 200),
            ("GET", "/info", 429),
        ]
        assert [each.retry_after for each in relay.exchanges] == [None, None, 3.0]


async def test_connections_side_by_side_are_kept_apart(server):
    async with (
        Relay(server) as relay,
        httpx.AsyncClient(base_url=f"http://{relay.target}") as client,
    ):
        answers = await asyncio.gather(
            *(client.post(f"/{length}", content=b"x" * length) for length in range(1, 30))
        )
        assert [answer.text for answer in answers] == [str(length) for length in range(1, 30)]
        assert {each.status for each in relay.exchanges} == {200}
        assert len(relay.exchanges) == 29
