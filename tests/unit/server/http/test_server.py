"""How answers are written: the head together with the body."""

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
