"""TLS, and what is not served in plain text."""

import json
import socket
import ssl
from pathlib import Path

import grpc
import pytest
import trustme

from twopass.client import Client
from twopass.server.config import ConfigError
from twopass.v1 import model_pb2

from .serving import Server, Stubs, code_of, server_process


class Pki:
    """An authority, and files of what it has issued."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self.ca = folder / "ca.pem"
        self.authority.cert_pem.write_to_path(str(self.ca))
        self.issue()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "tls_certificate": str(self.folder / "cert.pem"),
            "tls_key": str(self.folder / "key.pem"),
        }

    def issue(self) -> None:
        """Writes a new certificate for the server, as a renewal does: whole files, renamed."""
        issued = self.authority.issue_cert("localhost", "127.0.0.1")
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        for name, content in (("key.pem", issued.private_key_pem.bytes()), ("cert.pem", chain)):
            (self.folder / "new").write_bytes(content)
            (self.folder / "new").rename(self.folder / name)

    def credentials(self, *, with_client: bool = False) -> grpc.ChannelCredentials:
        key = chain = None
        if with_client:
            issued = self.authority.issue_cert("client")
            key, chain = issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
        return grpc.ssl_channel_credentials(self.ca.read_bytes(), key, chain)


@pytest.fixture
def pki(tmp_path) -> Pki:
    (tmp_path / "pki").mkdir()
    return Pki(tmp_path / "pki")


def shown_certificate(target: str) -> str:
    host, port = target.split(":")
    return ssl.get_server_certificate((host, int(port)))


def test_over_tls_a_client_is_served_and_plain_text_is_not(tmp_path, pki):
    with Server(tmp_path / "data", **pki.settings) as server:
        with Client(server.target, credentials=pki.credentials()) as client:
            assert len(client.models()) == 2
        plain = server.models.ListModels
        assert code_of(plain, model_pb2.ListModelsRequest()) is grpc.StatusCode.UNAVAILABLE


def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path, pki):
    with Server(tmp_path / "data", **pki.settings) as server:
        before = shown_certificate(server.target)
        assert shown_certificate(server.target) == before
        pki.issue()
        assert shown_certificate(server.target) != before
        (pki.folder / "cert.pem").unlink()  # in the midst of a renewal: the old one stays
        assert shown_certificate(server.target)


def test_what_grpc_itself_says_of_a_bad_handshake_is_an_object_of_the_json_log(tmp_path, pki):
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in pki.settings.items()]
    with server_process(tmp_path / "data", *flags) as (process, target):
        host, port = target.rsplit(":", 1)
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            assert connection.recv(1) == b""  # the server ends it
        process.terminate()
        assert process.stderr is not None
        lines = [json.loads(line) for line in process.stderr]
    assert any(x["logger"] == "native" and "Handshake failed" in x["message"] for x in lines)
    assert lines[-1]["message"] == "stopped"


def test_where_clients_are_asked_for_certificates_none_comes_in_without(tmp_path, pki):
    with Server(tmp_path / "data", tls_client_ca=str(pki.ca), **pki.settings) as server:
        with Client(server.target, credentials=pki.credentials(with_client=True)) as client:
            assert len(client.models()) == 2
        without = Stubs(server.target, credentials=pki.credentials())
        request = model_pb2.ListModelsRequest()
        assert code_of(without.models.ListModels, request) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "0.0.0.0:0"}, "in reach of other machines"),
        ({"address": "[::]:0"}, "in reach of other machines"),
        ({"address": "example.org:0"}, "in reach of other machines"),
        ({"tls_certificate": "cert.pem"}, "tls_key: unset"),
        ({"tls_key": "key.pem"}, "tls_certificate: unset"),
        ({"tls_client_ca": "ca.pem"}, "tls_client_ca: set, but"),
    ],
)
def test_what_others_could_read_is_not_served_unasked(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        Server(tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_plain_text_for_other_machines_is_served_if_asked_for(tmp_path):
    with Server(tmp_path, address="0.0.0.0:0", insecure=True) as server:
        assert server.models.ListModels(model_pb2.ListModelsRequest()).models


def test_a_certificate_that_can_not_be_read_is_named(tmp_path):
    missing = str(tmp_path / "none.pem")
    with pytest.raises(OSError, match=r"none\.pem"):
        Server(tmp_path / "data", tls_certificate=missing, tls_key=missing)
