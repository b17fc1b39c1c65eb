"""What a client says where no server answers: each case on a real socket."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest
import trustme

from twopass.client import DeadlineExceededError, UnavailableError


def failure(client):
    with pytest.raises(UnavailableError) as raised:
        client.models()
    return raised.value.reason, raised.value.message


@contextmanager
def listening(backlog: int = 50) -> Iterator[tuple[socket.socket, str]]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener, f"127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def answering(content: bytes) -> Iterator[str]:
    """Something that sends the same to everyone and hangs up."""

    def serve() -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                accepted.sendall(content)

    with listening() as (listener, target):
        thread = threading.Thread(target=serve)
        thread.start()
        yield target
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def over_tls(authority: trustme.CA, name: str, *, asks: bool = False) -> Iterator[str]:
    """A server of gRPC without services, its certificate for a name."""
    issued = authority.issue_cert(name)
    chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
    credentials = grpc.ssl_server_credentials(
        [(issued.private_key_pem.bytes(), chain)], authority.cert_pem.bytes(), asks
    )
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def trusting(authority: trustme.CA) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(authority.cert_pem.bytes())


def test_where_nothing_listens_the_sentence_says_how_a_server_is_started(connect):
    with listening() as (_, target):
        pass
    reason, message = failure(connect(target))
    assert reason == "CONNECTION_REFUSED"
    assert message == (
        f"connection refused: is a server running at {target}? start one with: "
        f"twopass serve --address {target}"
    )


def test_an_unknown_name_is_told_as_one(connect):
    reason, message = failure(connect("nowhere.invalid:1"))
    assert reason == "NAME_UNKNOWN"
    assert "nowhere.invalid:1" in message


def test_a_machine_that_drops_packets_is_given_up_before_the_deadline(connect):
    with listening(backlog=0) as (_, target):
        host, port = target.split(":")
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # once the backlog is full, Linux drops what else comes
            each.setblocking(False)
            each.connect_ex((host, int(port)))
        reason, message = failure(connect(target, timeout=60))
        for each in waiting:
            each.close()
    assert reason == "NO_ANSWER"
    assert message.startswith(f"no answer from {target} within 5 s")


def test_what_listens_and_says_nothing_is_given_up_before_the_deadline(connect):
    with listening() as (_, target):
        reason, message = failure(connect(target, timeout=60))
    assert (reason, "said nothing within 5 s" in message) == ("NOT_GRPC", True)


def test_a_port_of_http_is_told_as_one(connect):
    with answering(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n") as target:
        reason, message = failure(connect(target))
    assert reason == "NOT_GRPC"
    assert "the port for gRPC is another, 50051" in message


def test_plain_text_to_a_server_with_tls_asks_for_an_authority(connect, authority):
    with over_tls(authority, "127.0.0.1") as target:
        reason, message = failure(connect(target))
    assert reason == "CONNECTION_CLOSED"
    assert "if the server there speaks TLS, give `ca`, a PEM file" in message
    assert "or to `Client` itself `credentials`" in message


def test_tls_to_a_server_without_says_so(connect, serve, authority):
    target = serve()
    reason, message = failure(connect(target, credentials=trusting(authority)))
    assert reason == "NOT_TLS"
    assert message.startswith(f"{target} does not speak TLS: leave out `ca` (and TWOPASS_CA)")


def test_a_certificate_of_another_authority_is_told_as_one(connect, authority):
    with over_tls(authority, "127.0.0.1") as target:
        reason, message = failure(connect(target, credentials=trusting(trustme.CA())))
    assert reason == "NOT_TRUSTED"
    assert "give the authority's certificate as `ca`" in message


def test_a_certificate_for_another_name_is_told_as_one(connect, authority):
    with over_tls(authority, "search.example") as target:
        reason, _ = failure(connect(target, credentials=trusting(authority)))
    assert reason == "OTHER_NAME"


def test_a_server_that_asks_for_a_certificate_is_told_as_one(connect, authority):
    with over_tls(authority, "127.0.0.1", asks=True) as target:
        reason, message = failure(connect(target, credentials=trusting(authority)))
    assert reason == "CERTIFICATE_NEEDED"
    assert "give one as `client_certificate` and `client_key`" in message


def test_a_stream_tells_it_too(connect):
    with listening() as (_, target):
        pass
    with pytest.raises(UnavailableError, match=f"is a server running at {target}") as raised:
        connect(target).upsert("docs", [{"id": "a", "text": "one"}])
    assert raised.value.reason == "CONNECTION_REFUSED"


def test_a_late_answer_names_the_server_and_the_time(connect):
    with (
        listening() as (_, target),
        pytest.raises(DeadlineExceededError, match=f"no answer from {target} within 0.2 s"),
    ):
        connect(target, timeout=0.2).models()


def test_a_control_plane_that_is_not_reached_is_told_as_such(connect, monkeypatch):
    plane = {"server_uri": "127.0.0.1:1", "channel_creds": [{"type": "insecure"}]}
    bootstrap = {"xds_servers": [plane | {"server_features": ["xds_v3"]}], "node": {"id": "test"}}
    monkeypatch.setenv("GRPC_XDS_BOOTSTRAP_CONFIG", json.dumps(bootstrap))
    reason, message = failure(connect("xds:///search"))
    assert reason == "UNREACHABLE"
    assert message.startswith("the control plane of xds:///search, or a server that it named, was")
    assert "Connection refused" in message
