"""Embeddings, as the server's first pass uses them."""

from typing import Any

from langchain_core.embeddings import Embeddings
from pydantic import ConfigDict, Field

from langchain_twopass.connection import TwopassConnection
from twopass.client import EmbedRole, QueryTruncation
from twopass.client.bulk import embed_batch, embed_batch_async


class TwopassEmbeddings(TwopassConnection, Embeddings):
    """Embeds texts by an encoder of the server, for vector stores other than its own.

    `TwopassVectorStore` and `TwopassRetriever` need none: there the server embeds, and vectors
    never cross the network.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    model: str | None = None
    """The encoder's id. None: the server's default."""

    dimensions: int | None = Field(default=None, ge=1)
    """How many of an embedding's first components to return, for encoders that are trained for it.
    None: all."""

    normalize: bool = True
    """Whether embeddings that are cut by `dimensions` are scaled to length 1; whole ones are so."""

    query_instruction: str | None = None
    """What queries are embedded for, in words, for an encoder that is told so. None: its own."""

    query_truncation: QueryTruncation | None = None
    """What becomes of a query with more tokens than the model reads: "truncate" or "reject". None:
    "truncate"."""

    chunk_size: int = Field(default=256, ge=1)
    """Most texts in one call; the server's limit is 1,000 unless it is set otherwise."""

    timeout: float | None = Field(default=None, gt=0.0)
    """Seconds that a call may take. None: 30, or what the `client` given has."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds passages, in order; waits where the server has no room for all at once."""
        connected = self.connected()
        return [
            list(vector)
            for start in range(0, len(texts), self.chunk_size)
            for vector in embed_batch(
                connected, **self._arguments_of(texts[start : start + self.chunk_size], "passage")
            ).vectors
        ]

    def embed_query(self, text: str) -> list[float]:
        """Embeds a question."""
        (vector,) = self.connected().embed(**self._arguments_of([text], "query")).vectors
        return list(vector)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embeds passages, in order, by the client for asyncio."""
        connected = self.connected_async()
        vectors: list[list[float]] = []
        for start in range(0, len(texts), self.chunk_size):
            chunk = texts[start : start + self.chunk_size]
            result = await embed_batch_async(connected, **self._arguments_of(chunk, "passage"))
            vectors += map(list, result.vectors)
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """Embeds a question, by the client for asyncio."""
        result = await self.connected_async().embed(**self._arguments_of([text], "query"))
        return list(result.vectors[0])

    def _arguments_of(self, texts: list[str], role: EmbedRole) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "texts": texts,
            "role": role,
            "model": self.model,
            "dimensions": self.dimensions,
            "normalize": self.normalize,
            "timeout": self.timeout,
        }
        if role == "query":
            arguments["instruction"] = self.query_instruction
            arguments["query_truncation"] = self.query_truncation
        return arguments
