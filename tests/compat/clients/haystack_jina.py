"""Haystack's integration of Jina."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.jina import JinaDocumentEmbedder
from haystack_integrations.components.rankers.jina import JinaRanker
from trial import Ask, run


def rerank(ask: Ask):
    ranker = JinaRanker(
        model=ask.reranker,
        api_key=Secret.from_token(ask.key),
        top_k=ask.top_n,
        base_url=f"{ask.url}/v1/rerank",
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents)["documents"]
    return [(int(hit.id), hit.score) for hit in found]


def embed(ask: Ask):
    embedder = JinaDocumentEmbedder(
        api_key=Secret.from_token(ask.key),
        model=ask.encoder,
        progress_bar=False,
        base_url=f"{ask.url}/v1/embeddings",
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


run(rerank=rerank, embed=embed, foreign="jina-reranker-v1-base-en")
