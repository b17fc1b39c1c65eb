"""As Elasticsearch's inference services ask, with the settings that the documentation gives."""

from asking import post
from trial import VARIANT, Ask, run


def headers(ask: Ask) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"Bearer {ask.key}"}


def rerank_custom(ask: Ask):
    """Service `custom`: `CustomRequest` fills `${query}` and `${input}` into a template."""
    body = {
        "model": ask.reranker,
        "query": ask.query,
        "documents": ask.passages,
        "return_documents": True,
    }
    results = post(f"{ask.url}/v1/rerank", body, headers(ask))["results"]
    # What the JSON paths of `RerankResponseParser` find.
    assert [hit["document"]["text"] for hit in results] == [
        ask.passages[hit["index"]] for hit in results
    ]
    return [(hit["index"], hit["relevance_score"]) for hit in results]


def embed_openai(ask: Ask):
    """Service `openai`: `OpenAiEmbeddingsRequestEntity`."""
    body = {"input": ask.texts, "model": ask.encoder}
    answer = post(f"{ask.url}/v1/embeddings", body, headers(ask))
    return [each["embedding"] for each in answer["data"]]


def rerank_hugging_face(ask: Ask):
    """Service `hugging_face`: `HuggingFaceRerankRequestEntity`; its parser knows four fields."""
    body = {
        "texts": ask.passages,
        "query": ask.query,
        "return_text": True,
        "top_n": ask.top_n,
    }
    results = post(f"{ask.url}/models/{ask.reranker}/rerank", body, headers(ask))
    assert all(hit.keys() <= {"index", "score", "relevance_score", "text"} for hit in results)
    return [(hit["index"], hit["score"]) for hit in results]


def embed_hugging_face(ask: Ask):
    """Service `hugging_face`: `HuggingFaceInferenceRequestEntity`."""
    return post(f"{ask.url}/models/{ask.encoder}/embed", {"inputs": ask.texts}, headers(ask))


if VARIANT == "custom":
    run(rerank=rerank_custom, embed=embed_openai, foreign="some-reranker")
else:
    run(rerank=rerank_hugging_face, embed=embed_hugging_face)
