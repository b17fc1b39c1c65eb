"""As Milvus' functions ask the providers `tei` and `vllm`: any path of the endpoint is dropped."""

from asking import post
from trial import VARIANT, Ask, run


def headers(ask: Ask) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"Bearer {ask.key}"}


def rerank_tei(ask: Ask):
    """`teiRerank.rerank`."""
    body = {
        "query": ask.query,
        "texts": ask.passages,
        "truncate": True,
        "truncation_direction": "Right",
    }
    hits = post(f"{ask.url}/rerank", body, headers(ask))
    return [(hit["index"], hit["score"]) for hit in hits]


def embed_tei(ask: Ask):
    """`teiEmbedding.embedding`."""
    body = {"inputs": ask.texts, "truncate": True, "truncation_direction": "Right"}
    return post(f"{ask.url}/embed", body, headers(ask))


def rerank_vllm(ask: Ask):
    """`VLLMRerank.Rerank`."""
    body = {"query": ask.query, "documents": ask.passages}
    hits = post(f"{ask.url}/rerank", body, headers(ask))["results"]
    return [(hit["index"], hit["relevance_score"]) for hit in hits]


def embed_vllm(ask: Ask):
    """`VLLMEmbedding.Embedding`."""
    body = {"input": ask.texts, "encoding_format": "float"}
    answer = post(f"{ask.url}/v1/embeddings", body, headers(ask))
    return [each["embedding"] for each in answer["data"]]


run(
    rerank=rerank_tei if VARIANT == "tei" else rerank_vllm,
    embed=embed_tei if VARIANT == "tei" else embed_vllm,
    without={"model": "names no model"},
    default_reranker=True,
)
