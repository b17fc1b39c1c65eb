"""Voyage's SDK for Python."""

import voyageai
from trial import Ask, run


def client_of(ask: Ask) -> voyageai.Client:
    return voyageai.Client(api_key=ask.key, base_url=f"{ask.url}/v1", max_retries=3)


def rerank(ask: Ask, *, truncation: bool = True):
    answer = client_of(ask).rerank(
        ask.query, ask.passages, model=ask.reranker, top_k=ask.top_n, truncation=truncation
    )
    assert [hit.document for hit in answer.results] == [
        ask.passages[hit.index] for hit in answer.results
    ]
    return [(hit.index, hit.relevance_score) for hit in answer.results]


def embed(ask: Ask):
    client = client_of(ask)
    return client.embed(ask.texts, model=ask.encoder, input_type="document").embeddings


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, truncation=False),
    foreign="rerank-2.5",
)
