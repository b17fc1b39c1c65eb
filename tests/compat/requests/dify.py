"""As Dify's plugins ask: text-embeddings-inference, and what is compatible with OpenAI's."""

from asking import get, post
from trial import VARIANT, Ask, run


def headers(ask: Ask) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"Bearer {ask.key}"}


def rerank_tei(ask: Ask):
    """`TeiHelper.get_tei_extra_parameter`, then `invoke_rerank`."""
    server_url = f"{ask.url}/models/{ask.reranker}"
    info = get(f"{server_url}/info", headers(ask))
    assert next(iter(info["model_type"])) == "reranker", info
    assert info["max_input_length"] > 0
    assert info["max_client_batch_size"] > 0
    body = {"query": ask.query, "texts": ask.passages, "return_text": True}
    results = post(f"{server_url}/rerank", body, headers(ask))
    assert all(result["text"] == ask.passages[result["index"]] for result in results)
    return [(result["index"], result["score"]) for result in results][: ask.top_n]


def embed_tei(ask: Ask):
    """`TeiHelper.invoke_embeddings`, after `invoke_tokenize` has counted."""
    server_url = f"{ask.url}/models/{ask.encoder}"
    info = get(f"{server_url}/info", headers(ask))
    assert next(iter(info["model_type"])) == "embedding", info
    tokens = post(f"{server_url}/tokenize", {"inputs": ask.texts}, headers(ask))
    assert len(tokens) == len(ask.texts)
    answer = post(f"{server_url}/v1/embeddings", {"input": ask.texts}, headers(ask))
    assert answer["usage"]["total_tokens"] > 0
    return [each["embedding"] for each in answer["data"]]


def rerank_openai(ask: Ask):
    """`OpenAIRerankModel._invoke`."""
    body = {
        "model": ask.reranker,
        "query": ask.query,
        "documents": ask.passages,
        "top_n": ask.top_n,
    }
    answer = post(f"{ask.url}/v1/rerank", body, headers(ask))
    hits = [(item["index"], item["relevance_score"]) for item in answer["results"]]
    return sorted(hits, key=lambda hit: hit[1], reverse=True)[: ask.top_n]


if VARIANT == "tei":
    run(rerank=rerank_tei, embed=embed_tei)
else:
    run(rerank=rerank_openai, foreign="some-reranker")
