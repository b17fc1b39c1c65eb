"""Retrieval by embeddings alone."""

from typing import Any

from haystack import Document, component
from haystack_integrations.components.retrievers.twopass.first_pass import FirstPassRetriever


@component
class TwopassEmbeddingRetriever(FirstPassRetriever):
    """Retrieves the documents whose embeddings are nearest to the query's, without a second pass.

    The query's embedding comes from a text embedder: `TwopassTextEmbedder` for a collection that
    the server embeds, your own for one with `embedding_dim`.

    ```python
    embedding = TwopassTextEmbedder().run("How do I parse a date?")["embedding"]
    retriever = TwopassEmbeddingRetriever(TwopassDocumentStore(collection="docs"))
    retriever.run(embedding)["documents"]
    ```
    """

    mode = "dense"

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """Retrieves documents by the first pass alone.

        Args:
            query_embedding: The embedding of the query.
            filters: Which documents are considered; with the retriever's own as its policy says.
            top_k: How many documents to return. None: the retriever's.

        Returns:
            `documents`, best first, and `meta`, as `TwopassRetriever.run` returns them.
        """
        return self.document_store.search(
            query_embedding=query_embedding, **self._search(filters, top_k)
        )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(
        self,
        query_embedding: list[float],
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        return await self.document_store.search_async(
            query_embedding=query_embedding, **self._search(filters, top_k)
        )
