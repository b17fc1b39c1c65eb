"""Connect's protocol, as its specification has it."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from google.rpc import error_details_pb2

from twopass.server.edge.keys import make_key
from twopass.server.http.rpcs.methods import METHODS, has_no_side_effects, is_unary
from twopass.v1 import rerank_pb2, server_pb2

from ..serving import Server

RERANK = "/twopass.v1.RerankService/Rerank"
BODY = {"query": "Why is the sky blue?", "candidates": [{"text": "Air scatters."}, {"text": "x"}]}
PROTO = {"content-type": "application/proto"}


def test_json_and_bytes_answer_the_same(http: httpx.Client) -> None:
    by_json = http.post(RERANK, json=BODY)
    request = rerank_pb2.RerankRequest(
        query=BODY["query"], candidates=[{"text": "Air scatters."}, {"text": "x"}]
    )
    by_bytes = http.post(RERANK, content=request.SerializeToString(), headers=PROTO)
    assert by_json.headers["content-type"] == "application/json"
    assert by_bytes.headers["content-type"] == "application/proto"
    hits = rerank_pb2.RerankResponse.FromString(by_bytes.content).hits
    assert [hit.get("index", 0) for hit in by_json.json()["hits"]] == [hit.index for hit in hits]
    assert by_json.json()["hits"][0]["score"] == pytest.approx(hits[0].score)


def test_names_are_lower_camel_case_and_unknown_fields_are_ignored(http: httpx.Client) -> None:
    answer = http.post(RERANK, json=BODY | {"topN": 1, "fromTheFuture": {"a": [1]}})
    assert len(answer.json()["hits"]) == 1
    assert "numTokens" in answer.json()


@pytest.mark.parametrize("compression", ["identity", "gzip"])
@pytest.mark.parametrize("encoding", ["json", "proto"])
def test_what_changes_nothing_answers_a_get(
    http: httpx.Client, encoding: str, compression: str
) -> None:
    message = b"{}" if encoding == "json" else b""
    if compression == "gzip":
        message = gzip.compress(message)
    parameters = {
        "connect": "v1",
        "encoding": encoding,
        "compression": compression,
        "base64": "1",
        "message": base64.urlsafe_b64encode(message).decode().rstrip("="),
    }
    answer = http.get("/twopass.v1.ServerService/GetServerInfo", params=parameters)
    assert answer.status_code == 200
    if encoding == "json":
        assert answer.json()["server"]["version"]
    else:
        assert server_pb2.GetServerInfoResponse.FromString(answer.content).server.version


def test_what_changes_something_answers_no_get(http: httpx.Client) -> None:
    path = "/twopass.v1.CollectionService/DeleteCollection"
    answer = http.get(path, params={"encoding": "json", "message": '{"name": "a"}'})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"message": "{}"}, "encoding: nothing given"),
        ({"encoding": "xml", "message": ""}, "encoding: xml given"),
        ({"encoding": "json"}, "message: missing"),
        ({"encoding": "json", "message": "!", "base64": "1"}, "message: no base64"),
        ({"encoding": "json", "message": "{}", "compression": "br"}, "compression: 'br' given"),
        ({"encoding": "json", "message": "{}", "connect": "v2"}, "connect-protocol-version: '2'"),
        ({"encoding": "proto", "message": "%ff"}, "not a twopass.v1.GetServerInfoRequest"),
    ],
)
def test_a_get_that_is_malformed_is_told_why(
    http: httpx.Client, parameters: dict[str, str], told: str
) -> None:
    answer = http.get("/twopass.v1.ServerService/GetServerInfo", params=parameters)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")
    assert answer.json()["message"].startswith(told)


def test_another_version_of_the_protocol_is_refused(http: httpx.Client) -> None:
    answer = http.post(RERANK, json=BODY, headers={"connect-protocol-version": "2"})
    assert answer.status_code == 400
    answer = http.post(RERANK, json=BODY, headers={"connect-protocol-version": "1"})
    assert answer.status_code == 200


def test_other_content_types_are_told_which_there_are(http: httpx.Client) -> None:
    answer = http.post(RERANK, content=b"a", headers={"content-type": "application/x"})
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/json, application/proto"


def test_bytes_that_are_no_message_are_an_invalid_argument(http: httpx.Client) -> None:
    answer = http.post(RERANK, content=b"\xff\xff", headers=PROTO)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not is_unary(method)])
def test_streams_are_told_to_go_over_grpc(http: httpx.Client, name: str) -> None:
    service, _, method = name.rpartition(".")
    path = f"/{service}/{method}"
    answer = http.post(path, json={})
    assert (answer.status_code, answer.json()["code"]) == (501, "unimplemented")
    streamed = http.post(path, content=b"", headers={"content-type": "application/connect+proto"})
    assert streamed.status_code == 200
    assert streamed.headers["content-type"] == "application/connect+proto"
    assert streamed.content[0] == 2  # the flag of a stream's end
    length = int.from_bytes(streamed.content[1:5], "big")
    error = json.loads(streamed.content[5:])["error"]
    assert len(streamed.content) == 5 + length
    assert error["code"] == "unimplemented"
    assert "gRPC" in error["message"]


@pytest.mark.parametrize("name", list(METHODS))
def test_every_rpc_answers_under_its_own_name(http: httpx.Client, name: str) -> None:
    service, _, method = name.rpartition(".")
    answer = http.post(f"/{service}/{method}", json={"name": "NO", "collection": "NO"})
    assert answer.status_code in (200, 400, 404, 501)
    if has_no_side_effects(METHODS[name]):
        by_get = http.get(
            f"/{service}/{method}",
            params={"encoding": "json", "message": '{"name": "NO", "collection": "NO"}'},
        )
        assert by_get.status_code == answer.status_code


READER, ADMIN, LATER = make_key(), make_key(), make_key()


@pytest.fixture(scope="module")
def closed(tmp_path_factory) -> Iterator[httpx.Client]:
    """A client of a server that wants keys."""
    folder: Path = tmp_path_factory.mktemp("connect-keys")
    keys = folder / "keys.toml"
    keys.write_text(
        f"""
        [[keys]]
        name = "reader"
        sha256 = "{READER.sha256}"
        role = "reader"
        collections = ["mine-*"]

        [[keys]]
        name = "admin"
        sha256 = "{ADMIN.sha256}"

        [[keys]]
        name = "later"
        sha256 = "{LATER.sha256}"
        calls_per_second = 0.01
        """
    )
    with (
        Server(folder / "data", keys=str(keys), http_address="127.0.0.1:0") as server,
        httpx.Client(base_url=server.http_url, timeout=60) as client,
    ):
        yield client


def with_key(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


def test_keys_roles_and_collections_are_those_of_grpc(closed: httpx.Client) -> None:
    create = "/twopass.v1.CollectionService/CreateCollection"
    get = "/twopass.v1.CollectionService/GetCollection"
    none = closed.post(get, json={"name": "mine-1"})
    assert (none.status_code, none.json()["code"]) == (401, "unauthenticated")
    assert none.headers["www-authenticate"] == "Bearer"
    too_low = closed.post(create, json={"name": "mine-1"}, headers=with_key(READER.secret))
    assert (too_low.status_code, too_low.json()["code"]) == (403, "permission_denied")
    made = closed.post(create, json={"name": "mine-1"}, headers=with_key(ADMIN.secret))
    assert made.status_code == 200
    closed.post(create, json={"name": "theirs"}, headers=with_key(ADMIN.secret))
    own = closed.post(get, json={"name": "mine-1"}, headers=with_key(READER.secret))
    assert own.json()["collection"]["name"] == "mine-1"
    for answer in (
        closed.post(get, json={"name": "theirs"}, headers=with_key(READER.secret)),
        closed.get("/api/v1/collections/theirs", headers=with_key(READER.secret)),
        closed.post(
            "/api/v1/search/batch",
            json={"searches": [{"collection": "theirs", "query": "a"}]},
            headers=with_key(READER.secret),
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "permission_denied")


def test_what_waiting_mends_says_how_long(closed: httpx.Client) -> None:
    path = "/twopass.v1.ModelService/ListModels"
    answers = [closed.post(path, json={}, headers=with_key(LATER.secret)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    late = answers[1]
    assert int(late.headers["retry-after"]) >= 1
    details = {each["type"]: each for each in late.json()["details"]}
    detail = details["google.rpc.RetryInfo"]
    padded = detail["value"] + "=" * (-len(detail["value"]) % 4)
    info = error_details_pb2.RetryInfo.FromString(base64.b64decode(padded))
    assert info.retry_delay.ToMilliseconds() == int(late.headers["retry-after-ms"])
    assert detail["debug"]["retryDelay"].endswith("s")
