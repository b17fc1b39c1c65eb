"""Infinity's generated client."""

from infinity_client import AuthenticatedClient
from infinity_client.api.default import embeddings
from infinity_client.api.default import rerank as reranking
from infinity_client.models import OpenAIEmbeddingInputText, RerankInput
from trial import Ask, run


def client_of(ask: Ask) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=f"{ask.url}/infinity", token=ask.key, raise_on_unexpected_status=True
    )


def rerank(ask: Ask):
    body = RerankInput(
        query=ask.query,
        documents=ask.passages,
        model=ask.reranker,
        top_n=ask.top_n,
        return_documents=True,
    )
    answer = reranking.sync(client=client_of(ask), body=body)
    assert [hit.document for hit in answer.results] == [
        ask.passages[hit.index] for hit in answer.results
    ]
    return [(hit.index, hit.relevance_score) for hit in answer.results]


def embed(ask: Ask):
    body = OpenAIEmbeddingInputText(input_=ask.texts, model=ask.encoder)
    return [each.embedding for each in embeddings.sync(client=client_of(ask), body=body).data]


run(rerank=rerank, embed=embed, foreign="default/not-specified")
