"""How answers are written: the head with the body, and nothing later than the loop's turn."""

import asyncio

import pytest

from twopass.server.http.server import _Transport

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
async def transport(written):
    return _Transport(written, asyncio.get_running_loop())


async def test_head_and_body_are_one_piece_and_further_bodies_their_own(transport, written):
    for data in (HEAD, b"ab", b"cd", HEAD, b"ef"):
        transport.write(data)
    assert written.pieces == [HEAD + b"ab", b"cd", HEAD + b"ef"]
    await asyncio.sleep(0)
    assert len(written.pieces) == 3


async def test_a_head_without_a_body_is_written_within_the_turn(transport, written):
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert written.pieces == []
    await asyncio.sleep(0)
    assert written.pieces == [b"HTTP/1.1 100 Continue\r\n\r\n"]


async def test_a_head_that_follows_a_head_loses_neither(transport, written):
    transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    transport.write(HEAD)
    transport.write(b"ab")
    await asyncio.sleep(0)
    assert b"".join(written.pieces) == b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"ab"


async def test_a_head_is_written_before_the_connection_closes(transport, written):
    transport.write(HEAD)
    transport.close()
    assert (written.pieces, written.is_closed) == ([HEAD], True)
    await asyncio.sleep(0)
    assert written.pieces == [HEAD]


async def test_all_else_is_the_transports(transport):
    assert transport.get_extra_info("peername") == "peername"
