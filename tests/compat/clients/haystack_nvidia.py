"""Haystack's integration of NVIDIA NIM, whose scores are logits."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.nvidia import NvidiaDocumentEmbedder
from haystack_integrations.components.rankers.nvidia import NvidiaRanker
from trial import Ask, run


def rerank(ask: Ask, *, truncate: str = "END"):
    ranker = NvidiaRanker(
        model=ask.reranker,
        truncate=truncate,
        api_url=f"{ask.url}/v1",
        api_key=Secret.from_token(ask.key),
        top_k=ask.top_n,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents)["documents"]
    return [(int(hit.id), hit.score) for hit in found]


def embed(ask: Ask):
    embedder = NvidiaDocumentEmbedder(
        model=ask.encoder,
        api_key=Secret.from_token(ask.key),
        api_url=f"{ask.url}/v1",
        progress_bar=False,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, truncate="NONE"),
    foreign="nvidia/llama-3.2-nv-rerankqa-1b-v2",
    scale="logit",
)
