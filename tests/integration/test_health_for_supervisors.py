"""Health on the port of the metrics, which container runtimes and Kubernetes ask."""

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from subprocess import run

import httpx
import pytest
import trustme

from twopass.server.edge.keys import make_key
from twopass.server.telemetry.metrics import Metrics
from twopass.server.telemetry.metrics_endpoint import MetricsEndpoint
from twopass.v1.rerank_pb2 import Candidate, RerankRequest

from ..waiting import wait_until
from .serving import Server

KEYS = f"""
[[keys]]
name = "operator"
sha256 = "{make_key().sha256}"
"""
HEALTH_CHECK = Path(__file__).parents[2] / "deploy" / "image" / "health.sh"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("supervised")
    keys = folder / "keys.toml"
    keys.write_text(KEYS)
    settings = {"keys": str(keys), "open_health": False}
    with Server(folder / "data", metrics_address="127.0.0.1:0", **settings) as started:
        yield started


@pytest.fixture
def unwell(server: Server) -> Iterator[Server]:
    """The server while one of its engines does not answer."""
    server._run(server._app._tell_health(["a model"]))
    yield server
    server._run(server._app._tell_health())


def health_of(server: Server) -> int:
    try:
        url = f"http://127.0.0.1:{server._app.metrics_port}/health"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_it_is_told_without_a_key_though_the_other_ports_ask_for_one(server):
    assert health_of(server) == 200


def test_the_other_paths_have_the_metrics(server):
    url = f"http://127.0.0.1:{server._app.metrics_port}/"
    with urllib.request.urlopen(url) as answer:
        assert b"twopass_calls" in answer.read()


def test_a_server_whose_engine_is_silent_does_not_serve(unwell):
    assert health_of(unwell) == 503


def test_an_event_loop_that_is_held_up_serves_nobody(server):
    let_go = threading.Event()
    server._loop.call_soon_threadsafe(let_go.wait)
    try:
        assert health_of(server) == 503
    finally:
        let_go.set()
    wait_until(lambda: health_of(server) == 200)


def test_a_server_that_drains_does_not_serve(tmp_path):
    server = Server(tmp_path, metrics_address="127.0.0.1:0")
    server.reranker.gate.clear()
    server.reranker.entered.clear()
    under_way = server.rerank.future(RerankRequest(query="q", candidates=[Candidate(text="t")]))
    assert server.reranker.entered.wait(10)
    with ThreadPoolExecutor() as threads:
        draining = threads.submit(server._run, server._app.stop())
        try:
            wait_until(lambda: health_of(server) == 503)
        finally:
            server.reranker.gate.set()
        assert len(under_way.result().hits) == 1
        draining.result()
    server._end_loop()


@pytest.mark.parametrize("asks_for_certificates", [False, True])
def test_a_probe_by_https_needs_no_key_and_one_of_the_metrics_no_certificate(
    tmp_path, asks_for_certificates
):
    authority = trustme.CA()
    issued = authority.issue_cert("search.example")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    (tmp_path / "keys.toml").write_text(KEYS)
    settings = {name: str(tmp_path / "cert.pem") for name in ("tls_certificate", "tls_key")}
    if asks_for_certificates:
        settings["tls_client_ca"] = str(tmp_path / "ca.pem")
    with Server(
        tmp_path / "data",
        http_address="127.0.0.1:0",
        metrics_address="127.0.0.1:0",
        keys=str(tmp_path / "keys.toml"),
        **settings,
    ) as server:
        # As Kubernetes asks: by the pod's address, whatever name the certificate has.
        with httpx.Client(base_url=f"https://{server.http_target}", verify=False) as probe:
            for path in ("/health", "/v1/health/live"):
                if asks_for_certificates:
                    with pytest.raises(httpx.TransportError):
                        probe.get(path)
                else:
                    assert probe.get(path).status_code == 200
        assert health_of(server) == 200


def checked(address: str) -> tuple[int, str]:
    environment = {"TWOPASS_METRICS_ADDRESS": address}
    check = run(
        ["bash", HEALTH_CHECK], env=environment, capture_output=True, text=True, check=False
    )
    return check.returncode, check.stdout


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])
def test_the_check_of_the_image_passes_where_the_server_serves(server, host):
    assert checked(f"{host}:{server._app.metrics_port}") == (0, "200 OK\n")


def test_the_check_of_the_image_fails_where_it_does_not(unwell):
    code, said = checked(f"127.0.0.1:{unwell._app.metrics_port}")
    assert (code, said) == (1, "503 Service Unavailable\n")


def test_the_check_of_the_image_fails_where_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert checked(f"127.0.0.1:{port}") == (1, "")


def test_the_check_of_the_image_reaches_ipv6():
    endpoint = MetricsEndpoint("[::1]:0", Metrics(), lambda: True)
    try:
        assert checked(f"[::1]:{endpoint.port}") == (0, "200 OK\n")
    finally:
        endpoint.close()
