"""Retrieval by words alone."""

from typing import Any

from haystack import Document, component, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy
from haystack_integrations.components.retrievers.twopass.options import (
    checked_store,
    checked_top_k,
    policy_of,
    retriever_from_dict,
)
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import Retrieve


@component
class TwopassBM25Retriever:
    """Retrieves documents by BM25 over the words of the query, without a second pass.

    ```python
    retriever = TwopassBM25Retriever(TwopassDocumentStore(collection="docs"))
    retriever.run("strptime")["documents"]
    ```
    """

    def __init__(
        self,
        document_store: TwopassDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
    ) -> None:
        """Takes the options of searches; connects when it is first run.

        Args:
            document_store: The collection.
            filters: Which documents are considered. None: all.
            top_k: How many documents to return.
            filter_policy: Whether filters given to `run` replace these, or are merged with them.

        Raises:
            ValueError: `document_store` is another store, or `top_k` is below 1.
        """
        self.document_store = checked_store(document_store)
        self.filters = filters
        self.top_k = checked_top_k(top_k)
        self.filter_policy = policy_of(filter_policy)

    def to_dict(self) -> dict[str, Any]:
        """Serializes the retriever and its store."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "TwopassBM25Retriever":
        """Deserializes a retriever and its store."""
        return retriever_from_dict(cls, data)

    def warm_up(self) -> None:
        """Connects, and creates the collection if it is not there."""
        self.document_store.warm_up()

    async def warm_up_async(self) -> None:
        """Does what `warm_up` does, for asyncio."""
        await self.document_store.warm_up_async()

    def close(self) -> None:
        """Ends the store's connection; the next use opens another."""
        self.document_store.close()

    async def close_async(self) -> None:
        """Ends the store's connection of the running event loop."""
        await self.document_store.close_async()

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

    def _search(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        """The arguments of a search."""
        return {
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else checked_top_k(top_k),
            "retrieve": Retrieve("lexical"),
            "rerank": False,
        }
