"""The options that all retrievers share, checked."""

from haystack.document_stores.types import FilterPolicy
from haystack_integrations.document_stores.twopass import TwopassDocumentStore


def checked_store(document_store: object) -> TwopassDocumentStore:
    """The store itself.

    Raises:
        ValueError: It is another kind of store.
    """
    if not isinstance(document_store, TwopassDocumentStore):
        raise ValueError(
            "document_store: a TwopassDocumentStore is needed, "
            f"{type(document_store).__name__} given"
        )
    return document_store


def checked_top_k(top_k: int) -> int:
    """The number itself.

    Raises:
        ValueError: It is below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k: {top_k} given, at least 1 is needed")
    return top_k


def policy_of(filter_policy: str | FilterPolicy) -> FilterPolicy:
    """The policy of that name; raises ValueError as Haystack does."""
    if isinstance(filter_policy, FilterPolicy):
        return filter_policy
    return FilterPolicy.from_str(filter_policy)
