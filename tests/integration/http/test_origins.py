"""What a browser would send for web pages, to a real server; and what programs send."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from ..serving import Server

EVIL = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
FORM = {"content-type": "text/plain"}
RERANK = json.dumps({"query": "sky", "documents": ["The sky is blue.", "Cheese is made of milk."]})

OURS = {"query": "sky", "candidates": [{"text": "The sky is blue."}]}

# Every way in that changes or computes something, and how its refusal looks.
DOORS = [
    ("POST", "/v1/rerank", RERANK),
    ("POST", "/rerank", json.dumps({"query": "sky", "texts": ["a"]})),
    ("POST", "/", json.dumps({"inputs": "a"})),
    ("POST", "/v1/embeddings", json.dumps({"input": "a"})),
    ("POST", "/models/all-MiniLM-L6-v2/embed", json.dumps({"inputs": "a"})),
    ("POST", "/infinity/rerank", RERANK),
    ("POST", "/weaviate/vectors", json.dumps({"text": "a"})),
    ("POST", "/v1/ranking", "{}"),
    ("POST", "/api/v1/collections", "{}"),
    ("DELETE", "/api/v1/collections/docs", ""),
    ("POST", "/twopass.v1.RerankService/Rerank", "{}"),
]


def _port(server: Server) -> int:
    return httpx.URL(server.http_url).port or 0


@pytest.fixture
def collection(http: httpx.Client) -> Iterator[str]:
    path = "/api/v1/collections"
    http.post(path, json={"name": "kept"}).raise_for_status()
    yield f"{path}/kept"
    http.delete(f"{path}/kept").raise_for_status()


@pytest.mark.parametrize(("method", "path", "body"), DOORS, ids=lambda part: part[:40])
@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
def test_no_door_answers_a_page_of_another_origin(http, method, path, body, origin):
    answer = http.request(method, path, content=body, headers=FORM | EVIL | {"origin": origin})
    assert answer.status_code == 403
    assert "--http-cors-origins" in answer.text
    assert "access-control-allow-origin" not in answer.headers


def test_a_refusal_is_told_in_the_dialect_that_was_asked(http):
    ours = http.post("/api/v1/collections", json={"name": "a"}, headers=EVIL).json()
    assert ours["code"] == "permission_denied"
    assert ours["message"].startswith("origin: 'https://evil.example' given")
    tei = http.post("/embed", json={"inputs": "a"}, headers=EVIL).json()
    assert tei["error"].endswith(ours["message"])
    cohere = http.post("/v1/rerank", content=RERANK, headers=EVIL).json()
    assert cohere["message"] == cohere["error"]["message"] == ours["message"]


def test_neither_a_form_of_another_page_nor_a_name_that_leads_here_deletes(http, collection):
    evil = {"host": "evil.example", "origin": "http://evil.example"}
    assert http.delete(collection, headers=EVIL).status_code == 403
    assert http.delete(collection, headers=evil).status_code == 403
    assert http.get(collection, headers=evil).status_code == 403
    assert http.get(collection).status_code == 200


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/server.json", "/docs", "/metrics", "/health"])
def test_a_name_that_was_made_to_lead_here_reads_nothing(http, path):
    assert http.get(path).status_code == 200
    answer = http.get(path, headers={"host": "evil.example:8080", "accept": "text/html"})
    assert answer.status_code == 403
    assert "--http-cors-origins http://evil.example:8080" in answer.text


@pytest.mark.parametrize("host", ["localhost", "search.localhost", "127.0.0.1", "[::1]"])
def test_the_page_asks_its_own_server_by_any_name_of_the_machine(http_server, http, host):
    own = f"{host}:{_port(http_server)}"
    for headers in (
        {"host": own, "origin": f"http://{own}"},
        {"host": own, "origin": f"http://{own}", "sec-fetch-site": "same-origin"},
    ):
        answer = http.post("/api/v1/rerank", json=OURS, headers=headers)
        assert answer.status_code == 200, answer.text


def test_pages_of_the_flag_ask_and_others_do_not(tmp_path):
    allowed = "https://search.example"
    with (
        Server(tmp_path, http_address="127.0.0.1:0", http_cors_origins=[f"{allowed}/"]) as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        answer = client.post("/v1/rerank", content=RERANK, headers={"origin": allowed})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == allowed
        assert client.get("/ui", headers={"host": "search.example"}).status_code == 200
        other = client.post("/v1/rerank", content=RERANK, headers=EVIL)
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers


def test_with_keys_every_name_is_taken_and_pages_of_other_origins_are_not(tmp_path):
    keys = tmp_path / "keys.toml"
    keys.write_text('[[keys]]\nname = "a"\nsha256 = "' + "0" * 64 + '"\n')
    with (
        Server(tmp_path / "data", keys=str(keys), http_address="127.0.0.1:0") as server,
        httpx.Client(base_url=server.http_url) as client,
    ):
        named = {"host": "search.example"}
        assert client.get("/ui", headers=named).status_code == 200
        assert client.get("/api/v1/collections", headers=named).status_code == 401
        assert client.post("/v1/rerank", content=RERANK, headers=EVIL).status_code == 403


@pytest.mark.parametrize("head", ["HTTP/1.0\r\n", "HTTP/1.0\r\nhost:\r\n", "HTTP/1.1\r\n"])
def test_a_program_that_names_no_host_is_answered(http_server, head):
    with socket.create_connection(("127.0.0.1", _port(http_server)), timeout=20) as connection:
        connection.sendall(f"GET /health {head}\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_curl_is_answered(http_server, host):
    url = f"http://{host}:{_port(http_server)}/v1/rerank"
    told = subprocess.run(["curl", "-sS", url, "-d", RERANK], capture_output=True, check=True)
    assert len(json.loads(told.stdout)["results"]) == 2


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
def test_fetch_of_node_is_answered(http_server):
    script = """
      const answer = await fetch(process.argv[1], {method: "POST", body: process.argv[2]});
      console.log(answer.status);
    """
    command = ["node", "--input-type=module", "-e", script]
    told = subprocess.run(
        [*command, f"{http_server.http_url}/v1/rerank", RERANK], capture_output=True, check=True
    )
    assert told.stdout.strip() == b"200"
