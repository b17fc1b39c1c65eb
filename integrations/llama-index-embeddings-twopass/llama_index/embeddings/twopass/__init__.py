"""LlamaIndex's embeddings by twopass: `TwopassEmbedding`."""

from llama_index.embeddings.twopass.base import TwopassEmbedding

__all__ = ["TwopassEmbedding"]
