"""A server that computes models alone: what it serves, to whom, and over what."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc

from twopass.engines.errors import EngineUnavailableError
from twopass.server.config import ConfigError
from twopass.server.config_loading import load_config
from twopass.server.config_values import ServerRole
from twopass.server.edge.keys import make_key
from twopass.server.engine_app import EngineApp
from twopass.server.workers.connection import Connection, Wire
from twopass.v1 import rerank_pb2, search_pb2

from .serving import Server, Stubs, code_of

RERANK = rerank_pb2.RerankRequest(
    query="who discovered penicillin?",
    candidates=[rerank_pb2.Candidate(text=text) for text in ("Fleming did.", "Whales are large.")],
)


@contextmanager
def engine(**settings: Any) -> Iterator[EngineApp]:
    """A server with the role engine in a thread of this process."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="engine")
    thread.start()
    fixed = {"role": ServerRole.ENGINE, "address": "127.0.0.1:0", "threads": 1}
    app = EngineApp(load_config(fixed | settings))
    asyncio.run_coroutine_threadsafe(app.start(), loop).result()
    try:
        yield app
    finally:
        asyncio.run_coroutine_threadsafe(app.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[EngineApp]:
    with engine(metrics_address="127.0.0.1:0") as running:
        yield running


def test_it_answers_no_search_and_no_rerank(plain):
    stubs = Stubs(f"127.0.0.1:{plain.port}")
    assert code_of(stubs.rerank, RERANK) is grpc.StatusCode.UNIMPLEMENTED
    search = search_pb2.SearchRequest(collection="c", query="q")
    assert code_of(stubs.search, search) is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("service", ["", "twopass.engine.v1.EngineService"])
def test_its_health_is_that_of_its_engines(plain, service):
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(f"127.0.0.1:{plain.port}"))
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_supervisors_and_prometheus_ask_it_over_http(plain):
    url = f"http://127.0.0.1:{plain.metrics_port}"
    assert httpx.get(f"{url}/health").text == "serving\n"
    assert "twopass_engine_tokens_per_second" in httpx.get(f"{url}/metrics").text


def test_it_makes_no_folder_for_collections(tmp_path):
    with engine(data=tmp_path / "data"):
        assert not (tmp_path / "data").exists()


def test_an_engine_that_has_its_models_computed_elsewhere_is_refused():
    config = load_config({"role": ServerRole.ENGINE, "engines": ["localhost:1"]})
    with pytest.raises(ConfigError, match="--engines: set, but a server with --role engine"):
        EngineApp(config)


def test_over_tls_with_a_key_a_server_in_front_is_served_and_nobody_else(tmp_path: Path):
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    (tmp_path / "key.pem").write_bytes(issued.private_key_pem.bytes())
    (tmp_path / "cert.pem").write_bytes(b"".join(c.bytes() for c in issued.cert_chain_pems))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    key = make_key()
    (tmp_path / "keys.toml").write_text(
        f'[[keys]]\nname = "front"\nsha256 = "{key.sha256}"\nrole = "reader"\n'
    )
    (tmp_path / "key").write_text(f"{key.secret}\n")
    trusted = {"engines_ca": str(tmp_path / "ca.pem")}
    with_key = trusted | {"engines_key_file": str(tmp_path / "key")}
    served = {
        "tls_certificate": str(tmp_path / "cert.pem"),
        "tls_key": str(tmp_path / "key.pem"),
        "keys": str(tmp_path / "keys.toml"),
    }
    with engine(**served) as running:
        place = f"dns:///localhost:{running.port}"
        with Server(tmp_path / "data", gated=False, engines=[place], **with_key) as front:
            assert code_of(front.rerank, RERANK) is grpc.StatusCode.OK
        target = f"127.0.0.1:{running.port}"
        for settings, told in (
            (trusted, "no API key"),
            ({}, "127.0.0.1"),  # plain text to a port that speaks TLS
        ):
            connection = Connection(target, Wire.of(load_config(settings)), "localhost")
            with pytest.raises(Exception, match=told) as raised:
                connection.describe(30).result(30)
            if settings:
                assert isinstance(raised.value, EngineUnavailableError)
            connection.close()
