"""How answers are written, the head together with the body, and how heads of requests are told."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn
from uvicorn.server import ServerState

from twopass.server.http.server import _Connection, _Transport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Written:
    """A transport that keeps what is written."""

    def __init__(self):
        self.pieces = []
        self.is_closed = False

    def write(self, data):
        assert not self.is_closed
        self.pieces.append(data)

    def close(self):
        self.is_closed = True

    def get_extra_info(self, name):
        return name


@pytest.fixture
def written():
    return Written()


@pytest.fixture
def transport(written):
    return _Transport(written)


def test_what_is_held_is_written_as_one_piece_and_all_else_as_it_comes(transport, written):
    transport.write(b"before")
    transport.hold()
    transport.write(HEAD)
    transport.write(b"ab")
    assert written.pieces == [b"before"]
    transport.flush()
    transport.write(b"cd")
    assert written.pieces == [b"before", HEAD + b"ab", b"cd"]


def test_nothing_held_is_nothing_written(transport, written):
    transport.hold()
    transport.flush()
    transport.flush()
    assert written.pieces == []


def test_what_is_held_is_written_before_the_connection_closes(transport, written):
    transport.hold()
    transport.write(HEAD)
    transport.close()
    assert (written.pieces, written.is_closed) == ([HEAD], True)


def test_all_else_is_the_transports(transport):
    assert transport.get_extra_info("peername") == "peername"


class Connected(Written):
    """A transport of a connection that has no other end."""

    def __init__(self, connected):
        super().__init__()
        self._socket = connected

    def get_extra_info(self, name):
        return self._socket if name == "socket" else None

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class OneTurn:
    """The event loop, whose clock stands still, as libuv's does within a millisecond."""

    def __init__(self, loop):
        self._loop = loop
        self._began = loop.time()

    def time(self):
        return self._began

    def __getattr__(self, name):
        return getattr(self._loop, name)


@pytest.fixture
async def connection() -> AsyncIterator[_Connection]:
    ended = asyncio.Event()

    async def wait(scope, receive, send):
        await ended.wait()

    config = uvicorn.Config(wait, lifespan="off", ws="none", log_config=None)
    one, other = socket.socketpair()
    with one, other:
        made = _Connection(
            config=config,
            server_state=ServerState(),
            app_state={},
            _loop=OneTurn(asyncio.get_running_loop()),
        )
        made.connection_made(Connected(one))
        yield made
        ended.set()
        while made.tasks:
            await asyncio.gather(*made.tasks)


async def test_the_bytes_of_a_body_are_no_heads_though_heads_begin_at_one_time(connection):
    connection.data_received(b"GET /one HTTP/1.1\r\nhost: ")
    body = b"POST /two HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"a" * 100_000
    connection.data_received(b"x\r\n\r\n" + body + b"GET /three HTTP/1.1\r\nhost: ")
    assert connection.transport._transport.pieces == []
    connection.data_received(b"x" * 70_000)
    assert connection.transport._transport.pieces[0].startswith(b"HTTP/1.1 431 ")
