"""What clients ask before they embed: which models there are, and whether the server answers."""

import httpx
import pytest

from twopass.server.config import ServerConfig
from twopass.server.edge.keys import make_key

from ..serving import Server

ENCODER, RERANKER = ServerConfig().encoder, ServerConfig().reranker


def test_openais_clients_find_every_model_with_the_default_encoder_first(http):
    body = http.get("/v1/models").json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"][:2]] == [ENCODER, RERANKER]
    for model in body["data"]:
        assert (model["object"], model["owned_by"]) == ("model", "twopass")
        assert model["created"] > 1_700_000_000
        assert (model["root"], model["parent"]) == (model["id"], None)
    kinds = {model["id"]: model["kind"] for model in body["data"]}
    assert (kinds[ENCODER], kinds[RERANKER]) == ("encoder", "reranker")


def test_one_model_is_told_by_its_id(http):
    listed = {model["id"]: model for model in http.get("/v1/models").json()["data"]}
    for name, told in listed.items():
        assert http.get(f"/v1/models/{name}").json() == told
    response = http.get("/v1/models/org/nobody")
    assert response.status_code == 404
    assert "'org/nobody'" in response.json()["error"]["message"]


def test_below_a_models_prefix_there_is_that_model_alone(http):
    for name in (ENCODER, RERANKER):
        for path in ("/v1/models", "/infinity/models"):
            models = http.get(f"/models/{name}{path}").json()["data"]
            assert [model["id"] for model in models] == [name]


def test_infinitys_clients_find_what_they_require(http):
    for model in http.get("/infinity/models").json()["data"]:
        assert model["owned_by"] == "infinity"
        assert model["stats"]["queue_fraction"] == 0
        assert model["backend"] == "cpu"
        wanted = ["embed"] if model["id"] == ENCODER else ["rerank", "classify"]
        assert model["capabilities"] == wanted


def test_nims_clients_are_told_that_the_server_lives_and_answers(http):
    for path, status in (("live", "live"), ("ready", "ready")):
        assert http.get(f"/v1/health/{path}").json() == {
            "object": "health.response",
            "message": f"Service is {status}.",
            "status": status,
        }
    models = http.get("/v1/metadata").json()["modelInfo"]
    assert {model["shortName"] for model in models} >= {ENCODER, RERANKER}
    assert http.get("/infinity/health").json()["unix"] > 1_700_000_000


@pytest.mark.parametrize("path", ["/metrics", "/v1/metrics"])
def test_metrics_are_those_of_the_port_of_their_own(http, path):
    http.post("/v1/embeddings", json={"input": "a"})
    response = http.get(path)
    assert response.headers["content-type"].startswith("text/plain")
    assert 'twopass_rpc_seconds_count{code="OK",rpc="openai.embeddings"}' in response.text
    assert "twopass_queue_pairs" in response.text
    openmetrics = http.get(path, headers={"accept": "application/openmetrics-text"})
    assert openmetrics.text.endswith("# EOF\n")


@pytest.mark.parametrize("is_open", [True, False])
def test_with_keys_metrics_are_for_those_that_may_use_every_collection(tmp_path, is_open):
    every, some = make_key(), make_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(
        f'[[keys]]\nname = "every"\nsha256 = "{every.sha256}"\nrole = "reader"\n'
        f'[[keys]]\nname = "some"\nsha256 = "{some.sha256}"\ncollections = ["mine"]\n'
    )
    settings = {"keys": str(keys), "http_address": "127.0.0.1:0", "open_health": is_open}
    with (
        Server(tmp_path / "data", **settings) as server,
        httpx.Client(base_url=server.http_url) as client,
    ):

        def status(path: str, key: str = "") -> int:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            return client.get(path, headers=headers).status_code

        found = [status("/metrics", key) for key in ("", some.secret, every.secret)]
        assert found == [401, 403, 200]
        assert status("/v1/models") == 401
        assert status("/v1/models", some.secret) == 200
        for path in ("/v1/health/live", "/v1/health/ready", "/infinity/health"):
            assert status(path) == (200 if is_open else 401)
