"""Bodies as clients send them: bounded, in pieces, packed, counted."""

import asyncio
import contextlib
import gzip
import http.client
from collections.abc import AsyncIterator

import pytest

from twopass.server.http import bodies

from .asked import MAX_BODY_BYTES, ended


async def test_a_body_comes_back(client, metrics):
    answer = await client.post("/echo", content=b"{}")
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert answer.headers["content-type"] == "application/json"
    assert ended(metrics, "OK") == 1


async def test_what_needs_no_quota_takes_no_long_body(client, asked):
    answer = await client.request("GET", "/open", content=b"x" * 5_000)
    assert (answer.status_code, asked.requests) == (413, [])
    assert (await client.request("GET", "/open", content=b"x")).status_code == 200


async def test_a_client_that_uploads_too_much_is_told_so(server):
    def upload() -> int:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port)) as plain:
            plain.request("POST", "/echo", b"x" * 5_000_000)
            return plain.getresponse().status

    assert await asyncio.to_thread(upload) == 413


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
