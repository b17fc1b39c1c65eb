import sys
from pathlib import Path

import pytest

from twopass.commands.serve_greeting import greet
from twopass.server.config_loading import load_config
from twopass.server.serving import Serving

MODELS = (("e5", "encoder", "cpu", "int8"), ("l3", "reranker", "cpu", "int8"))


@pytest.fixture
def told(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/venv/bin/twopass"])
    monkeypatch.setenv("PATH", "/venv/bin")
    monkeypatch.chdir("/")

    def greeted(serving: Serving, **settings: object) -> str:
        greet(serving, load_config({"data": Path("d"), **settings}))
        out, err = capsys.readouterr()
        assert out == ""
        return err

    return greeted


def serving(address="127.0.0.1:50051", http_url="", num_collections=0, tei=()) -> Serving:
    return Serving(address, http_url, tuple(tei), MODELS, num_collections, "d")


def test_page_api_addresses_models_and_collections_are_told(told):
    text = told(serving(http_url="http://127.0.0.1:8080", num_collections=1_234))
    assert "page         http://127.0.0.1:8080/ui\n" in text
    assert "http://127.0.0.1:8080/docs\n" in text
    assert "gRPC         127.0.0.1:50051\n" in text
    assert "models       e5, encoder, on cpu int8\n" in text
    assert "             l3, reranker, on cpu int8\n" in text
    assert "collections  1,234 in d\n" in text
    assert text.endswith("Ctrl-C stops the server.\n")


def test_a_server_that_computes_alone_says_who_can_have_it_computed(told):
    text = told(serving(), role="engine")
    assert "venv/bin/twopass serve --engines 127.0.0.1:50051\n" in text
    assert "page" not in text
    assert "collections" not in text


def test_without_http_it_says_how_the_page_is_had(told):
    assert "page         none; --http-address 127.0.0.1:8080 has it" in told(serving())


def test_without_collections_it_says_how_documents_come_in(told):
    text = told(serving())
    assert "venv/bin/twopass index docs FOLDER\n" in text
    assert 'venv/bin/twopass search docs "a question"\n' in text


def test_commands_name_the_server_where_it_is_not_where_they_look(told):
    assert 'search docs "a question" --target 127.0.0.1:4000\n' in told(serving("127.0.0.1:4000"))
    assert 'search docs "a question" --target unix:/run/s\n' in told(serving("unix:/run/s"))


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_an_address_for_every_host_is_told_as_one_can_reach_it(told, host):
    text = told(serving(f"{host}:50051", f"http://{host}:8080", tei=[f"{host}:3000"]))
    assert "http://localhost:8080/ui" in text
    assert "gRPC         localhost:50051\n" in text
    assert "TEI's gRPC   localhost:3000\n" in text
    assert host not in text


def test_keys_and_tls_are_told_of_since_no_command_works_without_them(told):
    text = told(serving(), keys="k.toml", tls_certificate="c.pem", tls_key="c.pem")
    assert "keys         k.toml: callers need one of its keys, commands as TWOPASS_API_KEY" in text
    assert "TWOPASS_CA" in text
