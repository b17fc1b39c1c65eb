"""What the providers `tei` and `vllm` of Milvus' server send, and what they read of the answer.

As read in milvus-io/milvus: `models/tei/tei.go` at 059bfd6 and `models/vllm/vllm_client.go` at
25ec72e. A path of the endpoint is dropped, so both ask the root.
"""

import pytest

from .conftest import PASSAGES, QUERY

HEADERS = {"Content-Type": "application/json"}


def test_rerank_of_tei(server, post):
    body = {"query": QUERY, "texts": PASSAGES, "truncate": True, "truncation_direction": "Right"}
    hits = sorted(post("/rerank", body, HEADERS), key=lambda hit: hit["index"])
    assert [hit["score"] for hit in hits] == pytest.approx(server.scores)


def test_rerank_of_vllm(server, post):
    body = {"query": QUERY, "documents": PASSAGES, "truncate_prompt_tokens": 300}
    hits = sorted(post("/rerank", body, HEADERS)["results"], key=lambda hit: hit["index"])
    assert [hit["relevance_score"] for hit in hits] == pytest.approx(server.scores)


def test_embeddings_of_both(post):
    of_tei = post("/embed", {"inputs": PASSAGES[:2], "truncate": True}, HEADERS)
    body = {"input": PASSAGES[:2], "encoding_format": "float"}
    of_vllm = [each["embedding"] for each in post("/v1/embeddings", body, HEADERS)["data"]]
    assert of_vllm == [pytest.approx(vector, abs=1e-6) for vector in of_tei]
