"""LangChain components of the twopass retrieval server.

`TwopassRetriever` runs both passes in one call, `TwopassRerank` the second pass over documents from
anywhere, `TwopassVectorStore` writes and searches a collection, and `TwopassEmbeddings` embeds.
What documents carry in their metadata is in the README.
"""

from langchain_twopass.connection import TwopassConnection
from langchain_twopass.embeddings import TwopassEmbeddings
from langchain_twopass.filters import FilterError, TwopassTranslator
from langchain_twopass.rerank import TwopassRerank
from langchain_twopass.retrievers import TwopassRetriever
from langchain_twopass.search_options import SearchOptions
from langchain_twopass.vectorstores import TwopassVectorStore

__all__ = [
    "FilterError",
    "SearchOptions",
    "TwopassConnection",
    "TwopassEmbeddings",
    "TwopassRerank",
    "TwopassRetriever",
    "TwopassTranslator",
    "TwopassVectorStore",
]
