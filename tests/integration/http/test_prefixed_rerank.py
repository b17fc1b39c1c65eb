"""Rerank below the prefixes of Infinity and Weaviate."""

import httpx
import pytest

from twopass.v1 import rerank_pb2

QUERY = "How many people live in Berlin?"
DOCUMENTS = ["Paris is in France.", "Berlin has 3.7 million people.", "Cats eat mice."]
BODY = {"query": QUERY, "documents": DOCUMENTS}


@pytest.fixture(scope="module")
def hits(http_server):
    request = rerank_pb2.RerankRequest(
        query=QUERY, candidates=[{"text": text} for text in DOCUMENTS]
    )
    return http_server.rerank(request).hits


def test_infinity_returns_documents_as_texts(http, hits):
    body = BODY | {"return_documents": True, "model": "default/not-specified", "top_n": 2}
    answer = http.post("/infinity/rerank", json=body).json()
    assert answer["results"] == [
        {"relevance_score": hit.score, "index": hit.index, "document": DOCUMENTS[hit.index]}
        for hit in hits[:2]
    ]
    assert answer["object"] == "rerank"
    assert answer["model"] == "twopass-minilm-l3"
    assert answer["usage"]["total_tokens"] > 0
    assert {"id", "created"} <= answer.keys()


def test_infinity_takes_documents_that_are_objects(http):
    body = BODY | {"documents": [{"text": text} for text in DOCUMENTS], "return_documents": True}
    as_objects = http.post("/infinity/rerank", json=body).json()["results"]
    as_texts = http.post("/infinity/rerank", json=BODY | {"return_documents": True}).json()
    assert as_objects == as_texts["results"]


def test_infinitys_raw_scores_are_logits(http, hits):
    answer = http.post("/infinity/rerank", json=BODY | {"raw_scores": True, "top_n": None}).json()
    assert answer["results"] == [{"relevance_score": hit.logit, "index": hit.index} for hit in hits]


def test_infinitys_failures_are_told_as_openai_tells_them(http):
    refused = http.post("/infinity/rerank", json=BODY | {"documents": []})
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("documents: none given")


def test_weaviate_gets_scores_in_input_order(http, hits):
    answer = http.post("/weaviate/rerank", json=BODY).json()
    by_index = {hit.index: hit.score for hit in hits}
    assert answer == {
        "query": QUERY,
        "scores": [{"document": text, "score": by_index[i]} for i, text in enumerate(DOCUMENTS)],
    }


def test_weaviate_may_send_one_text(http, hits):
    body = {"query": QUERY, "property": DOCUMENTS[hits[0].index]}
    answer = http.post("/weaviate/rerank", json=body).json()
    assert answer == body | {"score": hits[0].score}


@pytest.mark.parametrize("body", [{"query": QUERY}, BODY | {"documents": []}, {"query": 3}, {}])
def test_weaviates_failures_are_one_text(http, body):
    refused = http.post("/weaviate/rerank", json=body)
    assert refused.status_code == 400
    assert list(refused.json()) == ["error"]


def test_weaviate_finds_the_server_ready_and_learns_its_models(http: httpx.Client):
    for name in ("live", "ready"):
        answer = http.get(f"/weaviate/.well-known/{name}")
        assert (answer.status_code, answer.content) == (204, b"")
    models = http.get("/weaviate/meta").json()["models"]
    assert {"twopass-minilm-l3", "all-MiniLM-L6-v2"} == {model["id"] for model in models}
