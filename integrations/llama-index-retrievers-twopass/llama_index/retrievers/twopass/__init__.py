"""LlamaIndex's retriever over twopass: `TwopassRetriever`, both passes in one call."""

from llama_index.retrievers.twopass.base import TwopassRetriever

__all__ = ["TwopassRetriever"]
