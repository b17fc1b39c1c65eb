"""LlamaIndex's reranking by twopass: `TwopassRerank`, a node postprocessor."""

from llama_index.postprocessor.twopass_rerank.base import TwopassRerank

__all__ = ["TwopassRerank"]
