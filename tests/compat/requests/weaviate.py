"""As Weaviate asks `reranker-transformers` and `text2vec-transformers`: without type, without key.

Go sends no content type unless it is told one.
"""

from asking import get, post
from trial import Ask, run


def rerank(ask: Ask):
    """`client.performRank`, after the checks of `startup.go` and `ranker_meta.go`."""
    origin = f"{ask.url}/weaviate"
    get(f"{origin}/.well-known/ready", {})
    assert isinstance(get(f"{origin}/meta", {}), dict)
    body = {"query": ask.query, "documents": ask.passages, "property": ""}
    answer = post(f"{origin}/rerank", body, {})
    assert [each["document"] for each in answer["scores"]] == ask.passages
    scores = [each["score"] for each in answer["scores"]]
    return sorted(enumerate(scores), key=lambda hit: -hit[1])


def embed(ask: Ask):
    """`Client.vectorize`: one text."""
    vectors = []
    for text in ask.texts:
        config = {"pooling_strategy": "masked_mean", "task_type": "passage"}
        body = {"text": text, "dims": 0, "vector": None, "error": "", "config": config}
        answer = post(f"{ask.url}/weaviate/vectors", body, {})
        assert answer["text"] == text
        vectors.append(answer["vector"])
    return vectors


def embed_many(ask: Ask):
    """`Client.vectorizeBatch`, which newer versions have."""
    body = {"texts": ask.texts, "config": {"task_type": "passage"}}
    headers = {"Content-Type": "application/json"}
    answer = post(f"{ask.url}/weaviate/vectors", body, headers)
    assert answer["dims"] == len(answer["vectors"][0])
    return answer["vectors"]


run(
    rerank=rerank,
    embed=embed,
    more={"embed: batch": embed_many},
    keyless=True,
    without={"model": "names no model"},
    default_reranker=True,
)
