"""The sockets of the HTTP server."""

import socket
from pathlib import Path
from typing import Any

import httpx
import pytest

from twopass.server.config_loading import load_config
from twopass.server.http.calls import TRANSPORT
from twopass.server.http.server import HttpServer


async def tell_socket(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the option of the connection's socket that has data sent at once."""
    del receive
    connected = scope["extensions"][TRANSPORT].get_extra_info("socket")
    at_once = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"at once" if at_once else b"later"})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
async def test_the_body_of_an_answer_does_not_wait_for_an_acknowledgement(tmp_path: Path, host):
    config = load_config({"data": tmp_path, "http_address": f"{host}:0"})
    server = HttpServer(config, tell_socket)
    await server.start()
    async with httpx.AsyncClient() as client:
        assert (await client.get(server.url)).text == "at once"
    await server.stop()
