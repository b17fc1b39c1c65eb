"""LlamaIndex's vector store over a collection of twopass: `TwopassVectorStore`.

The retriever of both passes, in a distribution of its own, reads nodes and filters as this does.
"""

from llama_index.vector_stores.twopass.base import TwopassVectorStore
from llama_index.vector_stores.twopass.filters import condition_of, tests_emptiness
from llama_index.vector_stores.twopass.nodes import METADATA_KEY, found_nodes

__all__ = [
    "METADATA_KEY",
    "TwopassVectorStore",
    "condition_of",
    "found_nodes",
    "tests_emptiness",
]
