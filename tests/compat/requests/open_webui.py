"""As Open WebUI asks an external reranker: `ExternalReranker.predict`.

It needs the scores of all documents, since it sorts results by index and joins them to documents.
"""

from asking import post
from trial import Ask, run


def rerank(ask: Ask):
    answer = post(
        f"{ask.url}/v1/rerank",
        {
            "model": ask.reranker,
            "query": ask.query,
            "documents": ask.passages,
            "top_n": len(ask.passages),
        },
        {"Content-Type": "application/json", "Authorization": f"Bearer {ask.key}"},
    )
    results = sorted(answer["results"], key=lambda result: result["index"])
    scores = [result["relevance_score"] for result in results]
    assert len(scores) == len(ask.passages)
    return sorted(enumerate(scores), key=lambda hit: -hit[1])


run(rerank=rerank, foreign="reranker")
