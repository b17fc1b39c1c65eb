"""What LangChain4j's classes of docs/how-to/langchain4j.md send, and what they read of the answer.

As read in langchain4j/langchain4j: `CohereScoringModel` and `JinaScoringModel` at b76c8a6,
`CohereClient` at e4ca620, `JinaRerankingRequest` at 92c5ed0, `OpenAiEmbeddingModel` at 057c5b9.
"""

import pytest

from .conftest import PASSAGES, QUERY

HEADERS = {"Authorization": "Bearer none", "Content-Type": "application/json; charset=UTF-8"}


def in_order(results):
    return [result["relevance_score"] for result in sorted(results, key=lambda each: each["index"])]


def test_cohere_scoring_model(server, post):
    body = {"model": "twopass-minilm-l3", "query": QUERY, "documents": PASSAGES}
    answer = post("/v1/rerank", body, HEADERS)
    assert in_order(answer["results"]) == pytest.approx(server.scores)
    assert isinstance(answer["meta"]["billed_units"]["search_units"], int)


def test_jina_scoring_model_by_its_own_default_model(server, post):
    body = {"model": "jina-reranker-v1-base-en", "query": QUERY, "documents": PASSAGES}
    answer = post("/v1/rerank", body | {"return_documents": False}, HEADERS)
    assert in_order(answer["results"]) == pytest.approx(server.scores)
    assert answer["usage"]["prompt_tokens"] > 0
    assert answer["usage"]["total_tokens"] > 0


def test_open_ai_embedding_model(post):
    body = {"model": "all-MiniLM-L6-v2", "input": PASSAGES[:2]}
    answer = post("/v1/embeddings", body, HEADERS)
    assert [len(each["embedding"]) for each in answer["data"]] == [384, 384]
    assert answer["usage"]["total_tokens"] > 0
