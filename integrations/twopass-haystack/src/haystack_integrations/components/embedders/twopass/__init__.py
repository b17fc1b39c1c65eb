"""Embedders by the server's encoder: of queries, and of documents."""

from haystack_integrations.components.embedders.twopass.document_embedder import (
    TwopassDocumentEmbedder,
)
from haystack_integrations.components.embedders.twopass.text_embedder import TwopassTextEmbedder

__all__ = ["TwopassDocumentEmbedder", "TwopassTextEmbedder"]
