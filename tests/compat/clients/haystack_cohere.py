"""Haystack's integration of Cohere."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.cohere import CohereDocumentEmbedder
from haystack_integrations.components.rankers.cohere import CohereRanker
from trial import Ask, run


def rerank(ask: Ask):
    ranker = CohereRanker(
        model=ask.reranker,
        top_k=ask.top_n,
        api_key=Secret.from_token(ask.key),
        api_base_url=ask.url,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents)["documents"]
    return [(int(hit.id), hit.score) for hit in found]


def embed(ask: Ask):
    embedder = CohereDocumentEmbedder(
        api_key=Secret.from_token(ask.key),
        model=ask.encoder,
        api_base_url=ask.url,
        progress_bar=False,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


run(rerank=rerank, embed=embed, foreign="rerank-v3.5")
