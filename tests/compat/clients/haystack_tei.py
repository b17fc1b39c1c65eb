"""Haystack's components for text-embeddings-inference. The ranker drops what follows the port."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import (
    HuggingFaceAPIDocumentEmbedder,
    HuggingFaceAPITextEmbedder,
)
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker
from trial import Ask, run


def rerank(ask: Ask):
    ranker = HuggingFaceTEIRanker(
        url=ask.url, top_k=ask.top_n, token=Secret.from_token(ask.key), max_retries=3
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents)["documents"]
    return [(int(hit.id), hit.score) for hit in found]


def embed(ask: Ask):
    embedder = HuggingFaceAPIDocumentEmbedder(
        api_type="text_embeddings_inference",
        api_params={"url": f"{ask.url}/models/{ask.encoder}"},
        token=Secret.from_token(ask.key),
        progress_bar=False,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


def embed_one_by_one(ask: Ask):
    embedder = HuggingFaceAPITextEmbedder(
        api_type="text_embeddings_inference",
        api_params={"url": f"{ask.url}/models/{ask.encoder}"},
        token=Secret.from_token(ask.key),
    )
    return [embedder.run(text)["embedding"] for text in ask.texts]


run(
    rerank=rerank,
    embed=embed,
    more={"embed: text": embed_one_by_one},
    without={"model": "names no model: what follows the port is dropped"},
    default_reranker=True,
)
