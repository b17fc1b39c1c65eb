"""TLS, and what is not served in plain text."""

import json
import socket
import ssl
from pathlib import Path

import grpc
import httpx
import pytest
import trustme

from twopass.client import Client
from twopass.server.config import ConfigError
from twopass.tei.v1 import tei_pb2
from twopass.v1 import model_pb2

from .corpus import ENCODER
from .serving import Server, Stubs, code_of, server_process
from .tei_stubs import TeiStubs


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


@pytest.mark.parametrize("over", ["grpc", "http"])
def test_a_renewed_certificate_is_shown_without_a_restart(tmp_path, pki, over):
    with Server(tmp_path / "data", http_address="127.0.0.1:0", **pki.settings) as server:
        target = server.target if over == "grpc" else server.http_target
        before = shown_certificate(target)
        assert shown_certificate(target) == before
        pki.issue()
        assert shown_certificate(target) != before
        (pki.folder / "cert.pem").unlink()  # in the midst of a renewal: the old one stays
        assert shown_certificate(target)


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


def test_over_http_the_same_certificates_hold(tmp_path, pki):
    settings = pki.settings | {"tls_client_ca": str(pki.ca), "http_address": "127.0.0.1:0"}
    with Server(tmp_path / "data", **settings) as server:
        url = f"https://{server.http_target}/nothing"
        trusting = ssl.create_default_context(cafile=str(pki.ca))
        with httpx.Client(verify=trusting) as client, pytest.raises(httpx.TransportError):
            client.get(url)
        pki.authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(
            str(pki.folder / "client.pem")
        )
        trusting.load_cert_chain(pki.folder / "client.pem")
        with httpx.Client(verify=trusting) as client:
            assert client.get(url).status_code == 404
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{server.http_target}/nothing")


def test_on_ports_of_tei_the_same_certificates_hold(tmp_path, pki):
    settings = pki.settings | {"tls_client_ca": str(pki.ca), "tei_address": ["127.0.0.1:0"]}
    with Server(tmp_path / "data", **settings) as server:
        (target,) = server.tei_targets
        request = tei_pb2.InfoRequest()
        known = TeiStubs(target, credentials=pki.credentials(with_client=True))
        assert known.info(request).model_id
        for stubs in (TeiStubs(target), TeiStubs(target, credentials=pki.credentials())):
            assert code_of(stubs.info, request) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("setting", ["http_address", "tei_address"])
def test_a_taken_port_is_told_with_its_flag(tmp_path, setting):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        flag = f"--{setting.replace('_', '-')}"
        with pytest.raises(OSError, match=f"{flag} {address}: .*give another"):
            Server(tmp_path, **{setting: [address] if setting == "tei_address" else address})


def test_a_port_of_tei_for_a_model_that_is_not_held_is_told_with_those_that_are(tmp_path):
    with pytest.raises(ConfigError, match=f"'127.0.0.1:0=guess' names a model .*{ENCODER}"):
        Server(tmp_path, tei_address=["127.0.0.1:0=guess"])


def test_over_a_unix_socket_http_is_answered(tmp_path):
    path = tmp_path / "http.sock"
    with Server(tmp_path / "data", http_address=f"unix:{path}"):
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, base_url="http://server") as client:
            assert client.get("/nothing").status_code == 404


def test_pages_of_an_allowed_origin_may_ask_over_http(tmp_path):
    origin = "https://example.org"
    with Server(tmp_path, http_address="127.0.0.1:0", http_cors_origins=[origin]) as server:
        asked = {"origin": origin, "access-control-request-method": "POST"}
        answer = httpx.options(f"{server.http_url}/v1/rerank", headers=asked)
        assert answer.headers["access-control-allow-origin"] == origin
        other = httpx.options(
            f"{server.http_url}/v1/rerank", headers=asked | {"origin": "https://example.com"}
        )
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"address": "0.0.0.0:0"}, "in reach of other machines"),
        ({"address": "[::]:0"}, "in reach of other machines"),
        ({"address": "example.org:0"}, "in reach of other machines"),
        ({"http_address": "0.0.0.0:0"}, "--http-address: 0.0.0.0:0 is in reach of other machines"),
        ({"tei_address": ["0.0.0.0:0=m"]}, "--tei-address: 0.0.0.0:0 is in reach of other"),
        ({"tls_certificate": "cert.pem"}, "--tls-key: unset"),
        ({"tls_key": "key.pem"}, "--tls-certificate: unset"),
        ({"tls_client_ca": "ca.pem"}, "--tls-client-ca: set, but"),
    ],
)
def test_what_others_could_read_is_not_served_unasked(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        Server(tmp_path, **settings)
    assert not list(tmp_path.iterdir())


def test_plain_text_for_other_machines_is_served_if_asked_for(tmp_path):
    with Server(tmp_path, address="0.0.0.0:0", insecure=True) as server:
        assert server.models.ListModels(model_pb2.ListModelsRequest()).models


@pytest.mark.parametrize("flag", ["--tls-certificate", "--tls-key", "--tls-client-ca"])
def test_a_certificate_that_can_not_be_read_is_named_with_its_flag(tmp_path, pki, flag):
    settings = pki.settings | {"tls_client_ca": str(pki.ca)}
    setting = flag.removeprefix("--").replace("-", "_")
    missing = tmp_path / "none.pem"
    with pytest.raises(ConfigError, match=f"^{flag} {missing}: No such file or directory$"):
        Server(tmp_path / "data", **settings | {setting: str(missing)})
    other = tmp_path / "other.pem"
    other.write_text("no PEM at all")
    with pytest.raises(ConfigError, match=f"{flag} {other}"):
        Server(tmp_path / "data", **settings | {setting: str(other)})
