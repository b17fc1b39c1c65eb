"""Retrieval by words alone."""

from typing import Any

from haystack import Document, component
from haystack_integrations.components.retrievers.twopass.first_pass import FirstPassRetriever


@component
class TwopassBM25Retriever(FirstPassRetriever):
    """Retrieves documents by BM25 over the words of the query, without a second pass.

    ```python
    retriever = TwopassBM25Retriever(TwopassDocumentStore(collection="docs"))
    retriever.run("strptime")["documents"]
    ```
    """

    mode = "lexical"

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """Retrieves documents by the first pass alone.

        Args:
            query: The words.
            filters: Which documents are considered; with the retriever's own as its policy says.
            top_k: How many documents to return. None: the retriever's.

        Returns:
            `documents`, best first, and `meta`, as `TwopassRetriever.run` returns them.
        """
        return self.document_store.search(query, **self._search(filters, top_k))

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        return await self.document_store.search_async(query, **self._search(filters, top_k))
