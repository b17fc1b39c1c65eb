"""What RAGFlow's providers of docs/how-to/ragflow.md send, and what they read of the answer.

As read in infiniflow/ragflow: `internal/entity/models/vllm.go` at 002bea4 with
`conf/models/vllm.json` at 47c230f (1.0), and `rag/llm/rerank_model.py` at 5b404a9 and newer
(0.27), of which `make compat` has more.
"""

import pytest

from .conftest import PASSAGES, QUERY

HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer none"}
BODY = {
    "model": "twopass-minilm-l3",
    "query": QUERY,
    "documents": PASSAGES,
    "top_n": len(PASSAGES),
}


def by_index(results):
    scores = [0.0] * len(PASSAGES)
    for result in results:
        scores[result["index"]] = result["relevance_score"]
    return scores


def test_vllm_of_the_server_in_go(server, post):
    status, answer = server.ask("GET", f"{server.url}/v1/models", None, HEADERS)
    assert status == 200
    assert all(isinstance(model["id"], str) for model in answer["data"])
    assert by_index(post("/v1/rerank", BODY, HEADERS)["results"]) == pytest.approx(server.scores)


def test_vllm_of_the_server_in_python_with_an_empty_key(server, post):
    body = BODY | {"return_documents": False}
    answer = post("/v1/rerank", body, HEADERS | {"Authorization": "Bearer "})
    assert by_index(answer["results"]) == pytest.approx(server.scores)
    assert "document" not in answer["results"][0]


def test_cohere_library_below_a_base_url_with_v1_is_told_the_right_path(server):
    status, answer = server.ask("POST", f"{server.url}/v1/v1/rerank", "{}", HEADERS)
    assert status == 404
    assert "/v1/rerank: the base URL that the client was given may have /v1" in answer["message"]


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
def test_openai_api_compatible_below_either_base_url(server, post, path):
    assert by_index(post(path, BODY, HEADERS)["results"]) == pytest.approx(server.scores)


def test_huggingface_sends_eight_texts_at_a_time_without_a_key(server, post):
    scores = []
    for first in range(0, len(PASSAGES), 8):
        texts = PASSAGES[first : first + 8]
        body = {"query": QUERY, "texts": texts, "raw_scores": False, "truncate": True}
        hits = post("/rerank", body, {"Content-Type": "application/json"})
        scores += [hit["score"] for hit in sorted(hits, key=lambda hit: hit["index"])]
    assert scores == pytest.approx(server.scores)
