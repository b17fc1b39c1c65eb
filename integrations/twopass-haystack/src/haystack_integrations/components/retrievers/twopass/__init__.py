"""Retrievers of a twopass collection: both passes, or the first alone."""

from haystack_integrations.components.retrievers.twopass.bm25_retriever import TwopassBM25Retriever
from haystack_integrations.components.retrievers.twopass.embedding_retriever import (
    TwopassEmbeddingRetriever,
)
from haystack_integrations.components.retrievers.twopass.retriever import TwopassRetriever

__all__ = ["TwopassBM25Retriever", "TwopassEmbeddingRetriever", "TwopassRetriever"]
