"""How answers are written: the head together with the body."""

import pytest

from twopass.server.http.server import _Transport

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


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


def test_head_and_body_are_one_piece_and_further_bodies_their_own(transport, written):
    for data in (HEAD, b"ab", b"cd", HEAD, b"ef"):
        transport.write(data)
    assert written.pieces == [HEAD + b"ab", b"cd", HEAD + b"ef"]


def test_a_client_that_asks_whether_to_send_its_body_is_told_at_once(transport, written):
    transport.write(CONTINUE)
    assert written.pieces == [CONTINUE]
    transport.write(HEAD)
    transport.write(b"ab")
    assert written.pieces == [CONTINUE, HEAD + b"ab"]


def test_an_answer_without_a_body_is_its_head(transport, written):
    transport.write(HEAD)
    transport.write(b"")
    assert written.pieces == [HEAD]


def test_a_head_is_written_before_the_connection_closes(transport, written):
    transport.write(HEAD)
    transport.close()
    assert (written.pieces, written.is_closed) == ([HEAD], True)


def test_all_else_is_the_transports(transport):
    assert transport.get_extra_info("peername") == "peername"
