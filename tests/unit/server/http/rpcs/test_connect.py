"""Messages in the URLs of Connect."""

import base64
import gzip
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from twopass.index.lanes import Lane
from twopass.server.errors import OverloadedError
from twopass.server.http.endpoint import Answer, HttpRequest
from twopass.server.http.rpcs import connect
from twopass.server.http.statuses import HttpError
from twopass.server.http.unpacking import Unpacking
from twopass.server.request import BytesInFlight, Request


async def get(message: bytes, request: Request) -> Answer:
    """Sends a message compressed in a URL."""
    config = SimpleNamespace(
        max_passage_bytes=1_000, max_query_bytes=1_000, max_http_body_bytes=1_000_000
    )
    parts = SimpleNamespace(config=config, unpacking=Unpacking(Lane("unpacking", 1)))
    [endpoint] = [
        each
        for each in connect.endpoints(parts)
        if (each.method, each.path) == ("GET", "/twopass.v1.ServerService/GetServerInfo")
    ]
    query = {
        "encoding": "json",
        "compression": "gzip",
        "base64": "1",
        "message": base64.urlsafe_b64encode(gzip.compress(message)).decode(),
    }
    asked = HttpRequest(method="GET", path=endpoint.path, query=urlencode(query))
    return await endpoint.answer(asked, request)


async def test_what_a_url_unpacks_to_needs_room():
    in_flight = BytesInFlight(100_000)
    with pytest.raises(OverloadedError):
        await get(b" " * 200_000, Request(bytes_in_flight=in_flight))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (b" " * 1_000_001, "message: 1,000,001 bytes given"),
        (b"," * 300_000, "message: 300,000 commas"),
    ],
    ids=["bytes", "values"],
)
async def test_a_url_unpacks_to_no_more_than_a_body_may_have(message, told):
    with pytest.raises(HttpError, match=told) as raised:
        await get(message, Request())
    assert raised.value.status == 413
