"""Mixedbread's SDK for Python."""

from mixedbread import Mixedbread
from trial import Ask, run


def client_of(ask: Ask) -> Mixedbread:
    return Mixedbread(api_key=ask.key, base_url=ask.url)


def rerank(ask: Ask):
    answer = client_of(ask).rerank(
        model=ask.reranker,
        query=ask.query,
        input=ask.passages,
        top_k=ask.top_n,
        return_input=True,
    )
    assert [hit.input for hit in answer.data] == [ask.passages[hit.index] for hit in answer.data]
    return [(hit.index, hit.score) for hit in answer.data]


def embed(ask: Ask):
    answer = client_of(ask).embed(model=ask.encoder, input=ask.texts)
    return [each.embedding for each in answer.data]


run(rerank=rerank, embed=embed, foreign="mixedbread-ai/mxbai-rerank-large-v2")
