"""Haystack's integration of vLLM."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.vllm import VLLMDocumentEmbedder
from haystack_integrations.components.rankers.vllm import VLLMRanker
from trial import Ask, run


def rerank(ask: Ask):
    ranker = VLLMRanker(
        model=ask.reranker,
        api_key=Secret.from_token(ask.key),
        api_base_url=f"{ask.url}/v1",
        top_k=ask.top_n,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents)["documents"]
    return [(int(hit.id), hit.score) for hit in found]


def embed(ask: Ask):
    embedder = VLLMDocumentEmbedder(
        model=ask.encoder,
        api_key=Secret.from_token(ask.key),
        api_base_url=f"{ask.url}/v1",
        progress_bar=False,
        raise_on_failure=True,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


run(rerank=rerank, embed=embed, foreign="BAAI/bge-reranker-v2-m3")
