"""As RAGFlow's `rerank_model.py` asks, under the names of its providers."""

from asking import post
from trial import VARIANT, Ask, run


def by_score(scores: list[float]):
    return sorted(enumerate(scores), key=lambda hit: -hit[1])


def rerank_huggingface(ask: Ask):
    """`HuggingfaceRerank.post`: batches of eight, and no key."""
    scores = [0.0] * len(ask.passages)
    for first in range(0, len(ask.passages), 8):
        body = {
            "query": ask.query,
            "texts": ask.passages[first : first + 8],
            "raw_scores": False,
            "truncate": True,
        }
        for hit in post(f"{ask.url}/rerank", body, {"Content-Type": "application/json"}):
            scores[hit["index"] + first] = hit["score"]
    return by_score(scores)


def rerank_openai(ask: Ask):
    """`OpenAI_APIRerank.similarity`."""
    body = {
        "model": ask.reranker,
        "query": ask.query,
        "documents": ask.passages,
        "top_n": len(ask.passages),
    }
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {ask.key}"}
    answer = post(f"{ask.url}/rerank", body, headers)
    assert answer["usage"]["total_tokens"] > 0
    scores = [0.0] * len(ask.passages)
    for hit in answer["results"]:
        scores[hit["index"]] = hit["relevance_score"]
    return by_score(scores)


def rerank_xinference(ask: Ask):
    """`XInferenceRerank.similarity`: booleans as texts."""
    body = {
        "model": ask.reranker,
        "query": ask.query,
        "return_documents": "true",
        "return_len": "true",
        "documents": ask.passages,
    }
    headers = {
        "Content-Type": "application/json",
        "accept": "application/json",
        "Authorization": f"Bearer {ask.key}",
    }
    scores = [0.0] * len(ask.passages)
    for hit in post(f"{ask.url}/v1/rerank", body, headers)["results"]:
        scores[hit["index"]] = hit["relevance_score"]
    return by_score(scores)


if VARIANT == "huggingface":
    run(
        rerank=rerank_huggingface,
        keyless=True,
        without={"model": "names no model"},
        default_reranker=True,
    )
else:
    run(
        rerank=rerank_xinference if VARIANT == "xinference" else rerank_openai,
        foreign="some-reranker",
    )
