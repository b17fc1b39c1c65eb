"""Ranking as NVIDIA's NIM has it."""

from typing import Any

import httpx
import pytest

from twopass.v1 import rerank_pb2

QUERY = "How many people live in Berlin?"
PASSAGES = ["Paris is in France.", "Berlin has 3.7 million people.", "Cats eat mice."]
LONG = "The report goes on about the weather in the mountains. " * 60


def rank(http: httpx.Client, path: str = "/v1/ranking", **fields: Any) -> httpx.Response:
    passages = [{"text": text} for text in fields.pop("passages", PASSAGES)]
    body = {"model": "nvidia/nv-rerankqa", "query": {"text": QUERY}, "passages": passages}
    return http.post(path, json=body | fields)


def rankings(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["rankings"]
    return found


@pytest.mark.parametrize(
    "path",
    ["/v1/ranking", "/v1/retrieval/nvidia/nv-rerankqa/reranking", "/v1/retrieval/m/reranking"],
)
def test_passages_come_best_first_with_their_logits(http, http_server, path):
    request = rerank_pb2.RerankRequest(
        query=QUERY, candidates=[{"text": text} for text in PASSAGES]
    )
    expected = [
        {"index": hit.index, "logit": hit.logit} for hit in http_server.rerank(request).hits
    ]
    assert rankings(rank(http, path)) == expected


def test_tokens_are_counted(http):
    usage = rank(http).json()["usage"]
    assert usage["prompt_tokens"] == usage["total_tokens"] > 0


@pytest.mark.parametrize("name", ["top_k", "top_n"])
def test_litellm_and_ragflow_may_ask_for_fewer(http, name):
    assert rankings(rank(http, **{name: 2})) == rankings(rank(http))[:2]


def test_the_model_of_the_path_counts_where_the_body_has_its_name_mangled(http):
    path = "/v1/retrieval/{}/reranking"
    assert len(rankings(rank(http, path.format("twopass-minilm-l3"), model="twopass.minilm"))) == 3
    encoder = rank(http, path.format("all-MiniLM-L6-v2"), model="all-MiniLM-L6.v2")
    assert encoder.status_code == 404


@pytest.mark.parametrize("truncate", [None, "END"])
def test_long_passages_are_cut_unless_a_request_refuses_it(http, truncate):
    response = rank(http, passages=[LONG, PASSAGES[1]], truncate=truncate)
    assert rankings(response)[0]["index"] == 1
    assert response.headers["x-twopass-documents-truncated"] == "1"


def test_without_truncation_a_long_passage_is_refused(http):
    refused = rank(http, passages=["short", LONG], truncate="NONE")
    assert refused.status_code == 400
    message = refused.json()["detail"]
    assert message.startswith("passages[1]: longer than the 240 tokens")
    assert message.endswith("set truncate to END")


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"passages": []}, 400, "passages: none given, at least 1 is needed"),
        ({"query": {"text": ""}}, 400, "query: empty"),
        ({"query": {}}, 422, "query: Object missing required field `text`"),
        ({"truncate": "START"}, 422, "truncate: Invalid enum value 'START'"),
        ({"top_k": -1}, 400, "top_k: -1 given"),
    ],
)
def test_a_bad_request_is_told_its_field(http, fields, status, message):
    refused = rank(http, **fields)
    assert refused.status_code == status
    assert refused.json()["message"].startswith(message)


def test_what_is_no_json_is_no_fault_of_structure(http):
    assert http.post("/v1/ranking", content=b"{").status_code == 400


def test_a_client_that_takes_the_first_model_of_the_list_gets_the_default_reranker(http):
    """LangChain's and LlamaIndex's clients do, where they are told no model."""
    first = http.get("/v1/models").json()["data"][0]["id"]
    named, unnamed = rank(http, "/v1/ranking", model=first), rank(http, "/v1/ranking")
    assert named.json()["rankings"] == unnamed.json()["rankings"]
