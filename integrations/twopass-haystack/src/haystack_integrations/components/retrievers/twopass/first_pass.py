"""What the retrievers of the first pass alone have in common."""

from typing import Any, ClassVar, Literal

from haystack import default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy
from haystack_integrations.components.retrievers.twopass.options import (
    checked_store,
    checked_top_k,
    policy_of,
)
from haystack_integrations.components.retrievers.twopass.store_component import StoreComponent
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import Retrieve


class FirstPassRetriever(StoreComponent):
    """Searches in one way, without a second pass.

    Attributes:
        mode: How: by words or by meaning.
    """

    mode: ClassVar[Literal["lexical", "dense"]]

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

    def _search(self, filters: dict[str, Any] | None, top_k: int | None) -> dict[str, Any]:
        """The arguments of a search."""
        return {
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else checked_top_k(top_k),
            "retrieve": Retrieve(self.mode),
            "rerank": False,
        }
