"""Haystack's components for text-embeddings-inference over gRPC, which they know by reflection."""

from haystack import Document
from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import (
    HuggingFaceAPIDocumentEmbedder,
)
from haystack_integrations.components.rankers.huggingface_api import (
    HuggingFaceTEIRanker,
    TruncationDirection,
)
from trial import Ask, run


def rerank(ask: Ask, direction: TruncationDirection | None = TruncationDirection.RIGHT):
    ranker = HuggingFaceTEIRanker(
        url=ask.rerank_target, top_k=ask.top_n, token=Secret.from_token(ask.key), use_grpc=True
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.passages)]
    found = ranker.run(query=ask.query, documents=documents, truncation_direction=direction)
    return [(int(hit.id), hit.score) for hit in found["documents"]]


def embed(ask: Ask):
    embedder = HuggingFaceAPIDocumentEmbedder(
        api_type="text_embeddings_inference",
        api_params={"url": ask.embed_target},
        token=Secret.from_token(ask.key),
        progress_bar=False,
        use_grpc=True,
    )
    documents = [Document(id=str(i), content=text) for i, text in enumerate(ask.texts)]
    return [each.embedding for each in embedder.run(documents)["documents"]]


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, None),
    without={"model": "an address is one model's"},
)
